import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANIFESTS } from '../../lab/kubernetes/cluster.ts';
import { run } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { metallb, type Standalone, scratch, startStandalone } from './processes.ts';

describe('explain, plan and convert', () => {
  const directory = scratch();
  let standalone: Standalone;
  const file = (name: string, content: string) => {
    const path = join(directory.path, name);
    writeFileSync(path, content);
    return path;
  };
  const apply = (...args: string[]) => standalone.kubectl(['apply', ...args]);
  const tool = async (...args: string[]) => (await metallb(args, { KUBECONFIG: standalone.kubeconfig })).stdout;

  beforeAll(async () => {
    standalone = await startStandalone(directory.path);
    await apply('-f', join(MANIFESTS, 'raspberry-hello-deployment.yaml'));
  });
  afterAll(async () => {
    await standalone.process.stop();
    directory.remove();
  });

  it('convert gives resources that kubectl apply takes and that serve', async () => {
    for (const name of ['flux-configmap-bgp.yaml', 'flux-configmap-layer2.yaml']) {
      const { status, stdout } = await metallb(['convert', '-f', join(MANIFESTS, name)]);
      expect(status).toBe(0);
      await standalone.kubectl(['delete', 'ipaddresspools', '--all', '-n', 'metallb-system']);
      const applied = await apply('-f', file('converted.yaml', stdout));
      expect(applied.stderr).toBe('');
      expect(applied.stdout).toContain('ipaddresspool.metallb.io/default created');
    }
    const address = ['get', 'service', 'echo-service', '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}'];
    await until('the layer 2 pool serves', async () => (await standalone.kubectl(address)).stdout === '192.168.1.240');
  });

  it('plan tells what would change, offline too, and changes nothing', async () => {
    const change = file(
      'change.yaml',
      'apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: default, namespace: metallb-system}\nspec: {addresses: [192.168.7.0/30]}\n---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: bad, namespace: metallb-system}\nspec: {addresses: [192.168.7.0/24]}\n',
    );
    const dump = file(
      'dump.yaml',
      (await standalone.kubectl(['get', 'services,ipaddresspools,namespaces', '-A', '-o', 'yaml'])).stdout,
    );
    const plans = [await tool('plan', '-f', change), (await metallb(['plan', '-f', change, '--dump', dump])).stdout];
    for (const plan of plans) {
      expect(plan).toContain(
        'default/echo-service: 192.168.1.240 -> 192.168.7.0 (default/echo-service loses 192.168.1.240: address 192.168.1.240 is in no IPAddressPool',
      );
      expect(plan).toContain(
        'IPAddressPool metallb-system/bad: spec.addresses: "192.168.7.0/24": it overlaps 192.168.7.0/30 of IPAddressPool default',
      );
    }
    const { stdout } = await standalone.kubectl([
      'get',
      'service',
      'echo-service',
      '-o',
      'jsonpath={.status.loadBalancer.ingress[0].ip}',
    ]);
    expect(stdout).toBe('192.168.1.240');
  });

  it('plan takes its files for one change, and says what becomes of an address that is asked away', async () => {
    const pools = (...ranges: string[]) =>
      ranges
        .map(
          (range, i) =>
            `{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: p${i}, namespace: metallb-system}, spec: {addresses: [${range}]}}\n`,
        )
        .join('---\n');
    const web = (annotation: string, more = '') =>
      `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default, annotations: {${annotation}}}, spec: {type: LoadBalancer, ports: [{port: 80}]${more}}`;
    const held =
      web('metallb.io/ip-allocated-from-pool: p0', ', clusterIPs: [10.0.0.1]') +
      ', status: {loadBalancer: {ingress: [{ip: 192.0.2.5}]}}}\n';
    const dump = file('held.yaml', `${pools('192.0.2.0/29')}---\n${held}`);
    const plan = async (content: string, ...more: string[]) =>
      (await metallb(['plan', '-f', file('plan.yaml', content), '--dump', dump, ...more])).stdout;
    const split = pools('192.0.2.0/30', '192.0.2.4/30');
    expect(await plan(split)).toContain('default/web: 192.0.2.5 (of pool "p1" instead of "p0")');
    expect(await plan(split, '--pool-change-grace', '0')).toContain('default/web: 192.0.2.5 -> 192.0.2.0');
    const wish = `${web('metallb.io/loadBalancerIPs: 203.0.113.9')}}\n`;
    expect(await plan(wish)).toContain(
      'default/web: 192.0.2.5 -> no address (default/web loses 192.0.2.5: it requests',
    );
    expect(await plan(wish, '--keep-address-until-served')).toContain(
      'default/web keeps 192.0.2.5 until it can have what',
    );
  });

  it('plan tells which BGP sessions would restart', async () => {
    const peer = (spec: string) =>
      `{apiVersion: metallb.io/v1beta2, kind: BGPPeer, metadata: {name: leaf, namespace: metallb-system}, spec: {myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ${spec}}}\n`;
    const dump = file('peer.yaml', peer('connectTime: 5s'));
    const plan = async (spec: string) =>
      (await metallb(['plan', '-f', file('changed-peer.yaml', peer(spec)), '--dump', dump])).stdout;
    expect(await plan('connectTime: 9s')).not.toContain('BGP');
    expect(await plan('holdTime: 30s, password: x')).toContain(
      'BGP sessions that would restart:\n  leaf: because of the password, holdTime\n',
    );
  });

  it('plan tells what the webhook would refuse, as FRR on the nodes has it', async () => {
    const peer = (name: string, spec: string) =>
      `{apiVersion: metallb.io/v1beta2, kind: BGPPeer, metadata: {name: ${name}, namespace: metallb-system}, spec: {peerASN: 2, ${spec}}}\n`;
    const speaker = (type: string) =>
      `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: speaker, namespace: metallb-system}, spec: {template: {spec: {containers: [{env: [{name: METALLB_BGP_TYPE, value: ${type}}]}]}}}}\n`;
    const dump = (type: string) =>
      file(
        `plan-${type}.yaml`,
        [
          peer('first', 'myASN: 1, peerAddress: 192.0.2.1, nodeSelectors: [{matchLabels: {rack: "1"}}]'),
          '{apiVersion: v1, kind: Node, metadata: {name: n, labels: {rack: "1"}}}\n',
          speaker(type),
        ].join('---\n'),
      );
    const more = file('more-peers.yaml', peer('second', 'myASN: 3, peerAddress: 192.0.2.2'));
    const plan = async (args: string[], env = {}) => (await metallb(['plan', '-f', more, ...args], env)).stdout;
    const refusal =
      'Objects that the webhook would refuse:\n  BGPPeer metallb-system/second: spec.myASN: "3": BGPPeer first has 1, FRR has one AS number per VRF, and both run on one node; give both the same myASN, or give them nodeSelectors that share no node, or use BGP type native\n';
    expect(await plan(['--dump', dump('frr-k8s')])).toContain(`${refusal}No object would be set aside.\n`);
    expect(await plan(['--dump', dump('native')])).not.toContain('refuse');
    expect(await plan(['--dump', dump('native'), '--bgp-type', 'frr-k8s'])).toContain(refusal);
    expect(await plan(['--dump', dump('native')], { METALLB_BGP_TYPE: 'frr-k8s' })).toContain(refusal);
  });

  it('plan and explain tell of annotations that do nothing', async () => {
    const misspelt = file(
      'misspelt.yaml',
      '{apiVersion: v1, kind: Service, metadata: {name: s, annotations: {metallb.io/loadbalancerIPs: 192.0.2.9}}, spec: {type: LoadBalancer, clusterIP: 10.0.0.1}}\n',
    );
    const meant =
      'annotation metallb.io/loadbalancerIPs is no annotation of ours; did you mean metallb.io/loadBalancerIPs?';
    expect((await metallb(['plan', '-f', misspelt, '--dump', misspelt])).stdout).toContain(
      `Warnings:\n  Service default/s: ${meant}\n`,
    );
    expect((await metallb(['explain', 'service', 's', '--dump', misspelt])).stdout).toContain(
      `unknownAnnotation: ${meant}\n`,
    );
  });

  it.each<[string, (dump: string) => readonly string[]]>([
    ['explain', (dump) => ['explain', 'service', 's', '--dump', dump]],
    ['explain as JSON', (dump) => ['explain', 'service', 's', '--dump', dump, '-o', 'json']],
    ['plan', (dump) => ['plan', '-f', dump, '--dump', dump]],
    ['migrate', (dump) => ['migrate', '--dump', dump]],
    ['an error', (dump) => ['explain', 'service', '\u001b]0;x\u0007', '--dump', dump]],
  ])('%s moves no cursor of a terminal, whatever users have written', async (_, args) => {
    const evil = '\\e]0;x\\a\\e[2J\\u202e\\nService default/s';
    const dump = file(
      'evil.yaml',
      `apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations: {metallb.io/address-pool: "${evil}", "metallb.io/${evil}": x}\nspec: {type: LoadBalancer, clusterIP: 10.0.0.1}\n---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: "${evil}", namespace: metallb-system}\nspec: {addresses: ["${evil}"]}\n`,
    );
    const { stdout, stderr } = await metallb(args(dump));
    const text = stdout + stderr;
    expect(text).not.toBe('');
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(text.split('\n').filter((line) => line.startsWith('Service default/s')).length).toBeLessThan(2);
  });

  it('explain names pools and nodes with their verdicts, for people and for programs', async () => {
    const manual =
      '{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: manual, namespace: metallb-system}, spec: {autoAssign: false, addresses: [192.168.9.0/30]}}';
    run(['kubectl', 'apply', '-f', '-'], { input: manual, env: { KUBECONFIG: standalone.kubeconfig } });
    const text = await tool('explain', 'service', 'default/echo-service');
    expect(text).toContain('Service default/echo-service: 192.168.1.240');
    expect(text).toContain('pool "default" gave the address');
    expect(text).toContain('pool "manual" has autoAssign off');
    expect(text).toContain('no endpoint of the Service can serve');
    const json = JSON.parse(await tool('explain', 'service', 'echo-service', '-o', 'json'));
    expect(json).toMatchObject({
      service: 'default/echo-service',
      addresses: ['192.168.1.240'],
      pools: [
        { pool: 'default', verdict: 'chosen' },
        { pool: 'manual', verdict: 'auto-assign-off' },
      ],
    });
  });

  it.each<[string, readonly string[], string]>([
    ['a Service that does not exist', ['explain', 'service', 'nowhere/nothing'], 'there is no Service nowhere/nothing'],
    ['something else than a Service', ['explain', 'node', 'n'], '"node" cannot be explained'],
    ['a file that does not exist', ['plan', '-f', '/nonexistent.yaml'], '/nonexistent.yaml cannot be read'],
    [
      'a ConfigMap without configuration',
      ['convert', '-f', join(MANIFESTS, 'flux-namespace.yaml')],
      'it has no data.config',
    ],
  ])('refuse %s in one line', async (_, args, message) => {
    const { status, stderr } = await metallb(args, { KUBECONFIG: standalone.kubeconfig });
    expect(status).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('migrate tells of a dump what stays, what changes and in which order, and reads the pools of others', async () => {
    const dump = file('metallb.yaml', MIGRATED);
    const { status, stdout } = await metallb(['migrate', '--dump', dump]);
    expect(status).toBe(1);
    for (const line of [
      'controller metallb-system/controller, quay.io/metallb/controller:v0.14.9',
      '1 IPAddressPool: read as they are',
      '1 of 2 Services keep their addresses',
      'default/lost: address: now 198.51.100.9, would be 192.0.2.0',
      'speaker: --enable-pprof is unknown here',
      'kubectl -n metallb-system delete daemonset speaker',
    ])
      expect(stdout).toContain(line);
    const pools = file(
      'kubevip.yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubevip, namespace: kube-system}\ndata: {range-global: 192.168.1.220-192.168.1.230, cidr-x: 0.0.0.0/32}\n',
    );
    const imported = await metallb(['migrate', '--from', 'kube-vip', '--dump', pools]);
    expect(imported.stdout).toContain('# cidr-x: addresses from DHCP are not supported');
    const applied = await apply('--dry-run=server', '-f', file('imported.yaml', imported.stdout));
    expect(applied.stdout).toContain('ipaddresspool.metallb.io/kube-vip-global created (server dry run)');
    const none = await metallb(['migrate', '--from', 'cilium', '--dump', pools]);
    expect([none.status, none.stderr]).toEqual([
      1,
      'metallb: nothing to import: no CiliumLoadBalancerIPPool was found\n',
    ]);
  });
});

const MIGRATED = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: metallb-system}
spec: {template: {spec: {containers: [{name: controller, image: "quay.io/metallb/controller:v0.14.9", args: [--port=7472]}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker, namespace: metallb-system}
spec: {template: {spec: {containers: [{name: speaker, image: "quay.io/metallb/speaker:v0.14.9", args: [--port=7472, --enable-pprof]}]}}}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: p, namespace: metallb-system}
spec: {addresses: [192.0.2.0/28]}
---
apiVersion: v1
kind: Service
metadata: {name: kept, namespace: default}
spec: {type: LoadBalancer, clusterIP: 10.0.0.1, ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.3}]}}
---
apiVersion: v1
kind: Service
metadata: {name: lost, namespace: default}
spec: {type: LoadBalancer, clusterIP: 10.0.0.2, ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 198.51.100.9}]}}
`;
