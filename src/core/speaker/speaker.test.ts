import { describe, expect, it } from 'vitest';
import { annotated, configured, endpoints, node, pool, service, speakerPod } from '../../../test/builders.ts';
import { EMPTY_WORLD, eventsOf, TestSpeaker, type World } from '../../../test/test-speaker.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { SpeakerHealth } from '../election/election.ts';
import { formatAddress } from '../net/address.ts';
import type { SpeakerInput, SpeakerOutput, SpeakerSettings } from './state.ts';

const NODES = ['kube-01', 'kube-02', 'kube-03', 'kube-04'];
/** For this address the hash orders the nodes 2, 1, 4, 3 (docs/behaviour/layer2.md#who-announces). */
const ADDRESS = '198.51.100.7';
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

const WORLD: World = {
  ...EMPTY_WORLD,
  nodes: NODES.map((name) => node(name, { name })),
  pods: NODES.map((name) => speakerPod(name)),
  namespaces: [],
  services: [service('web', {}, {}, [ADDRESS])],
  endpointslices: [endpoints('web', 'kube-01')],
  ipaddresspools: [pool('p', ['198.51.100.0/24'])],
  l2advertisements: [configured('l2')],
};

/** One speaker for each node, all fed the same. */
function speakers(world: World = {}, settings: Partial<SpeakerSettings> = {}, names: readonly string[] = NODES) {
  const all = new Map(names.map((name) => [name, new TestSpeaker(name, { liveness: true, ...settings })]));
  /** Of all of them, in the order that they were asked for. */
  const outputs: SpeakerOutput[] = [];
  const feedOne = (name: string, input: SpeakerInput) => void outputs.push(...all.get(name)!.feed(input));
  const feed = (input: SpeakerInput) => names.forEach((name) => void feedOne(name, input));
  const list = (resources: World) => {
    for (const [resource, objects] of Object.entries(resources))
      feed({ kind: 'replaced', resource: resource as keyof World, objects });
  };
  feed({ kind: 'links', names: ['eth0', 'eth1'], fit: ['eth0', 'eth1'] });
  list({ ...WORLD, ...world });
  return {
    feed,
    feedOne,
    list,
    outputs,
    /** Each on its own clock, all of which show the same. */
    wait: (milliseconds: number) =>
      void [...all.values()].forEach((speaker) => void outputs.push(...speaker.pass(milliseconds))),
    events: () => eventsOf(outputs),
    /** Node name (last letter) -> what it announces; silent nodes are left out. */
    announced: () =>
      Object.fromEntries(
        [...all].flatMap(([name, speaker]): [string, string][] => {
          const list = speaker.last('announce')?.announcements ?? [];
          const words = list.map(
            ({ address, interfaces }) => formatAddress(address) + (interfaces ? `@${interfaces.join('+')}` : ''),
          );
          return words.length === 0 ? [] : [[name.slice(-1), words.join()]];
        }),
      ),
  };
}

function liveness(states: Partial<Record<SpeakerHealth, readonly string[]>>, quorum = true): SpeakerInput {
  const nodes = Object.entries(states).flatMap(([state, names]) =>
    names.map((node) => ({ node, state: state as SpeakerHealth, links: undefined, unheard: false })),
  );
  return { kind: 'liveness', view: { nodes, quorum } };
}

describe('an address that has lost its pool', () => {
  const pools = (...objects: KubernetesObject[]): SpeakerInput => ({
    kind: 'replaced',
    resource: 'ipaddresspools',
    objects,
  });
  const LOWER = pool('p', ['198.51.100.0/30']);
  const grace = { poolChangeGrace: 5000 };

  it.each([['not-an-ip'], ['203.0.113.9'], ['2001:db8::1']])(
    'costs the other one of its Service nothing: %s',
    (bad) => {
      for (const shown of [
        [ADDRESS, bad],
        [bad, ADDRESS],
      ]) {
        const bgp = {
          bgppeers: [configured('tor', { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.100' })],
          bgpadvertisements: [configured('bgp')],
        };
        const all = speakers({ ...bgp, services: [service('web', {}, {}, shown)] });
        expect(all.announced()).toEqual({ 2: ADDRESS });
        const told = all.outputs.findLast((output) => output.kind === 'bgp-decided');
        expect(told).toMatchObject({ prefixes: [`${ADDRESS}/32`], addresses: [ADDRESS] });
      }
    },
  );

  it('is announced as before until the grace is over', () => {
    const all = speakers({}, grace);
    all.feed(pools(LOWER));
    all.wait(4999);
    expect(all.announced()).toEqual({ 2: ADDRESS });
    all.wait(1);
    expect(all.announced()).toEqual({});
  });

  it('is announced without a gap when another pool takes it in meanwhile', () => {
    const all = speakers({}, grace);
    all.feed(pools(LOWER));
    all.wait(3000);
    all.feed(pools(LOWER, pool('q', ['198.51.100.4-198.51.100.9'])));
    all.wait(60_000);
    expect(all.announced()).toEqual({ 2: ADDRESS });
    expect(all.outputs.filter(({ kind }) => kind === 'announce')).toHaveLength(1);
  });

  it('is announced as before also when it is the second change that takes its pool', () => {
    const all = speakers({}, grace);
    all.feed(pools(pool('p', ['198.51.100.0/28'])));
    all.wait(4000);
    all.feed(pools(LOWER));
    all.wait(4000);
    expect(all.announced()).toEqual({ 2: ADDRESS });
    all.wait(1000);
    expect(all.announced()).toEqual({});
  });

  it('is not announced any more once no Service shows it', () => {
    const all = speakers({}, grace);
    all.feed(pools(LOWER));
    all.feed({ kind: 'applied', resource: 'services', object: service('web', {}, {}, ['198.51.100.1']) });
    expect(Object.values(all.announced())).toEqual(['198.51.100.1']);
  });

  it('is told to routers as before, and to those alone that its advertisement names', () => {
    const bgp = {
      bgppeers: ['tor-1', 'tor-2'].map((name, i) =>
        configured(name, { myASN: 64500, peerASN: 64501, peerAddress: `192.0.2.${100 + i}` }),
      ),
      bgpadvertisements: [configured('bgp', { ipAddressPools: ['p'], peers: ['tor-2'] })],
    };
    const all = speakers(bgp, grace, ['kube-01']);
    const told = () => all.outputs.findLast((output) => output.kind === 'bgp-decided');
    expect(told()).toMatchObject({ prefixes: [`${ADDRESS}/32`], peers: ['tor-2'] });
    all.feed(pools());
    all.wait(4999);
    expect(told()).toMatchObject({ prefixes: [`${ADDRESS}/32`], peers: ['tor-2'] });
    all.wait(1);
    expect(told()).toMatchObject({ prefixes: [] });
  });

  it('is not announced any more where there is no grace', () => {
    const all = speakers();
    all.feed(pools(LOWER));
    expect(all.announced()).toEqual({});
  });
});

describe('the speakers together', () => {
  it('announce an address from exactly one node, and tell it once', () => {
    const all = speakers();
    expect(all.announced()).toEqual({ 2: ADDRESS });
    all.feed({
      kind: 'applied',
      resource: 'services',
      object: service('web', {}, { annotations: { a: 'b' } }, [ADDRESS]),
    });
    expect(all.events()).toEqual(['nodeAssigned: announcing from node "kube-02" with protocol "layer2"']);
  });

  it('hand over to the next in line when a node dies, and back when it returns', () => {
    const all = speakers();
    all.feed(liveness({ dead: ['kube-02'], passive: [] }));
    expect(all.announced()).toMatchObject({ 1: ADDRESS });
    all.feed(liveness({ dead: [], passive: [] }));
    expect(all.announced()).toEqual({ 2: ADDRESS });
  });

  it('hand the addresses of a drained node over, and leave them where they are when nobody else is there', () => {
    const drained = (name: string, wish: string): KubernetesObject =>
      annotated(node(name, { name }), { 'metallb.io/drain': wish });
    const all = speakers();
    all.feed({ kind: 'applied', resource: 'nodes', object: drained('kube-02', 'true') });
    expect(all.announced()).toEqual({ 1: ADDRESS });
    const moves = all.outputs.filter((output) => output.kind === 'announce');
    expect(moves.some(({ handingOver }) => handingOver.length === 1)).toBe(true);
    for (const name of NODES) all.feed({ kind: 'applied', resource: 'nodes', object: drained(name, '') });
    expect(all.announced()).toEqual({ 2: ADDRESS });
    all.feed({ kind: 'applied', resource: 'nodes', object: drained('kube-04', 'false') });
    expect(all.announced()).toEqual({ 4: ADDRESS });
  });

  it('count a cordoned node as drained when they are told to', () => {
    const cordoned: KubernetesObject = {
      ...node('kube-02', { name: 'kube-02' }),
      ...{ spec: { unschedulable: true } },
    };
    const nodes = [...WORLD.nodes!.filter(({ metadata }) => metadata.name !== 'kube-02'), cordoned];
    expect(speakers({ nodes }).announced()).toEqual({ 2: ADDRESS });
    expect(speakers({ nodes }, { drainOnCordon: true }).announced()).toEqual({ 1: ADDRESS });
  });

  it('count the endpoints of a dead node as gone at once', () => {
    const all = speakers({ endpointslices: [endpoints('web', 'kube-03')] });
    all.feed(liveness({ dead: ['kube-03'], passive: [] }));
    expect(all.announced()).toEqual({});
  });

  it.each<[string, World, Partial<SpeakerSettings>, Record<string, string>]>([
    ['no endpoint', { endpointslices: [] }, {}, {}],
    [
      'an endpoint that is not ready',
      { endpointslices: [endpoints('web', { node: 'kube-01', ready: false })] },
      {},
      {},
    ],
    [
      'an endpoint that is serving while it terminates',
      { endpointslices: [endpoints('web', { node: 'kube-01', ready: false, serving: true })] },
      {},
      { 2: ADDRESS },
    ],
    [
      'an endpoint of unknown readiness',
      { endpointslices: [endpoints('web', { node: 'kube-01' })] },
      {},
      { 2: ADDRESS },
    ],
    [
      'externalTrafficPolicy Local',
      {
        services: [service('web', { externalTrafficPolicy: 'Local' }, {}, [ADDRESS])],
        endpointslices: [endpoints('web', 'kube-03', 'kube-04')],
      },
      {},
      { 4: ADDRESS },
    ],
    ['no advertisement', { l2advertisements: [] }, {}, {}],
    ['an advertisement for other pools', { l2advertisements: [configured('l2', { ipAddressPools: ['q'] })] }, {}, {}],
    [
      'an advertisement for other Services',
      { l2advertisements: [configured('l2', { serviceSelectors: [{ matchLabels: { a: 'b' } }] })] },
      {},
      {},
    ],
    [
      'an advertisement for one node',
      { l2advertisements: [configured('l2', { nodeSelectors: [{ matchLabels: { name: 'kube-03' } }] })] },
      {},
      { 3: ADDRESS },
    ],
    ['an address outside the pools', { services: [service('web', {}, {}, ['203.0.113.1'])] }, {}, {}],
    ['a Service without an address', { services: [service('web')] }, {}, {}],
    ['a Service of another class', { services: [service('web', { loadBalancerClass: 'x' }, {}, [ADDRESS])] }, {}, {}],
    [
      'a Service of our class',
      { services: [service('web', { loadBalancerClass: 'x' }, {}, [ADDRESS])] },
      { loadBalancerClass: 'x' },
      { 2: ADDRESS },
    ],
    [
      'a node without a speaker',
      { pods: NODES.filter((name) => name !== 'kube-02').map((name) => speakerPod(name)) },
      {},
      { 1: ADDRESS, 2: ADDRESS },
    ],
    ['no speaker list', { pods: [] }, { liveness: false }, { 2: ADDRESS }],
    [
      'interfaces that exist',
      { l2advertisements: [configured('l2', { interfaces: ['eth1', 'eth9'] })] },
      {},
      { 2: `${ADDRESS}@eth1+eth9` },
    ],
    [
      'one advertisement with interfaces and one without',
      { l2advertisements: [configured('l2', { interfaces: ['eth1'] }), configured('all')] },
      {},
      { 2: ADDRESS },
    ],
  ])('with %s', (_, world, settings, expected) => {
    expect(speakers(world, settings).announced()).toEqual(expected);
  });

  it('say that none of the interfaces exists', () => {
    const all = speakers();
    const nodes = NODES.map((node) => ({
      node,
      state: 'alive' as const,
      links: [{ name: 'eth0', mac: MAC }],
      unheard: false,
    }));
    all.feed({ kind: 'liveness', view: { nodes, quorum: true } });
    all.outputs.length = 0;
    all.feed({ kind: 'applied', resource: 'l2advertisements', object: configured('l2', { interfaces: ['wlan0'] }) });
    expect(all.announced()).toEqual({});
    expect(all.events()).toEqual([
      `announceFailed: ${ADDRESS} cannot be announced from node "kube-02" with protocol "layer2": none of the interfaces wlan0 exists there; correct spec.interfaces of the L2Advertisement`,
    ]);
  });

  it('leave out a node whose interface is down, and take it again when it is up', () => {
    const all = speakers();
    const view = (down: readonly string[]): SpeakerInput => {
      const nodes = NODES.map((node) => ({
        node,
        state: 'alive' as const,
        links: down.includes(node) ? [] : [{ name: 'eth0', mac: MAC }],
        unheard: false,
      }));
      return { kind: 'liveness', view: { nodes, quorum: true } };
    };
    all.feedOne('kube-02', { kind: 'links', names: ['eth0'], fit: [] });
    all.feed(view(['kube-02']));
    expect(all.announced()).toEqual({ 1: ADDRESS });
    all.feedOne('kube-02', { kind: 'links', names: ['eth0'], fit: ['eth0'] });
    all.feed(view([]));
    expect(all.announced()).toEqual({ 2: ADDRESS });
  });

  it('do not go by links of a node that has more of them than speakers tell each other', () => {
    const all = speakers();
    const links = Array.from({ length: 16 }, (_, i) => ({ name: `vlan${i}`, mac: MAC }));
    const nodes = [{ node: 'kube-02', state: 'alive' as const, links, unheard: false }];
    all.feed({ kind: 'applied', resource: 'l2advertisements', object: configured('l2', { interfaces: ['eth0'] }) });
    all.feed({ kind: 'liveness', view: { nodes, quorum: true } });
    expect(Object.keys(all.announced())).toEqual(['2']);
  });

  it('announce nothing on the smaller side of a fenced partition, at once and without hand-over', () => {
    const all = speakers({}, { fenced: true });
    all.feedOne('kube-02', liveness({ dead: ['kube-01', 'kube-03', 'kube-04'] }, false));
    expect(all.announced()).toEqual({});
    expect(all.outputs.filter((output) => output.kind === 'announce').at(-1)).toMatchObject({ handingOver: [] });
    for (const name of ['kube-01', 'kube-03', 'kube-04']) all.feedOne(name, liveness({ dead: ['kube-02'] }));
    expect(all.announced()).toEqual({ 1: ADDRESS });
  });

  it('without preemption leave an address with the node that says it announces it', () => {
    const status = {
      metadata: { name: 'l2-1', namespace: 'metallb-system', creationTimestamp: '2026-11-21T00:00:00Z' },
      status: { node: 'kube-03', serviceName: 'web', serviceNamespace: 'default' },
    };
    const rules = { balanced: false, preempt: false };
    const all = speakers({ servicel2statuses: [status] }, { rules });
    expect(all.announced()).toEqual({ 3: ADDRESS });
    all.feed(liveness({ dead: ['kube-03'] }));
    expect(all.announced()).toMatchObject({ 2: ADDRESS });
    const later = {
      metadata: { ...status.metadata, name: 'l2-2', creationTimestamp: '2026-11-21T00:01:00Z' },
      status: { ...status.status, node: 'kube-02' },
    };
    all.feed({ kind: 'applied', resource: 'servicel2statuses', object: later });
    all.feed(liveness({}));
    expect(all.announced()).toEqual({ 2: ADDRESS });
  });

  it('balance their load when told to', () => {
    const services = Array.from({ length: 20 }, (_, i) => service(`s${i}`, {}, {}, [`198.51.100.${i}`]));
    const slices = services.map(({ metadata }) => endpoints(metadata.name, 'kube-01'));
    const all = speakers({ services, endpointslices: slices }, { rules: { balanced: true, preempt: true } });
    const loads = Object.values(all.announced()).map((list) => list.split(',').length);
    expect(loads.reduce((a, b) => a + b)).toBe(20);
    expect(Math.max(...loads)).toBeLessThanOrEqual(7);
  });

  it('say who else claims an address until that is over', () => {
    const all = speakers();
    const duplicates = () =>
      all.outputs.flatMap((o) => (o.kind === 'service-decided' ? [o.duplicates.length] : [])).at(-1);
    const claim = { address: ADDRESS, mac: '02:00:00:00:00:09', interface: 'eth0', claimants: 1 };
    all.feedOne('kube-02', { kind: 'conflict', ...claim });
    expect(duplicates()).toBe(1);
    all.feedOne('kube-02', { kind: 'conflict-ended', address: ADDRESS });
    expect(duplicates()).toBe(0);
  });

  it('say on both sides which of two that announce an address is silent, and that it is over', () => {
    const all = speakers();
    const told = () =>
      all.outputs.splice(0).flatMap((o): string[] => {
        if (o.kind === 'emit-event') return [`${o.reason} ${o.message}`];
        return o.kind === 'service-decided' ? [`[${o.announced.join()}] ${o.disputes.length}`] : [];
      });
    told();
    all.feedOne('kube-02', { kind: 'disputed', address: ADDRESS, node: 'kube-01', yielded: true });
    expect(told()).toEqual([
      '[] 1',
      expect.stringMatching(/^addressDisputed .*"kube-01" announces it, and "kube-02" is silent/),
    ]);
    all.feedOne('kube-02', { kind: 'disputed', address: ADDRESS, node: 'kube-01', yielded: false });
    expect(told()).toEqual([
      `[${ADDRESS}] 1`,
      expect.stringMatching(/^addressDisputed .*"kube-02" announces it, and "kube-01" is silent/),
    ]);
    all.feedOne('kube-02', { kind: 'dispute-ended', address: ADDRESS });
    expect(told()).toEqual([`[${ADDRESS}] 0`, expect.stringMatching(/^nodeAssigned /)]);
    all.feedOne('kube-02', { kind: 'disputed', address: '192.0.2.99', node: 'kube-01', yielded: true });
    expect(told()).toEqual([]);
  });

  it('say of a claim with the MAC of another node that the speaker there does not confirm it', () => {
    const all = speakers();
    const links = [{ name: 'eth0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1) }];
    const nodes = [{ node: 'kube-01', state: 'alive' as const, links, unheard: false }];
    all.feedOne('kube-02', { kind: 'liveness', view: { nodes, quorum: true } });
    const claim = { address: ADDRESS, mac: '02:00:00:00:00:01', interface: 'eth0', claimants: 9 };
    all.feedOne('kube-02', { kind: 'conflict', ...claim });
    const note = all.outputs.findLast((o) => o.kind === 'emit-event')!;
    expect(note.message).toContain('MAC address 02:00:00:00:00:01 of node "kube-01" and by others (9 or more');
    expect(note.message).toContain('forges its MAC address');
  });

  it('follow endpoints as they come, move and go', () => {
    const all = speakers({ endpointslices: [] });
    const slice = endpoints('web', 'kube-01');
    all.feed({ kind: 'applied', resource: 'endpointslices', object: slice });
    expect(all.announced()).toEqual({ 2: ADDRESS });
    all.feed({ kind: 'deleted', resource: 'endpointslices', object: slice });
    expect(all.announced()).toEqual({});
  });

  it('stop when the Service goes', () => {
    const all = speakers();
    all.feed({ kind: 'deleted', resource: 'services', object: WORLD.services![0]! });
    expect(all.announced()).toEqual({});
  });
});

describe('a speaker that starts', () => {
  it('says nothing before it knows everything', () => {
    const speaker = new TestSpeaker('kube-02', { liveness: true });
    const order = Object.entries(WORLD);
    for (const [i, [resource, objects]] of order.entries()) {
      speaker.list({ [resource]: objects });
      expect(speaker.outputs.length > 0).toBe(i === order.length - 1);
    }
  });

  it('withdraws nothing when a list comes again with the same content', () => {
    const all = speakers({}, {}, ['kube-02']);
    const before = all.outputs.length;
    all.list(WORLD);
    expect(all.outputs.slice(before)).toEqual([]);
  });

  it('names its members for the liveness', () => {
    const all = speakers({ pods: [speakerPod('kube-01', '192.0.2.11'), speakerPod('kube-02', '192.0.2.12')] }, {}, [
      'kube-02',
    ]);
    expect(all.outputs.find(({ kind }) => kind === 'members')).toEqual({
      kind: 'members',
      members: [
        { node: 'kube-01', address: '192.0.2.11' },
        { node: 'kube-02', address: '192.0.2.12' },
      ],
    });
  });
});

describe('Services that share an address', () => {
  const V6 = '2001:db8::7';
  const shared = (name: string, spec: object = {}, ...addresses: string[]) =>
    service(
      name,
      spec,
      { annotations: { 'metallb.io/allow-shared-ip': 'k' } },
      addresses.length === 0 ? [ADDRESS] : addresses,
    );
  const LOCAL = { externalTrafficPolicy: 'Local' };
  /** Of each Service, who says last that it announces it, and what. */
  const statuses = (outputs: readonly SpeakerOutput[]) =>
    outputs.flatMap((o) =>
      o.kind === 'service-decided' && o.announced.length > 0 ? [`${o.service} ${o.announced}`] : [],
    );
  const told = (outputs: readonly SpeakerOutput[]) =>
    outputs.flatMap((o) => (o.kind === 'emit-event' ? [`${o.target.name}: ${o.reason} ${o.message}`] : []));

  it('are announced by the node that can serve all of them, whoever comes last', () => {
    const all = speakers({ services: [shared('a')], endpointslices: [endpoints('a', 'kube-01')] });
    expect(all.announced()).toEqual({ 2: ADDRESS });
    all.outputs.length = 0;
    all.feed({ kind: 'applied', resource: 'endpointslices', object: endpoints('b', 'kube-03') });
    all.feed({ kind: 'applied', resource: 'services', object: shared('b', LOCAL) });
    expect(all.announced()).toEqual({ 3: ADDRESS });
    expect(statuses(all.outputs).sort()).toEqual([`default/a ${ADDRESS}`, `default/b ${ADDRESS}`]);
    expect(told(all.outputs).sort()).toEqual(
      ['a', 'b'].map((name) => `${name}: nodeAssigned announcing from node "kube-03" with protocol "layer2"`),
    );
    all.feed({ kind: 'deleted', resource: 'services', object: shared('b', LOCAL) });
    expect(all.announced()).toMatchObject({ 2: ADDRESS });
  });

  it('are told by the owner that it cannot serve them, when no node can serve all', () => {
    const services = [shared('a', LOCAL), shared('b', LOCAL), shared('c', LOCAL)];
    const endpointslices = [endpoints('a', 'kube-01'), endpoints('b', 'kube-01'), endpoints('c', 'kube-04')];
    const all = speakers({ services, endpointslices });
    expect(all.announced()).toEqual({ 1: ADDRESS });
    expect(statuses(all.outputs)).toEqual([`default/a ${ADDRESS}`, `default/b ${ADDRESS}`]);
    expect(told(all.outputs).find((text) => text.startsWith('c:'))).toMatch(
      /^c: announceFailed 198.51.100.7 is announced from node "kube-01" for other Services that share it, and that node cannot serve this one \(externalTrafficPolicy is Local/,
    );
    all.outputs.length = 0;
    all.feed({ kind: 'applied', resource: 'endpointslices', object: endpoints('c', 'kube-01') });
    expect(statuses(all.outputs)).toContain(`default/c ${ADDRESS}`);
    expect(told(all.outputs).map((text) => text.split(' ').slice(0, 2))).toEqual([['c:', 'nodeAssigned']]);
  });

  it('have one owner for each address when a Service of both families shares one of them and must have two', () => {
    const services = [shared('both', LOCAL, ADDRESS, V6), shared('x', LOCAL, V6), shared('y', LOCAL, V6)];
    const endpointslices = [endpoints('both', 'kube-01'), endpoints('x', 'kube-04'), endpoints('y', 'kube-04')];
    const ipaddresspools = [pool('p', ['198.51.100.0/24', '2001:db8::/64'])];
    const all = speakers({ services, endpointslices, ipaddresspools });
    expect(all.announced()).toEqual({ 1: ADDRESS, 4: V6 });
    const decided = all.outputs.filter((o) => o.kind === 'service-decided' && o.service === 'default/both');
    expect(decided).toMatchObject(
      NODES.map((name) => ({ isPartial: true, announced: name === 'kube-01' ? [ADDRESS] : [] })),
    );
    expect(told(all.outputs).filter((text) => text.startsWith('both:'))).toEqual([
      `both: nodeAssigned announcing ${ADDRESS} from node "kube-01" with protocol "layer2"`,
      expect.stringContaining(`${V6} is announced from node "kube-04" for other Services`),
    ]);
    all.feed({ kind: 'applied', resource: 'endpointslices', object: endpoints('both', 'kube-01', 'kube-04') });
    expect(all.announced()).toMatchObject({ 4: `${ADDRESS},${V6}` });
  });

  it('have one owner with other rules, too', () => {
    const services = [shared('a'), shared('b', LOCAL)];
    const endpointslices = [endpoints('a', 'kube-01'), endpoints('b', 'kube-03')];
    const balanced = speakers({ services, endpointslices }, { rules: { balanced: true, preempt: true } });
    const kept = { services, endpointslices, servicel2statuses: [] };
    const sticky = speakers(kept, { rules: { balanced: false, preempt: false } });
    expect([balanced.announced(), sticky.announced()]).toEqual([{ 3: ADDRESS }, { 3: ADDRESS }]);
  });
});

it('an address that is a node’s own is announced by no other', () => {
  const own = {
    ...node('kube-03', { name: 'kube-03' }),
    status: { addresses: [{ type: 'ExternalIP', address: ADDRESS }] },
  };
  const others = NODES.filter((name) => name !== 'kube-03').map((name) => node(name, { name }));
  const all = speakers({ nodes: [...others, own] });
  expect(all.announced()).toEqual({ 3: ADDRESS });
  all.feed(liveness({ dead: ['kube-03'] }));
  for (const name of ['kube-01', 'kube-02', 'kube-04'])
    expect(all.outputs.findLast((o) => o.kind === 'service-decided')!.election!.checks).toContainEqual({
      node: name,
      verdict: 'address-of-node',
      score: 0,
    });
  all.feed({ kind: 'applied', resource: 'nodes', object: node('kube-03', { name: 'kube-03' }) });
  expect(all.announced()).toMatchObject({ 2: ADDRESS });
});
