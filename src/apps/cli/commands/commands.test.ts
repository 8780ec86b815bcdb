import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { configured, endpoints, namespace, node, pool, service } from '../../../../test/builders.ts';
import type { KubernetesObject } from '../../../core/api/kubernetes.ts';
import { BGP_VERDICTS, NODE_VERDICTS } from '../../../core/reasons/reasons.ts';
import { addExplainCommand } from './explain.ts';
import { addMigrateCommand } from './migrate.ts';
import { addPlanCommand } from './plan.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'commands-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
  process.exitCode = undefined;
});

/** Objects with their kinds, as `kubectl get -o yaml` has them, in a file. */
function file(name: string, objects: Readonly<Record<string, readonly object[]>>): string {
  const items = Object.entries(objects).flatMap(([kind, list]) => list.map((object) => ({ kind, ...object })));
  writeFileSync(join(folder, name), JSON.stringify({ kind: 'List', items }));
  return join(folder, name);
}

/** What a command writes to standard output. */
async function run(add: (program: Command) => void, ...words: readonly string[]): Promise<string> {
  let output = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text;
    return true;
  });
  const program = new Command();
  add(program);
  await program.parseAsync(words, { from: 'user' });
  return output;
}

/** What stands below a heading, or undefined when there is no such heading. */
function section(output: string, heading: string): string[] | undefined {
  const lines = output.split('\n');
  const at = lines.findIndex((line) => line.startsWith(heading));
  if (at < 0) return undefined;
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => !line.startsWith('  '));
  return rest.slice(0, end < 0 ? undefined : end).map((line) => line.slice(2));
}

const router = (name: string, more: object = {}) =>
  configured(name, { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.254', ...more });
const session = (node: string, peer: string, state: string, more: object = {}) => ({
  ...configured(`${node}-${peer}`),
  status: { node, peer, state, ...more },
});
/** One Service with an address, on two nodes of which only `a` has an endpoint. */
const LAYER2: Readonly<Record<string, readonly KubernetesObject[]>> = {
  Namespace: [namespace('default')],
  Node: [node('a'), node('b')],
  IPAddressPool: [pool('p', ['192.0.2.0/30']), pool('q', ['198.51.100.0/30'], { autoAssign: false })],
  L2Advertisement: [configured('l2')],
  Service: [service('web', { externalTrafficPolicy: 'Local' }, {}, ['192.0.2.1']), service('new')],
  EndpointSlice: [endpoints('web', 'a')],
};
const BGP: Readonly<Record<string, readonly KubernetesObject[]>> = {
  ...LAYER2,
  L2Advertisement: [],
  BGPAdvertisement: [configured('ad', { peers: ['r1', 'r2'], communities: ['64500:7'] })],
  BGPPeer: [router('r1'), router('r2', { peerAddress: '192.0.2.253' }), router('r3', { peerAddress: '192.0.2.252' })],
  Service: [service('web', {}, {}, ['192.0.2.1'])],
};

describe('explain', () => {
  const explain = (objects: Readonly<Record<string, readonly object[]>>, ...words: readonly string[]) =>
    run(addExplainCommand, 'explain', 'service', ...words, '--dump', file('dump.json', objects));

  it('names annotations of Nodes and configuration objects that do nothing', async () => {
    const annotations = (name: string) => ({ annotations: { [`metallb.io/${name}`]: 'true' } });
    const drained = { ...node('n'), metadata: { ...node('n').metadata, ...annotations('drian') } };
    const objects = { ...LAYER2, Node: [drained], BGPPeer: [configured('r', {}, annotations('pasive'))] };
    expect(section(await explain(objects, 'web'), 'Annotations that do nothing:')).toEqual([
      'Node n: annotation metallb.io/drian is no annotation of ours; did you mean metallb.io/drain?',
      'BGPPeer metallb-system/r: annotation metallb.io/pasive is no annotation of ours; did you mean metallb.io/passive?',
    ]);
  });

  it('says what every pool and node is to a Service, and leaves out what there is nothing to say of', async () => {
    const text = await explain(LAYER2, 'default/web');
    expect(text.split('\n')[0]).toBe('Service default/web: 192.0.2.1');
    expect(section(text, 'Pools:')).toEqual([expect.stringMatching(/^pool "p" /), expect.stringMatching(/^pool "q" /)]);
    expect(section(text, 'Layer 2 (1 endpoint;')).toEqual([
      `a: ${NODE_VERDICTS.owner}`,
      `b: ${NODE_VERDICTS['no-local-endpoint']}`,
    ]);
    for (const heading of ['BGP', 'Routes', 'Sessions', 'What the speakers say', 'Configuration'])
      expect(section(text, heading)).toBeUndefined();
  });

  it('takes a name alone for one in the namespace default, and says when there is no address', async () => {
    const text = await explain({ ...LAYER2, IPAddressPool: [] }, 'new');
    expect(text.split('\n')[0]).toBe('Service default/new: no address');
    expect(section(text, 'What the controller says:')).toEqual([expect.stringMatching(/^[A-Za-z]+: ./)]);
    expect(section(text, 'Pools:')).toBeUndefined();
  });

  it('counts endpoints in words', async () => {
    const EndpointSlice = [endpoints('web', 'a', 'b')];
    expect(section(await explain({ ...LAYER2, EndpointSlice }, 'web'), 'Layer 2 (2 endpoints;')).toHaveLength(2);
    expect(section(await explain({ ...LAYER2, EndpointSlice: [] }, 'web'), 'Layer 2 (0 endpoints;')).toEqual([
      `a: ${NODE_VERDICTS['no-endpoints']}`,
      `b: ${NODE_VERDICTS['no-endpoints']}`,
    ]);
  });

  it('says who announces, by what the speakers say themselves', async () => {
    const told = (node: string, interfaces?: readonly string[]) => ({
      ...configured(`l2-${node}`),
      status: {
        node,
        serviceName: 'web',
        serviceNamespace: 'default',
        ...(interfaces !== undefined && { interfaces: interfaces.map((name) => ({ name })) }),
      },
    });
    const other = { ...told('c'), status: { node: 'c', serviceName: 'other', serviceNamespace: 'default' } };
    const text = await explain({ ...LAYER2, ServiceL2Status: [told('a', ['eth0', 'eth1']), told('b'), other] }, 'web');
    expect(section(text, 'What the speakers say')).toEqual([
      'a announces it on eth0, eth1 since 2026-01-01T00:00:00Z',
      'b announces it on every link since 2026-01-01T00:00:00Z',
    ]);
  });

  it('says which Services the owner of a shared address does not serve, and what speakers say of other claims', async () => {
    const LOCAL = { externalTrafficPolicy: 'Local' };
    const key = { annotations: { 'metallb.io/allow-shared-ip': 'k' } };
    const three = ['web', 'two', 'three'].map((name, i) =>
      service(name, { ...LOCAL, ports: [{ port: 80 + i }] }, key, ['192.0.2.1']),
    );
    const message = '192.0.2.1 is also claimed';
    const ServiceL2Status = [
      {
        ...configured('l2-a'),
        status: { node: 'a', serviceName: 'web', serviceNamespace: 'default', conditions: [{ message }] },
      },
    ];
    const EndpointSlice = [endpoints('web', 'a'), endpoints('two', 'a'), endpoints('three', 'b')];
    const objects = { ...LAYER2, Service: three, EndpointSlice, ServiceL2Status };
    expect(section(await explain(objects, 'three'), 'Layer 2 (1 endpoint;')).toEqual([
      `a: ${NODE_VERDICTS['no-local-endpoint']}`,
      `b: ${NODE_VERDICTS['serves-fewer']}`,
      'a announces the address for other Services that share it',
    ]);
    expect(section(await explain(objects, 'web'), 'What the speakers say')).toContain(message);
  });

  it('says of each address who owns it, where a Service must have two owners', async () => {
    const status = (address: string) => ({ addresses: [{ type: 'InternalIP', address }] });
    const Node = [
      { ...node('a'), status: status('192.0.2.1') },
      { ...node('b'), status: status('192.0.2.2') },
    ];
    const Service = [service('web', {}, {}, ['192.0.2.1', '192.0.2.2'])];
    const text = await explain({ ...LAYER2, Node, Service }, 'web');
    expect(section(text, 'Layer 2 (192.0.2.1; 1 endpoint;')).toEqual([
      `a: ${NODE_VERDICTS.owner}`,
      `b: ${NODE_VERDICTS['address-of-node']}`,
    ]);
    expect(section(text, 'Layer 2 (192.0.2.2; 1 endpoint;')).toContain(`b: ${NODE_VERDICTS.owner}`);
    const json = JSON.parse(await explain({ ...LAYER2, Node, Service }, 'web', '-o', 'json'));
    expect(json.owners).toEqual([
      { addresses: ['192.0.2.1'], owner: 'a' },
      { addresses: ['192.0.2.2'], owner: 'b' },
    ]);
  });

  it('names configuration that is set aside', async () => {
    const text = await explain({ ...LAYER2, IPAddressPool: [pool('p', ['192.0.2.300/32'])] }, 'web');
    expect(section(text, 'Configuration')).toEqual([
      expect.stringContaining('IPAddressPool metallb-system/p: spec.addresses[0]: "192.0.2.300/32": '),
    ]);
  });

  it('says of BGP what each router is told, once where it is the same for several nodes', async () => {
    const text = await explain(BGP, 'web');
    expect(section(text, 'BGP:')).toEqual([
      'a: announces 192.0.2.1/32 to r1, r2',
      'b: announces 192.0.2.1/32 to r1, r2',
    ]);
    const routes = section(text, 'Routes:')!;
    expect(routes).toHaveLength(2);
    expect(routes[0]).toMatch(/^192\.0\.2\.1\/32: .*64500:7.* \(a, b to r1, r2\)$/);
    expect(routes[1]).toMatch(/^192\.0\.2\.1\/32: not sent: .* \(a, b to r3\)$/);
    expect(section(text, 'Sessions')).toBeUndefined();
  });

  it('says of a route without communities and local preference that it has nothing of its own', async () => {
    const text = await explain({ ...BGP, BGPAdvertisement: [configured('ad')] }, 'web');
    expect(section(text, 'Routes:')).toEqual(['192.0.2.1/32: no attributes of its own (a, b to r1, r2, r3)']);
  });

  it('says of a route that advertisements give more communities than a message takes, that it is not sent', async () => {
    const with600 = (first: number) => ({ communities: Array.from({ length: 600 }, (_, i) => `${first}:${i}`) });
    const text = await explain(
      { ...BGP, BGPAdvertisement: [configured('one', with600(1)), configured('two', with600(2))] },
      'web',
    );
    expect(section(text, 'Routes:')).toEqual([
      expect.stringMatching(/^192\.0\.2\.1\/32: not sent: .*communities.* \(a, b to /),
    ]);
  });

  it('says of a node why it tells routers nothing, or that nobody is there to be told', async () => {
    const excluded = node('b', { 'node.kubernetes.io/exclude-from-external-load-balancers': '' });
    const text = await explain({ ...BGP, Node: [node('a'), excluded], BGPPeer: [] }, 'web');
    expect(section(text, 'BGP:')).toEqual([
      expect.stringMatching(/^a: announces 192\.0\.2\.1\/32 to nobody: /),
      `b: ${BGP_VERDICTS['excluded-by-label']}`,
    ]);
  });

  it('names the sessions that are not up, and says when none is', async () => {
    const down = session('a', 'r1', 'Active', { lastError: 'connection refused' });
    const untried = session('b', 'r1', 'Idle');
    const some = await explain({ ...BGP, BGPSessionStatus: [session('a', 'r2', 'Established'), untried, down] }, 'web');
    expect(section(some, 'Sessions')).toEqual([
      'a with r1: connection refused',
      expect.stringMatching(/^b with r1: ./),
    ]);
    expect(section(some, 'BGP:')).toHaveLength(2);
    const none = await explain({ ...BGP, BGPSessionStatus: [untried, down] }, 'web');
    expect(section(none, 'BGP:')).toHaveLength(3);
    // Where no router has to do with the Service, their sessions do not either.
    expect(section(await explain({ ...LAYER2, BGPSessionStatus: [down] }, 'web'), 'Sessions')).toBeUndefined();
  });

  it('says all of it as JSON, with the words', async () => {
    const explanation = JSON.parse(await explain(LAYER2, 'web', '-o', 'json'));
    expect(explanation).toMatchObject({
      service: 'default/web',
      addresses: ['192.0.2.1'],
      owner: 'a',
      pools: [{ pool: 'p', text: expect.stringMatching(/^pool "p" /) }, { pool: 'q' }],
      nodes: [
        { node: 'a', verdict: 'owner', text: NODE_VERDICTS.owner },
        { node: 'b', verdict: 'no-local-endpoint' },
      ],
      problems: [],
    });
  });

  it.each<[string, readonly string[], number]>([
    ['a Service that is not there', ['service', 'default/none'], 1],
    ['another kind', ['pod', 'web'], 2],
  ])('fails for %s', async (_, words, exitCode) => {
    const dump = ['--dump', file('dump.json', LAYER2)];
    await expect(run(addExplainCommand, 'explain', ...words, ...dump)).rejects.toMatchObject({ exitCode });
  });
});

describe('plan', () => {
  const plan = (
    objects: Readonly<Record<string, readonly object[]>>,
    manifests: Readonly<Record<string, readonly object[]>>,
    ...words: readonly string[]
  ) => run(addPlanCommand, 'plan', '-f', file('new.json', manifests), '--dump', file('dump.json', objects), ...words);

  it('says that nothing would change, in two lines', async () => {
    const Service = [service('web', {}, {}, ['192.0.2.1'])];
    const text = await plan(
      { ...LAYER2, Service },
      { IPAddressPool: [pool('q', ['198.51.100.0/29'], { autoAssign: false })] },
    );
    expect(text.split('\n')).toEqual([expect.stringMatching(/^No Service /), expect.stringMatching(/^No object /), '']);
  });

  it('says which Services gain, change and lose an address, by name, and why', async () => {
    const Service = [
      service('changes', {}, {}, ['192.0.2.1']),
      service('loses', {}, { annotations: { 'metallb.io/address-pool': 'p' } }, ['192.0.2.2']),
      service('stays', {}, {}, ['198.51.100.1']),
    ];
    const IPAddressPool = [pool('p', ['192.0.2.0/30']), pool('q', ['198.51.100.0/30'])];
    const text = await plan(
      { ...LAYER2, IPAddressPool, Service },
      {
        IPAddressPool: [pool('p', ['203.0.113.0/32'], { serviceAllocation: { namespaces: ['elsewhere'] } })],
        Service: [service('gains')],
      },
    );
    expect(section(text, 'Services:')).toEqual([
      expect.stringMatching(/^default\/changes: 192\.0\.2\.1 -> 198\.51\.100\.\d \(.+\)$/),
      expect.stringMatching(/^default\/gains: no address -> 198\.51\.100\.\d \(.+\)$/),
      expect.stringMatching(/^default\/loses: 192\.0\.2\.2 -> no address \(.+\)$/),
    ]);
  });

  it('says which sessions would restart, and for the sake of which fields', async () => {
    const text = await plan(BGP, {
      BGPPeer: [router('r1', { holdTime: '30s', peerPort: 1179 }), router('r2', { peerAddress: '192.0.2.253' })],
    });
    expect(section(text, 'BGP sessions that would restart:')).toEqual(['r1: because of peerPort, holdTime']);
    expect(text).toMatch(/^No Service /);
  });

  it('says what would be refused or set aside, and not what is so already', async () => {
    const bad = pool('old', ['192.0.2.300/32']);
    const objects = { ...LAYER2, IPAddressPool: [...LAYER2.IPAddressPool!, bad] };
    const text = await plan(objects, {
      IPAddressPool: [pool('new', ['192.0.2.301/32'])],
      BGPPeer: [router('r', { bfdProfile: 'later' })],
    });
    expect(section(text, 'Objects that the webhook would refuse:')).toEqual([
      expect.stringContaining('IPAddressPool metallb-system/new: spec.addresses[0]: "192.0.2.301/32": '),
    ]);
    expect(section(text, 'Objects that would be set aside:')).toEqual([
      expect.stringContaining('BGPPeer metallb-system/r: spec.bfdProfile: "later": '),
    ]);
  });

  it('takes an old BGPPeer for what the API server makes of it', async () => {
    const old = { apiVersion: 'metallb.io/v1beta1', ...router('r1', { holdTime: '0s', peerPort: 0 }) };
    expect(section(await plan(BGP, { BGPPeer: [old] }), 'Objects that')).toBeUndefined();
  });

  it('passes over kinds that do not matter, and says all of it as JSON', async () => {
    const text = await plan(
      { ...LAYER2, Service: [] },
      { Ingress: [{ metadata: { name: 'i' } }], Service: [service('gains')] },
      '-o',
      'json',
    );
    expect(JSON.parse(text)).toMatchObject({
      changes: [{ service: 'default/gains', from: '', to: '192.0.2.0', why: expect.stringMatching(/./) }],
      renewed: [],
      rejected: [],
    });
  });

  it('gives as the reason only what the files bring about, not what was so before', async () => {
    const objects = { ...LAYER2, IPAddressPool: [pool('p', ['192.0.2.1/32'])] };
    const text = await plan(objects, { IPAddressPool: [pool('r', ['203.0.113.0/32'])] }, '-o', 'json');
    const [{ service, to, why }] = JSON.parse(text).changes;
    expect([service, to]).toEqual(['default/new', '203.0.113.0']);
    expect(why).toContain('203.0.113.0');
    expect(why).not.toContain('pool "p"');
  });
});

describe('migrate', () => {
  const migrate = (objects: Readonly<Record<string, readonly object[]>>, ...words: readonly string[]) =>
    run(addMigrateCommand, 'migrate', '--dump', file('dump.json', objects), ...words);
  const controller = {
    metadata: { name: 'controller', namespace: 'lbs', annotations: { 'meta.helm.sh/release-name': 'lb' } },
    spec: { template: { spec: { containers: [{ image: 'quay.io/metallb/controller:v1', args: ['--surprise'] }] } } },
  };

  it('says what runs, stays, changes and is set aside, and then the steps by number', async () => {
    const text = await migrate({
      ...LAYER2,
      Deployment: [controller],
      Service: [service('kept', {}, {}, ['192.0.2.1']), service('moved', {}, {}, ['203.0.113.9'])],
      IPAddressPool: [...LAYER2.IPAddressPool!, pool('bad', ['192.0.2.300/32'])],
    });
    expect(section(text, 'Runs now:')).toEqual([
      'controller lbs/controller, quay.io/metallb/controller:v1, by Helm as lb',
    ]);
    const stays = section(text, 'Stays as it is:')!;
    expect(stays[0]).toMatch(/^3 IPAddressPools, 1 L2Advertisement: /);
    expect(stays[1]).toMatch(/^1 of 2 Services /);
    expect(section(text, 'Changes:')).toEqual([
      expect.stringMatching(/^default\/moved: address: now 203\.0\.113\.9, /),
    ]);
    expect(section(text, 'Would be set aside:')).toHaveLength(1);
    expect(section(text, 'Not the same:')).toEqual(['controller: --surprise is unknown here']);
    const steps = section(text, 'In this order:')!;
    expect(steps.map((step) => step.split(' ')[0])).toEqual(steps.map((_, i) => `${i + 1}.`));
    expect(process.exitCode).toBe(1);
  });

  it('ends well where no address changes, and says that it found nothing', async () => {
    const text = await migrate({});
    expect(section(text, 'Runs now:')).toHaveLength(1);
    expect(section(text, 'Stays as it is:')).toHaveLength(2);
    for (const heading of ['Changes:', 'Would be set aside:', 'Not the same:'])
      expect(section(text, heading)).toBeUndefined();
    expect(process.exitCode).toBe(0);
  });

  it('says all of it as JSON', async () => {
    const report = JSON.parse(await migrate({ ...LAYER2, Deployment: [controller] }, '-o', 'json'));
    expect(report).toMatchObject({ runs: [{ component: 'controller', namespace: 'lbs', release: 'lb' }], services: 2 });
  });

  it.each([
    ['a program that it does not know', 'keepalived', 2],
    ['a dump without anything to import', 'kube-vip', 1],
  ])('fails for %s', async (_, from, exitCode) => {
    await expect(migrate({}, '--from', from)).rejects.toMatchObject({ exitCode });
  });
});
