import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { livenessMachine } from './fsm.ts';
import type { MemberRecord, Status, Update } from './messages.ts';
import { beats } from './records.ts';
import { initialLiveness } from './state.ts';

const record: fc.Arbitrary<MemberRecord> = fc.record({
  node: fc.constantFrom('b', 'c'),
  incarnation: fc.bigInt({ min: 1n, max: 3n }),
  version: fc.nat(2),
  status: fc.constantFrom<Status>('active', 'unsteady', 'leaving', 'dead'),
  links: fc.constant([]),
  unheard: fc.constant(false),
});

/** What one speaker says at one version is one thing; others may add that it is dead. */
const consistent = fc.array(record, { maxLength: 8 }).map((records) => {
  const said = new Map<string, Status>();
  return records.map((one) => {
    if (one.status === 'dead') return one;
    const key = `${one.node} ${one.incarnation} ${one.version}`;
    const status = said.get(key) ?? one.status;
    said.set(key, status);
    return { ...one, status };
  });
});

/** What a speaker knows after it was told all this, in this order. */
function knowledgeAfter(updates: readonly MemberRecord[]) {
  const state = initialLiveness({ self: 'a', incarnation: 1n, interval: 100, misses: 3, fenced: false });
  const members = ['a', 'b', 'c', 'd'].map((node) => ({ node, address: node }));
  livenessMachine.step(state, { kind: 'start' }, 0);
  livenessMachine.step(state, { kind: 'members', members }, 0);
  const from: Update = { node: 'd', incarnation: 1n, version: 0, status: 'active', links: [], unheard: false, age: 0 };
  for (const [sequence, update] of updates.entries()) {
    const message = { kind: 'gossip', from, to: 1n, sequence, digest: 0, updates: [{ ...update, age: 0 }] } as const;
    livenessMachine.step(state, { kind: 'received', message }, 0);
  }
  return { digest: state.digest, records: ['b', 'c'].map((node) => state.peers.get(node)!.record) };
}

describe('records', () => {
  it('no two beat each other, and whatever beats the winner beats the loser', () => {
    fc.assert(
      fc.property(record, record, record, (a, b, c) => {
        expect(beats(a, b) && beats(b, a)).toBe(false);
        if (beats(a, b) && beats(b, c)) expect(beats(a, c)).toBe(true);
      }),
    );
  });

  it('merge to the same knowledge in any order, however often each is told', () => {
    const orders = consistent.chain((updates) =>
      fc.tuple(fc.constant(updates), fc.shuffledSubarray([...updates, ...updates], { minLength: updates.length * 2 })),
    );
    fc.assert(
      fc.property(orders, ([once, twice]) => {
        expect(knowledgeAfter(twice)).toEqual(knowledgeAfter(once));
      }),
    );
  });
});
