import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidate, l2Advertisement } from '../../../test/builders.ts';
import { sha256 } from '../../adapters/sha256.ts';
import type { Contest } from './election.ts';
import { type Elected, electShared, type Sharer, shareOf } from './sharing.ts';

const L2 = l2Advertisement();
const CLUSTER: Contest = {
  advertisements: [L2],
  anyEndpoint: true,
  sharesAddress: true,
  ignoreExcludeLabel: false,
  fenced: false,
};
const local = (...nodes: string[]): Contest => ({ ...CLUSTER, localNodes: new Set(nodes) });
const V4 = '198.51.100.7';
const V6 = '2001:db8::7';
const nodes = [1, 2, 3, 4].map((i) => candidate(`node-${i}`));
const sharer = (service: string, contest: Contest, ...addresses: string[]): Sharer => ({ service, addresses, contest });
const nobody = () => undefined;
const electAll = (...sharers: readonly Sharer[]) => electShared(sharers, nobody, nodes, sha256);
const owners = (elected: readonly Elected[]) =>
  Object.fromEntries(
    elected.flatMap(({ addresses, election }) => addresses.map((address) => [address, election.owner] as const)),
  );
const verdicts = (elected: Elected, contest: Contest) => {
  const { owner, checks } = shareOf(elected, contest, nodes, sha256);
  return { owner, ...Object.fromEntries(checks.map(({ node, verdict }) => [node, verdict])) };
};

describe('the owner of a shared address', () => {
  it('is the node that can serve all who share it, and every one of them says so', () => {
    const [a, b] = [sharer('a', local('node-3'), V4), sharer('b', CLUSTER, V4)];
    for (const elected of [electAll(a, b), electAll(b, a)]) {
      expect(owners(elected)).toEqual({ [V4]: 'node-3' });
      expect(verdicts(elected[0]!, a.contest)).toEqual({
        owner: 'node-3',
        'node-1': 'no-local-endpoint',
        'node-2': 'no-local-endpoint',
        'node-3': 'owner',
        'node-4': 'no-local-endpoint',
      });
      expect(verdicts(elected[0]!, b.contest)).toEqual({
        owner: 'node-3',
        'node-1': 'serves-fewer',
        'node-2': 'serves-fewer',
        'node-3': 'owner',
        'node-4': 'serves-fewer',
      });
    }
  });

  it('is the one that can serve most where none can serve all, and the others are told that it is not for them', () => {
    const a = sharer('a', local('node-1', 'node-2'), V4);
    const b = sharer('b', local('node-2', 'node-3'), V4);
    const c = sharer('c', local('node-4'), V4);
    const [elected] = electAll(c, b, a);
    expect(elected!.election.owner).toBe('node-2');
    expect(verdicts(elected!, c.contest)).toEqual({
      owner: undefined,
      'node-1': 'no-local-endpoint',
      'node-2': 'no-local-endpoint',
      'node-3': 'no-local-endpoint',
      'node-4': 'serves-fewer',
    });
  });

  it('does not hang on Services that no node can serve', () => {
    const idle = { ...local('node-4'), anyEndpoint: false };
    expect(owners(electAll(sharer('a', idle, V4), sharer('b', local('node-3'), V4)))).toEqual({ [V4]: 'node-3' });
    expect(owners(electAll(sharer('a', idle, V4)))).toEqual({ [V4]: undefined });
  });

  it('is a drained node when only that one can serve all, and one with a link before that', () => {
    const [a, b] = [sharer('a', local('node-1', 'node-2'), V4), sharer('b', local('node-2'), V4)];
    const some = [nodes[0]!, candidate('node-2', { drained: true })];
    expect(owners(electShared([a, b], nobody, some, sha256))).toEqual({ [V4]: 'node-2' });
    const cut = [nodes[0]!, candidate('node-2', { links: [] })];
    expect(owners(electShared([a, b], nobody, cut, sha256))).toEqual({ [V4]: 'node-1' });
  });
});

describe('a Service of both families', () => {
  it('has one owner, by the hash of its first address', () => {
    const both = electAll(sharer('a', CLUSTER, V4, V6));
    const alone = electAll(sharer('a', CLUSTER, V4));
    expect(owners(both)).toEqual({ [V4]: alone[0]!.election.owner, [V6]: alone[0]!.election.owner });
  });

  it('has one owner with those that share one of its addresses, if some node can serve all', () => {
    const elected = electAll(sharer('a', CLUSTER, V4, V6), sharer('b', local('node-4'), V6));
    expect(owners(elected)).toEqual({ [V4]: 'node-4', [V6]: 'node-4' });
  });

  it('has two if it must, and no more than it must', () => {
    const both = sharer('both', local('node-1'), V4, V6);
    expect(owners(electAll(both, sharer('v6', local('node-4'), V6), sharer('also', local('node-4'), V6)))).toEqual({
      [V4]: 'node-1',
      [V6]: 'node-4',
    });
    // What the first two share, no node can serve: the third can go where that goes.
    const elected = electAll(
      sharer('a', local('node-2'), V6),
      sharer('b', local('node-3'), V6),
      sharer('both', CLUSTER, V4, V6),
    );
    expect(new Set(Object.values(owners(elected))).size).toBe(1);
    expect(elected).toHaveLength(2);
  });
});

describe('an address that is some node’s own', () => {
  const nodeOf = (address: string) => ({ [V4]: 'node-2', '198.51.100.8': 'node-3' })[address];
  const elect = (...sharers: readonly Sharer[]) => electShared(sharers, nodeOf, nodes, sha256);

  it('is announced by that node or none', () => {
    const [elected] = elect(sharer('a', CLUSTER, V4));
    expect(verdicts(elected!, CLUSTER)).toEqual({
      owner: 'node-2',
      'node-1': 'address-of-node',
      'node-2': 'owner',
      'node-3': 'address-of-node',
      'node-4': 'address-of-node',
    });
    expect(owners(elect(sharer('a', local('node-4'), V4)))).toEqual({ [V4]: undefined });
    const gone = [candidate('node-1')];
    expect(owners(electShared([sharer('a', CLUSTER, V4)], nodeOf, gone, sha256))).toEqual({ [V4]: undefined });
  });

  it('takes the other address of its Service along where it can, and leaves it to others where not', () => {
    expect(owners(elect(sharer('a', CLUSTER, V4, V6)))).toEqual({ [V4]: 'node-2', [V6]: 'node-2' });
    expect(owners(elect(sharer('a', local('node-4'), V4, V6)))).toEqual({ [V4]: undefined, [V6]: 'node-4' });
    expect(owners(elect(sharer('a', CLUSTER, V4, '198.51.100.8')))).toEqual({
      [V4]: 'node-2',
      '198.51.100.8': 'node-3',
    });
  });
});

const contest = fc
  .option(fc.subarray(nodes.map(({ name }) => name)), { nil: undefined })
  .map((some) => (some === undefined ? CLUSTER : local(...some)));
const addresses = fc.constantFrom([V4], [V6], [V4, V6], [V6, V4]);
const sharers = fc
  .array(fc.record({ contest, addresses }), { minLength: 1, maxLength: 5 })
  .map((all) => all.map((one, i): Sharer => ({ service: `s${i}`, ...one })));

it('whoever shares: each address has one owner, which nobody could better, and the order of the facts does not matter', () => {
  fc.assert(
    fc.property(sharers, (all) => {
      const elected = electAll(...all);
      expect(owners(electAll(...all.toReversed()))).toEqual(owners(elected));
      const serves = (node: string, { contest: { localNodes } }: Sharer) => localNodes?.has(node) ?? true;
      for (const [address, owner] of Object.entries(owners(elected))) {
        const those = all.filter((one) => one.addresses.includes(address));
        const best = Math.max(...nodes.map(({ name }) => those.filter((one) => serves(name, one)).length));
        expect(owner === undefined ? 0 : those.filter((one) => serves(owner, one)).length).toBe(best);
        for (const one of those) {
          const share = shareOf(elected.find((each) => each.addresses.includes(address))!, one.contest, nodes, sha256);
          expect(share.owner).toBe(owner !== undefined && serves(owner, one) ? owner : undefined);
          expect(share.checks.map(({ node }) => node).sort()).toEqual(nodes.map(({ name }) => name));
        }
      }
    }),
  );
});
