import { describe, expect, it } from 'vitest';
import { configured, node, pool } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatFault } from '../api/problem.ts';
import type { BgpEngine } from '../config/config.ts';
import { admit, admitDeletion, refusalsOf } from './admission.ts';

const stored = { ipaddresspools: [pool('first', ['192.0.2.0/28'])] };

/** Objects as large as the API server takes them. What is slow here by more than their length does not end. */
describe('admission of long lists', () => {
  const many = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i));
  const entries = many(20_000, (i) => `10.${i >> 15}.${(i >> 7) & 255}.${(i << 1) & 255}/32`);

  it('takes a pool of 20,000 entries beside another one', () => {
    const others = {
      ipaddresspools: [pool('q', [...entries.map((text) => text.replace('10.', '11.')), '10.0.0.0/31'])],
    };
    const { refusals } = admit('ipaddresspools', pool('p', entries), others);
    expect(refusals.map(({ message }) => message)).toEqual(['it overlaps 10.0.0.0/31 of IPAddressPool q']);
  });

  it('takes a pool beside 10,000 others, and names each that it overlaps', () => {
    const others = entries.slice(0, 10_000).map((entry, i) => pool(`p${i}`, [entry]));
    const { refusals } = admit('ipaddresspools', pool('new', ['10.0.0.0/30', '10.0.0.8/32']), {
      ipaddresspools: others,
    });
    expect(refusals.map(({ value, message }) => `${value}: ${message}`)).toEqual([
      '10.0.0.0/30: it overlaps 10.0.0.0/32 of IPAddressPool p0',
      '10.0.0.0/30: it overlaps 10.0.0.2/32 of IPAddressPool p1',
      '10.0.0.8/32: it overlaps 10.0.0.8/32 of IPAddressPool p4',
    ]);
  });

  it('tells of 100 problems of an object, and forgets none that is lasting for those that may pass', () => {
    const same = pool(
      'p',
      many(20_000, () => '10.0.0.0/32'),
    );
    expect(admit('ipaddresspools', same, {}).refusals).toHaveLength(100);
    const typed = configured('p', { addresses: Array(20_000).fill(7) });
    expect(admit('ipaddresspools', typed, {}).refusals).toHaveLength(100);
    const aliases = configured('a', { communities: [...many(20_000, (i) => `x${i}`), '70000:1'] });
    expect(admit('bgpadvertisements', aliases, {}).refusals.map(({ value }) => value)).toContain('70000:1');
  });

  it.each([
    ['l2advertisements', 'nodeSelectors', {}],
    ['l2advertisements', 'ipAddressPoolSelectors', {}],
    ['bgpadvertisements', 'serviceSelectors', {}],
    ['bgppeers', 'nodeSelectors', { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1' }],
  ] as const)('refuses %s with more than 1,000 %s (G4)', (resource, field, spec) => {
    const selectors = many(1001, (i) => `z${i}`).map((zone) => ({ matchLabels: { zone } }));
    const refused = (list: readonly object[]) =>
      admit(resource, configured('a', { ...spec, [field]: list }), {}).refusals.map(formatFault);
    expect(refused(selectors.slice(1))).toEqual([]);
    expect(refused(selectors)).toEqual([
      `spec.${field}: "1001 selectors": there may be 1000 at most; select by fewer labels`,
    ]);
  });

  it('refuses the same of serviceAllocation and of preferredNodeSelectors', () => {
    const selectors = many(1001, (i) => `z${i}`).map((zone) => ({ matchLabels: { zone } }));
    const allocation = { serviceAllocation: { namespaceSelectors: selectors, serviceSelectors: selectors } };
    const inPool = pool('p', ['10.0.0.0/32'], allocation);
    const preferences = selectors.map((preference) => ({ weight: 1, preference }));
    const inAdvertisement = configured('a', { preferredNodeSelectors: preferences });
    expect(admit('ipaddresspools', inPool, {}).refusals.map(({ field }) => field)).toEqual([
      'spec.serviceAllocation.namespaceSelectors',
      'spec.serviceAllocation.serviceSelectors',
    ]);
    expect(admit('l2advertisements', inAdvertisement, {}).refusals.map(({ field }) => field)).toEqual([
      'spec.preferredNodeSelectors',
    ]);
  });

  it('takes selectors of 300,000 values, in a cluster of 5,000 nodes', () => {
    const nodes = many(5000, (i) => `n${i}`).map((name) => node(name, { zone: name }));
    const matchExpressions = [{ key: 'zone', operator: 'In', values: many(300_000, (i) => `v${i}`) }];
    const ad = configured('a', { nodeSelectors: [{ matchExpressions }] });
    const { refusals, warnings } = admit('l2advertisements', ad, { nodes });
    expect(refusals).toEqual([]);
    expect(warnings.join()).toContain('no Node has such labels');
  });

  it('takes a BGPAdvertisement of 100,000 peers beside one with another localPref', () => {
    const [mine, theirs] = ['a', 'b'].map((name) => many(100_000, (i) => `${name}${i}`));
    const other = configured('b', { localPref: 1, peers: theirs });
    const all = { ...stored, bgpadvertisements: [other] };
    expect(admit('bgpadvertisements', configured('a', { peers: mine }), all).refusals).toEqual([]);
    expect(admit('bgpadvertisements', configured('a', { peers: [...mine!, 'b9'] }), all).refusals).toHaveLength(1);
  });

  it('takes BGPAdvertisements of a pool of 20,000 ranges of IPv6', () => {
    const ranges = many(
      20_000,
      (i) => `2001:db8:0:${i.toString(16)}::1-2001:db8:0:${i.toString(16)}:ffff:ffff:ffff:fffe`,
    );
    const all = {
      ipaddresspools: [pool('p', ranges)],
      bgpadvertisements: many(50, (i) => `b${i}`).map((name) => configured(name, {})),
    };
    const { refusals } = admit('bgpadvertisements', configured('a', { aggregationLengthV6: 64 }), all);
    expect(refusals.map(({ cure }) => cure)).toEqual(['give 66 or more']);
  });
});

describe('admission', () => {
  it('refuses what clashes with what is there, whoever is older', () => {
    const late = pool('second', ['192.0.2.8/29'], {}, { creationTimestamp: '2020-01-01T00:00:00Z' });
    expect(admit('ipaddresspools', late, stored).refusals.map(formatFault)).toEqual([
      'spec.addresses: "192.0.2.8/29": it overlaps 192.0.2.0/28 of IPAddressPool first; leave the shared addresses in one of the two pools',
    ]);
  });

  it('takes an update for the object that it replaces', () => {
    expect(admit('ipaddresspools', pool('first', ['192.0.2.0/29']), stored).refusals).toEqual([]);
  });

  it('does not mind what may come yet', () => {
    const peer = configured('r', { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1', bfdProfile: 'later' });
    const ad = configured('a', { communities: ['later'] });
    expect(admit('bgppeers', peer, stored).refusals).toEqual([]);
    expect(admit('bgpadvertisements', ad, stored).refusals).toEqual([]);
  });

  it('warns of what the write does to others', () => {
    const all = { ...stored, bgpadvertisements: [configured('a', { aggregationLength: 28 })] };
    const wider = admit('ipaddresspools', pool('first', ['192.0.2.0/29']), all);
    expect(wider.refusals).toEqual([]);
    expect(wider.warnings.join()).toContain(
      'with this change, BGPAdvertisement metallb-system/a: spec.aggregationLength: "28"',
    );
  });

  it('warns of disableMP and checks the rest all the same', () => {
    const peer = configured('r', { myASN: 0, peerASN: 2, peerAddress: '192.0.2.1', disableMP: true });
    const { refusals, warnings } = admit('bgppeers', peer, stored);
    expect(refusals.map(({ field }) => field)).toEqual(['spec.myASN']);
    expect(warnings).toEqual(['spec.disableMP is deprecated and has no effect; remove it']);
  });

  it('warns of annotations that do nothing', () => {
    const annotations = { 'metallb.io/pasive': 'true' };
    const peer = configured('r', { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1' }, { annotations });
    expect(admit('bgppeers', peer, stored).warnings).toEqual([
      'annotation metallb.io/pasive is no annotation of ours; did you mean metallb.io/passive?',
    ]);
  });

  it('says nothing that moves a cursor, and nothing without end', () => {
    const annotations = { 'metallb.io/\u001b[2Jx': '', [`metallb.io/${'y'.repeat(5000)}`]: '' };
    const { warnings } = admit('ipaddresspools', pool('second', ['198.51.100.0/24'], {}, { annotations }), stored);
    expect(warnings.map((text) => text.length)).toEqual([expect.any(Number), 1024]);
    expect(warnings.join()).not.toMatch(/\p{Cc}/u);
  });

  it('says beforehand that a change of a peer ends its sessions', () => {
    const spec = { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1' };
    const warnings = (before: object, after: object) =>
      admit('bgppeers', configured('r', { ...spec, ...after }), { bgppeers: [configured('r', { ...spec, ...before })] })
        .warnings;
    expect(warnings({}, { connectTime: '5s' })).toEqual([]);
    expect(warnings({}, { holdTime: '30s', peerPort: 1179 })).toEqual([
      'the BGP session of every node with r restarts because of peerPort, holdTime; its routes are withdrawn meanwhile',
    ]);
    const graceful = { enableGracefulRestart: true };
    expect(warnings(graceful, { ...graceful, holdTime: '30s' })).toEqual([
      'the BGP session of every node with r restarts because of holdTime; routers with graceful restart keep its routes meanwhile',
    ]);
  });

  it('keeps a BFDProfile that is in use', () => {
    const profile = configured('fast');
    const bgppeers = [configured('r', { bfdProfile: 'fast' })];
    expect(admitDeletion('bfdprofiles', profile, { bgppeers }).refusals.map(formatFault).join()).toContain(
      'BGPPeer r refers',
    );
    expect(admitDeletion('bfdprofiles', profile, {}).refusals).toEqual([]);
  });

  describe('of a BGPPeer', () => {
    const peer = (name: string, labels: Record<string, string>, spec: object = {}) =>
      configured(name, {
        ...{ myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.1' },
        nodeSelectors: [{ matchLabels: labels }],
        ...spec,
      });
    const refused = (a: Record<string, string>, b: Record<string, string>, nodes: KubernetesObject[], spec = {}) =>
      admit('bgppeers', peer('r', b, spec), { bgppeers: [peer('first', a)], nodes }).refusals.map(formatFault);
    const NODES = [node('n1', { rack: '1' }), node('n2', { rack: '2' })];

    it.each<[string, Record<string, string>, Record<string, string>, KubernetesObject[], boolean]>([
      ['both select one node', { rack: '1' }, { rack: '1' }, NODES, true],
      [
        'each selects another node',
        { rack: '1' },
        { 'kubernetes.io/hostname': 'n2' },
        [node('n1', { rack: '1' })],
        true,
      ],
      ['one selects no node yet', { rack: '1' }, { zone: 'a' }, NODES, true],
      ['both select no node yet', { zone: 'a' }, { edge: '' }, NODES, true],
      ['both select the same nodes to come', { zone: 'a' }, { zone: 'a' }, NODES, true],
      ['there is no node yet', { rack: '1' }, { zone: 'a' }, [], true],
      ['there is no node yet, and no node can be both', { rack: '1' }, { rack: '2' }, [], false],
      ['one selects no node yet, and no node can be both', { rack: '1' }, { rack: '3' }, NODES, false],
      ['each selects other nodes today', { rack: '1' }, { zone: 'b' }, [NODES[0]!, node('n3', { zone: 'b' })], false],
    ])('that is one router with another: %s', (_, a, b, nodes, isRefused) => {
      expect(refused(a, b, nodes).length > 0).toBe(isRefused);
    });

    it('says why a node to come matters, and what keeps peers apart', () => {
      expect(refused({ rack: '1' }, { zone: 'a' }, NODES)).toEqual([
        'spec.peerAddress: "192.0.2.1": BGPPeer first is the same router, and a node may come on which both run, for one of them selects no node today; remove one of the two, or give them nodeSelectors that exclude each other, such as two values of one label, or label the nodes first',
      ]);
    });

    it('knows that FRR has one router ID per node and one AS number per VRF, where FRR speaks BGP', () => {
      const other = { peerAddress: '192.0.2.2', routerID: '10.0.0.2', myASN: 64999 };
      const judge = (engine: BgpEngine, labels = { rack: '1' }) =>
        admit('bgppeers', peer('r', labels, other), { bgppeers: [peer('first', { rack: '1' })], nodes: NODES }, engine)
          .refusals;
      expect(judge('native')).toEqual([]);
      expect(judge('frr-k8s').map(({ field }) => field)).toEqual(['spec.routerID', 'spec.myASN']);
      expect(judge('frr-k8s', { rack: '2' })).toEqual([]);
    });
  });

  it('refuses of BGPAdvertisements what clashes on a node, or is certain to on nodes to come', () => {
    const ad = (name: string, rack: string, localPref: number) =>
      configured(name, { localPref, nodeSelectors: [{ matchLabels: { rack } }] });
    const judge = (rack: string, nodes: KubernetesObject[]) =>
      admit('bgpadvertisements', ad('b', rack, 200), { ...stored, bgpadvertisements: [ad('a', '1', 100)], nodes })
        .refusals.length;
    expect([judge('1', [node('n1', { rack: '1' })]), judge('1', [node('n1')])]).toEqual([1, 1]);
    expect([judge('2', [node('n1', { rack: '1' })]), judge('2', [])]).toEqual([0, 0]);
  });

  it('judges several objects as if they were written one after the other', () => {
    const object = (name: string, peerAddress: string) => configured(name, { myASN: 1, peerASN: 2, peerAddress });
    const written = [object('b', '192.0.2.1'), object('a', '192.0.2.1'), object('c', '192.0.2.3')].map((each) => ({
      resource: 'bgppeers' as const,
      object: each,
    }));
    const faults = refusalsOf(written, { bgppeers: [object('old', '192.0.2.3')] }, 'native');
    expect(faults.map(({ object: { name }, message }) => [name, message.split(' ')[1]])).toEqual([
      ['a', 'b'],
      ['c', 'old'],
    ]);
  });
});
