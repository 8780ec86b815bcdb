import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidate, l2Advertisement } from '../../../test/builders.ts';
import { sha256 } from '../../adapters/sha256.ts';
import { assign, type Contestant, withOwner } from './assignment.ts';
import { type Candidate, type ElectionResult, elect } from './election.ts';

const l2 = l2Advertisement();
const addresses = Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`);
const contestants = (nodes: readonly Candidate[], incumbents: ReadonlyMap<string, string | undefined> = new Map()) =>
  addresses.map((address): Contestant => {
    const contest = {
      advertisements: [l2],
      anyEndpoint: true,
      sharesAddress: false,
      ignoreExcludeLabel: false,
      fenced: false,
    };
    const lot = { address, nodes: new Set<string>(), contests: [contest], kin: new Set<string>() };
    const election = elect(lot, nodes, sha256);
    return { address, election, incumbent: incumbents.get(address) };
  });
const nodes = ['a', 'b', 'c', 'd', 'e'].map((name) => candidate(name));
const loads = (owners: ReadonlyMap<string, string | undefined>) => {
  const counts = new Map<string, number>();
  for (const owner of owners.values()) counts.set(owner!, (counts.get(owner!) ?? 0) + 1);
  return counts;
};

describe('balanced ownership', () => {
  const rules = { balanced: true, preempt: true };

  it('gives no node more than a quarter above the average', () => {
    const owners = assign(contestants(nodes), rules);
    expect(owners.size).toBe(60);
    expect(Math.max(...loads(owners).values())).toBeLessThanOrEqual(15);
  });

  it.each([
    [60, ['a', 'b', 'c', 'd', 'e'], [15, 15, 15, 15, 0]],
    // A quarter above 3.5 is 4.375, and no address is left over.
    [7, ['a', 'b'], [5, 2]],
    [1, ['a', 'b'], [1, 0]],
  ])('fills the favorite of all %i addresses up to the bound, then the next', (count, names, expected) => {
    const election: ElectionResult = {
      owner: names[0],
      checks: names.map((node, i) => ({ node, verdict: i === 0 ? 'owner' : 'lost-election', score: 0 })),
    };
    const all = addresses.slice(0, count).map((address) => ({ address, election, incumbent: undefined }));
    const counts = loads(assign(all, rules));
    expect(names.map((name) => counts.get(name) ?? 0)).toEqual(expected);
  });

  it('goes over the bound only for an address that no node with room could announce', () => {
    const only = (address: string, ...names: string[]): Contestant => {
      const checks = names.map((node, i) => ({
        node,
        verdict: i === 0 ? ('owner' as const) : ('lost-election' as const),
        score: 0,
      }));
      return { address, election: { owner: names[0], checks }, incumbent: undefined };
    };
    // Ten addresses and two nodes: seven each at most. Nine can be on `a` alone, the last one on either.
    const bound = addresses.slice(0, 9).map((address) => only(address, 'a'));
    const counts = loads(assign([...bound, only('203.0.113.1', 'a', 'b')], rules));
    expect([...counts]).toEqual([
      ['a', 9],
      ['b', 1],
    ]);
  });

  it('takes from one that announces everything what is above the bound, though nobody preempts', () => {
    const incumbents = new Map(addresses.map((address) => [address, 'a']));
    const owners = assign(contestants(nodes, incumbents), { balanced: true, preempt: false });
    expect(loads(owners).get('a')).toBe(15);
    expect(Math.max(...loads(owners).values())).toBe(15);
  });

  it('moves little when a node goes', () => {
    const before = assign(contestants(nodes), rules);
    const after = assign(contestants(nodes.slice(1)), rules);
    const share = loads(before).get('a')!;
    const moved = addresses.filter((address) => before.get(address) !== after.get(address)).length;
    expect(moved).toBeGreaterThanOrEqual(share);
    expect(moved).toBeLessThan(share * 2);
  });

  it('gives a drained node nothing while others have room or not', () => {
    const owners = assign(contestants([candidate('a', { drained: true }), ...nodes.slice(1, 3)]), rules);
    expect([...loads(owners).keys()].sort()).toEqual(['b', 'c']);
  });
});

describe('without preemption', () => {
  const rules = { balanced: false, preempt: false };

  it('who announces goes on when a better one returns, and is followed by the best when it goes', () => {
    const without = assign(contestants(nodes.slice(1)), rules);
    const returned = assign(contestants(nodes, without), rules);
    expect([...returned]).toEqual([...without]);
    const gone = assign(contestants(nodes.slice(0, 4), returned), rules);
    const plain = assign(contestants(nodes.slice(0, 4)), { balanced: false, preempt: true });
    for (const address of addresses)
      expect(gone.get(address)).toBe(returned.get(address) === 'e' ? plain.get(address) : returned.get(address));
  });

  it('a drained node hands over all the same', () => {
    const incumbents = new Map(addresses.map((address) => [address, 'a']));
    const drained = [candidate('a', { drained: true }), ...nodes.slice(1)];
    expect(loads(assign(contestants(drained, incumbents), rules)).has('a')).toBe(false);
  });
});

it('an election with another owner still names every node once', () => {
  const { election } = contestants(nodes)[0]!;
  const last = election.checks.at(-1)!.node;
  const changed = withOwner(election, last);
  expect(changed.owner).toBe(last);
  expect(changed.checks.map(({ verdict }) => verdict)).toEqual(['owner', ...Array(4).fill('lost-election')]);
  expect(new Set(changed.checks.map(({ node }) => node)).size).toBe(5);
});

it.each([
  [
    'no node can announce it',
    { owner: undefined, checks: nodes.map(({ name }) => ({ node: name, verdict: 'no-endpoints', score: 0 })) },
  ],
  ['there is no node', { owner: undefined, checks: [] }],
] satisfies [string, ElectionResult][])('an address has no owner where %s, whoever had it', (_, election) => {
  const all: Contestant[] = [{ address: 'x', election, incumbent: 'b' }];
  expect(withOwner(election, 'a')).toBe(election);
  for (const balanced of [true, false])
    expect(assign(all, { balanced, preempt: false })).toEqual(new Map([['x', undefined]]));
});

it('the same facts in any order make the same owners', () => {
  const some = contestants(nodes, new Map(addresses.map((address, i) => [address, nodes[i % 7]?.name]))).slice(0, 12);
  const rules = fc.record({ balanced: fc.boolean(), preempt: fc.boolean() });
  const shuffled = fc
    .subarray(some)
    .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
  fc.assert(
    fc.property(rules, shuffled, (rules, [one, other]) => {
      expect([...assign(other, rules)].sort()).toEqual([...assign(one, rules)].sort());
    }),
  );
});
