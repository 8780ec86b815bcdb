import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { candidate } from '../../../test/builders.ts';
import { assign, type Contestant, withOwner } from './assignment.ts';
import { type Candidate, elect } from './election.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest();
const l2 = {
  name: 'l2',
  pools: new Set(['p']),
  nodeSelectors: [],
  serviceSelectors: [],
  interfaces: [],
  preferences: [],
};
const addresses = Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`);
const contestants = (nodes: readonly Candidate[], incumbents: ReadonlyMap<string, string | undefined> = new Map()) =>
  addresses.map((address): Contestant => {
    const contest = {
      advertisements: [l2],
      address,
      anyEndpoint: true,
      sharesAddress: false,
      ignoreExcludeLabel: false,
    };
    const election = elect({ ...contest, fenced: false }, nodes, sha256);
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
