/**
 * The controller process on an API server: the embedded one, or the one that METALLB_TEST_KUBECONFIG points to.
 * @module
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type LabProcess, run, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { METALLB, type Standalone, scratch, startStandalone } from './processes.ts';

describe(`the controller on ${process.env.METALLB_TEST_KUBECONFIG ?? 'the embedded API'}`, () => {
  const directory = scratch();
  const namespace = `ctl-${Math.random().toString(36).slice(2, 8)}`;
  let embedded: Standalone | undefined;
  let kubeconfig: string;
  let controller: LabProcess;
  const kubectl = (args: readonly string[], input?: string) => {
    const env = { KUBECONFIG: kubeconfig };
    const { status, stdout, stderr } = run(
      ['kubectl', '-n', namespace, ...args],
      input === undefined ? { env } : { env, input },
    );
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const apply = (text: string) => kubectl(['apply', '-f', '-'], text);
  const pool = (name: string, addresses: string, more = '') =>
    apply(
      `apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: ${name}}\nspec: {addresses: [${addresses}]${more}}\n`,
    );
  const service = (name: string, { annotations = '', spec = '', port = 80 } = {}) =>
    apply(
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {${annotations}}}\nspec: {type: LoadBalancer, ports: [{port: ${port}}]${spec}}\n`,
    );
  const address = (name: string) =>
    kubectl(['get', 'service', name, '-o', 'jsonpath={.status.loadBalancer.ingress[*].ip}']);
  const gets = (name: string, wanted: string) =>
    until(`${name} has ${wanted || 'no address'}`, () => address(name) === wanted);
  const reason = (name: string) =>
    kubectl([
      'get',
      'events',
      '--field-selector',
      `involvedObject.name=${name}`,
      '-o',
      'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
    ]);
  const says = (name: string, text: string) =>
    until(`an event of ${name} says ${text}`, () => reason(name).includes(text));
  const launch = (name: string, ...more: string[]) => {
    const flags = [
      '--kubeconfig',
      kubeconfig,
      '--namespace',
      namespace,
      '--port',
      '0',
      '--health-probe-port',
      '0',
      '--webhook-mode',
      'disabled',
      ...more,
    ];
    return start(name, [METALLB, 'controller', ...flags], join(directory.path, `${name}.log`));
  };
  const startController = () => {
    controller = launch('controller');
  };

  beforeAll(async () => {
    const given = process.env.METALLB_TEST_KUBECONFIG;
    if (given === undefined) embedded = await startStandalone(directory.path, ['--api-only']);
    kubeconfig = given ?? embedded!.kubeconfig;
    kubectl(['create', 'namespace', namespace]);
    startController();
    pool('p', '198.18.0.0/30');
  });
  afterAll(async () => {
    await controller.stop();
    kubectl(['delete', 'namespace', namespace, '--wait=false']);
    await embedded?.process.stop();
    directory.remove();
  });

  it('gives addresses, wished ones too, and says why it cannot', async () => {
    service('a');
    await gets('a', '198.18.0.0');
    service('b', { spec: ', loadBalancerIP: 198.18.0.3' });
    await gets('b', '198.18.0.3');
    service('c', { spec: ', loadBalancerIP: 198.18.0.3' });
    await says('c', `address 198.18.0.3 is in use by Service ${namespace}/b`);
    expect(kubectl(['describe', 'service', 'a'])).toMatch(
      /IPAllocated\s+\S+.*metallb-controller\s+Assigned IP \["198\.18\.0\.0"\] of pool "p"/,
    );
    kubectl(['delete', 'service', 'b']);
    await gets('c', '198.18.0.3');
  });

  it('shares an address by key and port', async () => {
    const annotations = 'metallb.io/allow-shared-ip: k, metallb.io/loadBalancerIPs: 198.18.0.2';
    service('s1', { annotations, port: 80 });
    service('s2', { annotations, port: 443 });
    await gets('s1', '198.18.0.2');
    await gets('s2', '198.18.0.2');
    service('s3', { annotations, port: 443 });
    await says('s3', `port TCP/443 of address 198.18.0.2 is held by Service ${namespace}/s2`);
  });

  it('keeps the counters of its pools', async () => {
    await until(
      'the counters',
      () =>
        kubectl(['get', 'ipaddresspool', 'p', '-o', 'jsonpath={.status.assignedIPv4} {.status.availableIPv4}']) ===
        '3 1',
    );
  });

  it('keeps every address over a kill -9, and serves who came meanwhile', async () => {
    const all = () =>
      kubectl([
        'get',
        'services',
        '-o',
        'jsonpath={range .items[*]}{.metadata.name}={.status.loadBalancer.ingress[*].ip} {end}',
      ]);
    const before = all();
    controller.kill('SIGKILL');
    await controller.exited;
    service('meanwhile');
    startController();
    await gets('meanwhile', '198.18.0.1');
    for (const pair of before.trim().split(' ')) expect(all()).toContain(pair);
  });

  it('says in its ConfigurationState what is wrong with the configuration, and when it is mended', async () => {
    const state = () =>
      kubectl([
        'get',
        'configurationstates',
        'controller',
        '-o',
        'jsonpath={.status.result} {.status.conditions[0].type}={.status.conditions[0].status} {.status.errorSummary}',
      ]);
    await until('valid', () => state() === 'Valid poolReconcilerValid=True ');
    // The embedded API refuses this at once; a cluster without webhooks takes it.
    const bad =
      'apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: bad}\nspec: {ipAddressPools: [p, p]}\n';
    const refusedByAdmission = run(['kubectl', '-n', namespace, 'apply', '-f', '-'], {
      input: bad,
      env: { KUBECONFIG: kubeconfig },
    });
    if (refusedByAdmission.status !== 0) {
      expect(refusedByAdmission.stderr).toContain('spec.ipAddressPools[1]: Invalid value: "p": this is listed twice');
      return;
    }
    await until('invalid', () => state().startsWith('Invalid poolReconcilerValid=False L2Advertisement'));
    expect(state()).toContain('spec.ipAddressPools[1]: "p": this is listed twice; list it once');
    kubectl(['delete', 'l2advertisement', 'bad']);
    await until('valid again', () => state() === 'Valid poolReconcilerValid=True ');
  });

  it('shows its metrics over HTTPS to those whom the API server lets see them, and to nobody else', async ({
    skip,
  }) => {
    if (process.env.METALLB_TEST_KUBECONFIG === undefined) skip('the embedded API reviews no tokens');
    const port = await freePort();
    const flags = [
      '--kubeconfig',
      kubeconfig,
      '--namespace',
      namespace,
      '--leader-elect',
      '--port',
      String(port),
      '--health-probe-port',
      '0',
      '--webhook-mode',
      'disabled',
    ];
    const scraped = start('scraped', [METALLB, 'controller', ...flags], join(directory.path, 'scraped.log'));
    const scrape = (token?: string) =>
      run([
        'curl',
        '-sk',
        '-w',
        '%{http_code}',
        ...(token ? ['-H', `Authorization: Bearer ${token}`] : []),
        `https://127.0.0.1:${port}/metrics`,
      ]).stdout;
    await until('the metrics port', () => scrape() !== '000');
    kubectl(['create', 'serviceaccount', 'nobody']);
    const stranger = kubectl(['create', 'token', 'nobody']).trim();
    const admin = /token: (\S+)/.exec(readFileSync(kubeconfig, 'utf8'))![1]!;
    expect(scrape()).toContain('401');
    expect(scrape('wrong')).toContain('401');
    expect(scrape(stranger)).toContain('403');
    const metrics = scrape(admin);
    expect(metrics).toMatch(/200$/);
    expect(metrics).toContain('metallb_k8s_client_updates_total');
    await scraped.stop();
  });

  it('gives dual-stack Services both families', async () => {
    pool('dual', '198.18.1.0/30, 2001:db8::/126', ', autoAssign: false');
    service('dual', { annotations: 'metallb.io/address-pool: dual', spec: ', ipFamilyPolicy: RequireDualStack' });
    await gets('dual', '198.18.1.0 2001:db8::');
  });

  it('says that nothing announces an address, which advertisement is without effect, and whose address it is', async () => {
    const advertise = (name: string) =>
      apply(
        `apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: lan}\nspec: {ipAddressPools: [${name}]}\n`,
      );
    const condition = (kind: string, name: string, type: string) =>
      kubectl(['get', kind, name, '-o', `jsonpath={.status.conditions[?(@.type=="${type}")].status}`]);
    advertise('nobodys');
    pool('quiet', '198.18.7.0/32', ', autoAssign: false');
    service('silent', { annotations: 'metallb.io/address-pool: quiet' });
    await says('silent', 'notAdvertised: the Service has an address, and nothing announces it');
    await until('the condition', () => condition('service', 'silent', 'metallb.io/AddressAdvertised') === 'False');
    await until('no effect', () => condition('l2advertisement', 'lan', 'Effective') === 'False');
    advertise('quiet');
    await until('the condition', () => condition('service', 'silent', 'metallb.io/AddressAdvertised') === 'True');
    await until('an effect', () => condition('l2advertisement', 'lan', 'Effective') === 'True');

    const clusterIp = kubectl(['get', 'service', 'silent', '-o', 'jsonpath={.spec.clusterIP}']);
    pool('inside', `${clusterIp}/32`, ', autoAssign: false');
    service('astray', { annotations: 'metallb.io/address-pool: inside' });
    await says('astray', `foreignAddress: address ${clusterIp} is also the cluster IP of`);
    kubectl(['delete', 'service', 'silent', 'astray']);
    kubectl(['delete', 'ipaddresspool', 'inside', 'quiet']);
    kubectl(['delete', 'l2advertisement', 'lan']);
  });

  it('takes the address back when the type changes', async () => {
    kubectl(['patch', 'service', 'meanwhile', '-p', '{"spec":{"type":"ClusterIP"}}']);
    await gets('meanwhile', '');
  });

  it('leads only while it holds the Lease, and hands over at once when it is asked to end', async () => {
    await controller.stop();
    const leader = launch('leader', '--leader-elect');
    await until('the first leads', () => leader.log().includes('this controller leads'));
    const standby = launch('standby', '--leader-elect');
    service('led', { annotations: 'metallb.io/address-pool: p' });
    await gets('led', '198.18.0.1');
    expect(standby.log()).not.toContain('this controller leads');
    await leader.stop();
    await until('the standby leads', () => standby.log().includes('this controller leads'));
    kubectl(['delete', 'service', 'led']);
    service('after', { annotations: 'metallb.io/address-pool: p' });
    await gets('after', '198.18.0.1');
    await standby.stop();
    startController();
  });

  it('follows a ConfigMap of the time before 0.13: the layer 2 example of document 003 as it is written', async () => {
    await controller.stop();
    const follow = () => {
      controller = launch('following', '--config-map', 'metallb-config');
    };
    follow();
    const document = (file: string) =>
      readFileSync(`lab/manifests/${file}`, 'utf8').replace('namespace: metallb-system', `namespace: ${namespace}`);
    const origin = ['-l', 'metallb.io/config-map=metallb-config', '-o', 'name'];
    const made = () =>
      kubectl(['get', 'ipaddresspools,l2advertisements,bgpadvertisements,bgppeers', ...origin])
        .trim()
        .split('\n')
        .sort();
    apply(document('flux-configmap-layer2.yaml'));
    await until(
      'the resources',
      () => made().join() === 'ipaddresspool.metallb.io/default,l2advertisement.metallb.io/l2advertisement1',
    );
    service('legacy', { annotations: 'metallb.io/address-pool: default' });
    await gets('legacy', '192.168.1.240');
    apply(document('flux-configmap-layer2.yaml').replace('192.168.1.240-', '192.168.1.260-'));
    await says('metallb-config', 'the range begins with "192.168.1.260", which is not an IP address');
    expect(made()).toHaveLength(2);
    expect(address('legacy')).toBe('192.168.1.240');
    apply(document('flux-configmap-bgp.yaml'));
    const bgp = [
      'bgpadvertisement.metallb.io/bgpadvertisement1',
      'bgppeer.metallb.io/peer1',
      'bgppeer.metallb.io/peer2',
    ];
    await until('the BGP example', () => made().join() === [...bgp, 'ipaddresspool.metallb.io/default'].join());
    // avoid-buggy-ips: the pool begins at .1
    await gets('legacy', '192.168.32.1');
    kubectl(['delete', 'configmap', 'metallb-config']);
    kubectl(['delete', 'service', 'legacy']);
    await controller.stop();
    startController();
  });

  it('makes the Secret of the speakers once, owned by its Deployment', async () => {
    kubectl(['create', 'deployment', 'controller', '--image=metallb-ts', '--replicas=0']);
    const flags = ['--ml-secret-name', 'memberlist', '--deployment', 'controller', '--leader-elect'];
    const read = () => JSON.parse(kubectl(['get', 'secret', 'memberlist', '-o', 'json']));
    const first = launch('with-secret', ...flags);
    await until(
      'the Secret',
      () =>
        run(['kubectl', '-n', namespace, 'get', 'secret', 'memberlist'], { env: { KUBECONFIG: kubeconfig } }).status ===
        0,
    );
    await first.stop();
    const secret = read();
    expect(Buffer.from(secret.data.secretkey, 'base64').toString()).toMatch(/^[A-Za-z0-9+/]{22}$/);
    expect(secret.metadata.ownerReferences).toMatchObject([
      { apiVersion: 'apps/v1', kind: 'Deployment', name: 'controller' },
    ]);
    const second = launch('with-secret-again', ...flags);
    await until('the start', () => second.log().includes('memberlist Secret present'));
    await second.stop();
    expect(read().data).toEqual(secret.data);
    expect(second.log() + first.log()).not.toContain(Buffer.from(secret.data.secretkey, 'base64').toString());
  });
});
