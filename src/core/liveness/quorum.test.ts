import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Status } from './messages.ts';
import { hasQuorum } from './quorum.ts';
import { initialLiveness, newPeer } from './state.ts';

/** Whether a node has the quorum when it knows this of the others. */
function quorumOf(self: string, others: Readonly<Record<string, Status>>, isolatedSince?: number): boolean {
  const state = initialLiveness({ self, incarnation: 1n, interval: 100, misses: 3, fenced: true });
  for (const [node, status] of Object.entries(others))
    state.peers.set(node, newPeer({ node, address: node }, 1n, status));
  return hasQuorum({ ...state, isolatedSince });
}

describe('the quorum', () => {
  it.each<[string, string, Readonly<Record<string, Status>>, boolean]>([
    ['more than half have it', 'c', { a: 'dead', b: 'active' }, true],
    ['fewer than half do not', 'a', { b: 'dead', c: 'dead' }, false],
    ['the half with the first node by name has it', 'b', { a: 'active', c: 'dead', d: 'dead' }, true],
    ['and so has that node itself', 'a', { b: 'dead' }, true],
    ['the other half has not', 'b', { a: 'dead', c: 'active', d: 'dead' }, false],
    ['who leaves or never came does not count', 'b', { a: 'leaving', c: 'absent', d: 'active' }, true],
    ['who starts, or is unsteady, does', 'c', { a: 'dead', b: 'starting', d: 'unsteady', e: 'dead' }, true],
  ])('%s', (_, self, others, expected) => {
    expect(quorumOf(self, others)).toBe(expected);
  });

  it('an isolated speaker counts only itself', () => {
    expect(quorumOf('b', { c: 'active', d: 'active' }, 0)).toBe(false);
    expect(quorumOf('b', { c: 'active' }, 0)).toBe(true);
  });

  it('has exactly one side of every partition', () => {
    const sides = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 3 }), fc.boolean()), {
      minLength: 1,
      maxLength: 7,
      selector: ([node]) => node,
    });
    fc.assert(
      fc.property(sides, (nodes) => {
        const holders = nodes.filter(([self, side]) => {
          const others = nodes.filter(([node]) => node !== self);
          return quorumOf(
            self,
            Object.fromEntries(others.map(([node, at]) => [node, at === side ? 'active' : 'dead'])),
          );
        });
        expect(new Set(holders.map(([, side]) => side)).size).toBe(1);
        expect(holders).toEqual(nodes.filter(([, side]) => side === holders[0]![1]));
      }),
    );
  });
});
