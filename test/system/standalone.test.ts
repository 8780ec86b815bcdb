import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANIFESTS } from '../../lab/kubernetes/cluster.ts';
import { run } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { KUBECTLS, type Standalone, scratch, startStandalone } from './processes.ts';

describe.each(KUBECTLS)('metallb standalone with %s', (binary) => {
  const directory = scratch();
  let standalone: Standalone;
  const kubectl = async (...args: string[]) => {
    const result = await standalone.kubectl(args, binary);
    if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };
  const address = async (namespace: string, name: string) =>
    (await kubectl('get', 'service', '-n', namespace, name, '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}')) ||
    undefined;

  beforeAll(async () => {
    standalone = await startStandalone(directory.path);
    for (const name of ['metallb', 'ingress', 'ingress-nginx']) await kubectl('create', 'namespace', name);
  });
  afterAll(async () => {
    await standalone.process.stop();
    directory.remove();
  });

  it.each(readdirSync(MANIFESTS).filter((name) => name.endsWith('.yaml')))(
    'takes %s of the users as it is',
    async (name) => {
      expect(await kubectl('apply', '-f', join(MANIFESTS, name))).toMatch(/created|configured/);
      expect(await kubectl('apply', '-f', join(MANIFESTS, name))).toMatch(/unchanged|configured/);
    },
  );

  it('gives their Services the addresses that the documents promise', async () => {
    await until(
      'every Service has its address',
      async () =>
        (await address('default', 'echo-service')) && (await address('ingress-nginx', 'ingress-nginx-controller')),
    );
    expect(await address('ingress', 'ingress')).toBe('192.168.88.44');
    expect(await address('ingress-nginx', 'ingress-nginx-controller')).toBeDefined();
    const table = await kubectl('get', 'services', '--all-namespaces');
    expect(table).toMatch(/^NAMESPACE\s+NAME\s+TYPE\s+CLUSTER-IP\s+EXTERNAL-IP\s+PORT\(S\)\s+AGE$/m);
    expect(table).toMatch(
      /ingress-nginx-controller\s+LoadBalancer\s+10\.102\.87\.119\s+\S+\s+80:30384\/TCP,443:32623\/TCP/,
    );
    expect(await kubectl('describe', 'service', 'echo-service')).toMatch(
      /Normal\s+IPAllocated\s+\S+\s+metallb-controller\s+Assigned IP/,
    );
  });

  it('shows pools with the columns that people know', async () => {
    expect(await kubectl('get', 'ipaddresspools', '-n', 'metallb-system')).toMatch(
      /^NAME\s+AUTO ASSIGN\s+AVOID BUGGY IPS\s+ADDRESSES$/m,
    );
  });

  it('refuses what is wrong, with object, field, value and cure', async () => {
    const apply = (text: string) =>
      run([binary, 'apply', '-f', '-'], { input: text, env: { KUBECONFIG: standalone.kubeconfig } }).stderr;
    const pool = (addresses: string, more = '') =>
      `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: bad, namespace: metallb-system}
spec: {addresses: ${addresses}${more}}
`;
    expect(apply(pool('[203.0.113.7]'))).toContain(
      'spec.addresses[0]: Invalid value: "203.0.113.7": a bare address is not accepted here; write 203.0.113.7/32',
    );
    expect(apply(pool('[203.0.113.9-203.0.113.1]'))).toContain('the range begins after its end');
    expect(apply(pool('[192.168.1.0/24]'))).toContain(
      'of IPAddressPool custom-addresspool; leave the shared addresses in one of the two pools',
    );
    expect(apply(pool('[203.0.113.0/24]', ', autoAsign: false'))).toMatch(/unknown field "spec\.autoAsign"/);
    expect(apply(pool('[203.0.113.0/24]', ', autoAssign: sometimes'))).toContain('spec.autoAssign');
    expect(
      apply(
        'apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: LoadBalancer, loadbalancerIP: 1.2.3.4, ports: [{port: 80}]}\n',
      ),
    ).toMatch(/unknown field "spec\.loadbalancerIP"/);
    expect(apply('apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: LoadBalancer}\n')).toContain(
      'spec.ports: Required value',
    );
    expect(await address('default', 'echo-service')).toBeDefined();
  });

  it('keeps everything over kill -9', async () => {
    const before = await kubectl(
      'get',
      'services',
      '--all-namespaces',
      '-o',
      'jsonpath={range .items[*]}{.metadata.uid} {.status.loadBalancer.ingress[0].ip}{"\\n"}{end}',
    );
    standalone.process.kill('SIGKILL');
    await standalone.process.exited;
    standalone = await startStandalone(directory.path);
    expect(
      await kubectl(
        'get',
        'services',
        '--all-namespaces',
        '-o',
        'jsonpath={range .items[*]}{.metadata.uid} {.status.loadBalancer.ingress[0].ip}{"\\n"}{end}',
      ),
    ).toBe(before);
    await kubectl('create', 'service', 'loadbalancer', 'after', '--tcp=80:80');
    const given = await until('a new Service gets an address', () => address('default', 'after'));
    expect(before).not.toContain(` ${given}\n`);
  });

  it('keeps its secrets to its owner', () => {
    const data = join(directory.path, 'data');
    expect(readdirSync(data)).toEqual(expect.arrayContaining(['kubeconfig', 'identity.json', 'objects.db']));
    for (const name of ['.', ...readdirSync(data)])
      expect([name, statSync(join(data, name)).mode & 0o077]).toEqual([name, 0]);
    const { token } = JSON.parse(readFileSync(join(directory.path, 'data', 'identity.json'), 'utf8'));
    expect(readFileSync(standalone.process.logFile, 'utf8')).not.toContain(token);
  });

  it('goes on without an object that cannot be read, and says which', async () => {
    await kubectl('create', 'configmap', 'spoilt');
    await standalone.process.stop();
    const database = new DatabaseSync(join(directory.path, 'data', 'objects.db'));
    database.exec("UPDATE objects SET body = '{' WHERE key = 'default/spoilt'");
    database.close();
    standalone = await startStandalone(directory.path);
    expect(readFileSync(standalone.process.logFile, 'utf8')).toContain(
      'the stored object default/spoilt of configmaps cannot be read',
    );
    expect(await kubectl('get', 'configmaps', '--all-namespaces')).not.toContain('spoilt');
    expect(await address('default', 'echo-service')).toBeDefined();
  });

  it('refuses clients without its token', async () => {
    const { status, stdout } = run([
      'curl',
      '-sk',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      `https://127.0.0.1:${standalone.port}/api/v1/services`,
    ]);
    expect([status, stdout]).toEqual([0, '401']);
  });
});

describe('metallb standalone without NET_RAW', () => {
  it.skipIf(process.getuid?.() !== 0)(
    'says so, and does everything but answer ARP (needs root to give the capability up)',
    async () => {
      const directory = scratch();
      const standalone = await startStandalone(
        directory.path,
        [],
        ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-all'],
      );
      const pool =
        '{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: p, namespace: metallb-system}, spec: {addresses: [192.0.2.0/30]}}';
      run(['kubectl', 'apply', '-f', '-'], { input: pool, env: { KUBECONFIG: standalone.kubeconfig } });
      await standalone.kubectl(['create', 'service', 'loadbalancer', 'web', '--tcp=80:80']);
      const given = await until(
        'the address',
        async () =>
          (await standalone.kubectl(['get', 'service', 'web', '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}']))
            .stdout,
      );
      const log = standalone.process.log();
      await standalone.process.stop();
      directory.remove();
      expect(given).toBe('192.0.2.0');
      expect(log).toContain('the capability NET_RAW is missing; run as root, or grant it');
    },
  );
});
