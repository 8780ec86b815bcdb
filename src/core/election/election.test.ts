import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidate, l2Advertisement } from '../../../test/builders.ts';
import { sha256 } from '../../adapters/sha256.ts';
import type { L2Advertisement } from '../config/config.ts';
import {
  type Candidate,
  type Contest as Contested,
  EXCLUDE_LABEL,
  elect as electLot,
  type Sha256,
} from './election.ts';

const node = candidate;
const advertisement = l2Advertisement;
/** Of one Service that shares no address. */
interface Contest extends Contested {
  readonly address: string;
}
const elect = ({ address, ...contest }: Contest, nodes: readonly Candidate[], hash: Sha256) =>
  electLot({ address, nodes: new Set(), contests: [contest], kin: new Set() }, nodes, hash);
const contest = (more: Partial<Contest> = {}): Contest => ({
  advertisements: [advertisement()],
  address: '198.51.100.7',
  anyEndpoint: true,
  sharesAddress: false,
  ignoreExcludeLabel: false,
  fenced: false,
  ...more,
});
const kube = [1, 2, 3, 4].map((i) => node(`kube-0${i}`, { labels: { name: `kube-0${i}` } }));
const order = (c: Contest, nodes = kube) =>
  elect(c, nodes, sha256)
    .checks.map(({ node }) => node.slice(-1))
    .join('');

describe('the election', () => {
  // The order of docs/behaviour/layer2.md#who-announces.
  it.each([
    ['198.51.100.7', '2143'],
    ['198.51.100.8', '3241'],
    ['2001:db8::7', '1324'],
  ])('orders four nodes for %s as upstream does', (address, expected) => {
    expect(order(contest({ address }))).toBe(expected);
  });

  it('tells of the nodes that cannot announce by name, after those that can', () => {
    const without = [...kube.slice(1), kube[0]!].map((each) => ({
      ...each,
      labels: { ...each.labels, [EXCLUDE_LABEL]: '' },
    }));
    expect(order(contest(), without)).toBe('1234');
    expect(order(contest(), [without[2]!, kube[1]!, without[0]!, without[3]!])).toBe('2124');
  });

  it('puts preferred nodes first and orders them by hash', () => {
    const preferences = [
      { weight: 50, selector: { matchExpressions: [{ key: 'name', operator: 'In', values: ['kube-02', 'kube-04'] }] } },
    ];
    expect(order(contest({ advertisements: [advertisement({ preferences })] }))).toBe('2413');
  });

  it('counts a preference only where its advertisement selects the node', () => {
    const preferences = [{ weight: 100, selector: {} }];
    const elsewhere = advertisement({ nodeSelectors: [{ matchLabels: { name: 'kube-03' } }], preferences });
    expect(elect(contest({ advertisements: [advertisement(), elsewhere] }), kube, sha256).owner).toBe('kube-03');
  });

  it.each<[string, Partial<Contest>, Partial<Candidate>, string]>([
    ['no endpoint can serve', { anyEndpoint: false }, {}, 'no-endpoints'],
    ['no advertisement covers the Service', { advertisements: [] }, {}, 'no-advertisement'],
    [
      'a shared address meets Service selectors',
      { sharesAddress: true, advertisements: [advertisement({ serviceSelectors: [{}] })] },
      {},
      'shared-with-selectors',
    ],
    [
      'no advertisement selects the node',
      { advertisements: [advertisement({ nodeSelectors: [{ matchLabels: { rack: 'a' } }] })] },
      {},
      'not-selected',
    ],
    ['its speaker is dead', {}, { speaker: 'dead' }, 'speaker-not-alive'],
    ['its network is unavailable', {}, { networkUnavailable: true }, 'network-unavailable'],
    ['it is excluded from load balancers', {}, { labels: { [EXCLUDE_LABEL]: '' } }, 'excluded-by-label'],
    ['it is on the smaller side of a fenced partition', { fenced: true }, {}, 'fenced'],
    ['the policy is Local and it has no endpoint', { localNodes: new Set(['other']) }, {}, 'no-local-endpoint'],
  ])('passes a node over when %s', (_, c, n, verdict) => {
    const result = elect(contest(c), [node('a', n)], sha256);
    expect(result.owner).toBeUndefined();
    expect(result.checks[0]!.verdict).toBe(verdict);
  });

  it.each<[string, Partial<Candidate>, string]>([
    ['is drained', { drained: true }, 'drained'],
    ['is unsteady', { speaker: 'unsteady' }, 'unsteady'],
    ['has no link that is up', { links: [] }, 'no-link'],
  ])('lets a node that %s announce only what no other can', (_, shortcoming, verdict) => {
    const nodes = [node('a', { ...shortcoming }), node('b'), node('c')];
    for (let i = 0; i < 20; i++) expect(elect(contest({ address: `192.0.2.${i}` }), nodes, sha256).owner).not.toBe('a');
    expect(elect(contest(), nodes, sha256).checks.at(-1)).toMatchObject({ node: 'a', verdict });
    expect(elect(contest(), [nodes[0]!], sha256).owner).toBe('a');
  });

  it('lets a drained node announce before an unsteady one, and that one before one without a link', () => {
    const nodes = [node('a', { links: [] }), node('b', { speaker: 'unsteady' }), node('c', { drained: true })];
    for (let i = 0; i < 20; i++) expect(order(contest({ address: `192.0.2.${i}` }), nodes)).toBe('cba');
  });

  it('comes out the same in whatever order the nodes are known', () => {
    const some = fc.record({
      speaker: fc.constantFrom('alive' as const, 'unsteady' as const, 'dead' as const),
      drained: fc.boolean(),
      links: fc.constantFrom(undefined, [], ['eth0']),
    });
    const orders = fc
      .array(some, { maxLength: 6 })
      .map((facts) => facts.map((one, i) => node(`n${i}`, one)))
      .chain((nodes) => fc.tuple(fc.constant(nodes), fc.shuffledSubarray(nodes, { minLength: nodes.length })));
    fc.assert(
      fc.property(orders, ([one, other]) => {
        expect(elect(contest(), other, sha256)).toEqual(elect(contest(), one, sha256));
      }),
    );
  });

  it('counts only the links that the advertisements for a node name', () => {
    const advertisements = [advertisement({ interfaces: ['eth1'] })];
    const nodes = [node('a', { links: ['eth0'] }), node('b', { links: ['eth0', 'eth1'] })];
    expect(elect(contest({ advertisements }), nodes, sha256).owner).toBe('b');
    expect(elect(contest(), [nodes[0]!], sha256).checks[0]!.verdict).toBe('owner');
  });

  it.each<[string, readonly Partial<L2Advertisement>[], string]>([
    [
      'one of several advertisements names a link that is up',
      [{ interfaces: ['eth0'] }, { interfaces: ['eth1'] }],
      'owner',
    ],
    ['one of several names no link', [{ interfaces: ['eth0'] }, {}], 'owner'],
    ['none of several names a link that is up', [{ interfaces: ['eth0'] }, { interfaces: ['eth2'] }], 'no-link'],
    [
      'the only one that names its link is for other nodes',
      [{ interfaces: ['eth0'] }, { interfaces: ['eth1'], nodeSelectors: [{ matchLabels: { rack: 'b' } }] }],
      'no-link',
    ],
    [
      'one of several selects it',
      [{ nodeSelectors: [{ matchLabels: { rack: 'b' } }] }, { nodeSelectors: [{ matchLabels: { rack: 'a' } }] }],
      'owner',
    ],
    [
      'one selector of an advertisement selects it',
      [{ nodeSelectors: [{ matchLabels: { rack: 'b' } }, { matchLabels: { rack: 'a' } }] }],
      'owner',
    ],
  ])('judges a node with eth1 in rack a where %s', (_, given, verdict) => {
    const advertisements = given.map(advertisement);
    const labels = { rack: 'a' };
    // Whoever has no link comes after the drained one.
    const nodes = [node('a', { links: ['eth1'], labels }), node('b', { drained: true, labels })];
    const { checks } = elect(contest({ advertisements }), nodes, sha256);
    expect(checks.find((check) => check.node === 'a')?.verdict).toBe(verdict);
  });

  it('lets nobody announce a shared address when one of several advertisements selects Services, and an own one all the same', () => {
    const advertisements = [advertisement(), advertisement({ serviceSelectors: [{}] })];
    for (const each of [advertisements, advertisements.toReversed()]) {
      const shared = elect(contest({ advertisements: each, sharesAddress: true }), kube, sha256);
      expect(new Set(shared.checks.map(({ verdict }) => verdict))).toEqual(new Set(['shared-with-selectors']));
      expect(elect(contest({ advertisements: each }), kube, sha256).owner).toBe('kube-02');
    }
  });

  it('adds up the preferences of all advertisements that select a node', () => {
    const prefers = (name: string, weight: number) =>
      advertisement({ preferences: [{ weight, selector: { matchLabels: { name } } }] });
    const advertisements = [prefers('kube-01', 50), prefers('kube-03', 30), prefers('kube-03', 30)];
    const { checks } = elect(contest({ advertisements }), kube, sha256);
    expect(checks.map(({ node, score }) => `${node} ${score}`).slice(0, 2)).toEqual(['kube-03 60', 'kube-01 50']);
  });

  it('lets an excluded node announce when told to ignore the label', () => {
    const excluded = node('a', { labels: { [EXCLUDE_LABEL]: 'true' } });
    expect(elect(contest({ ignoreExcludeLabel: true }), [excluded], sha256).owner).toBe('a');
  });

  it('moves only the addresses of the node that went away', () => {
    const owner = (address: string, nodes: Candidate[]) => elect(contest({ address }), nodes, sha256).owner;
    for (let i = 0; i < 50; i++) {
      const address = `192.0.2.${i}`;
      const before = owner(address, kube);
      const after = owner(
        address,
        kube.filter(({ name }) => name !== 'kube-02'),
      );
      if (before !== 'kube-02') expect(after).toBe(before);
    }
  });
});
