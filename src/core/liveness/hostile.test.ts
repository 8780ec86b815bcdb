/**
 * A member that says whatever the codec lets through: no other one may break over it, lose its own record, or grow without bounds.
 * @module
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeMessage, encodeMessage, MAX_LINKS, MAX_UPDATES } from './codec.ts';
import { type LivenessInput, livenessMachine } from './fsm.ts';
import { type Content, type Message, STATUSES, type Status, type Update } from './messages.ts';
import { initialLiveness, type LivenessOutput, type LivenessState } from './state.ts';
import { livenessView } from './view.ts';

const MEMBERS = ['a', 'b', 'c', 'd'];
/** What a receiver reads of one datagram. */
const BUFFER = 2048;

const EXTREMES = [
  0n,
  1n,
  2n,
  2n ** 32n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 63n + 1n,
  2n ** 64n - 2n,
  2n ** 64n - 1n,
];
const u64 = fc.oneof(fc.constantFrom(...EXTREMES), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const u32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1), fc.nat(2 ** 32 - 1));
/** Never heard is all ones. */
const age = fc.oneof(fc.constantFrom(0, 999, 1001, 2 ** 32 - 2), fc.nat(2 ** 32 - 2));
const node = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...MEMBERS) },
  { weight: 1, arbitrary: fc.constantFrom('x', 'n'.repeat(253)) },
);
const link = fc.record({
  name: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 15 }),
  mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
});
const update: fc.Arbitrary<Update> = fc.record({
  node,
  incarnation: u64,
  version: u32,
  status: fc.constantFrom(...(Object.keys(STATUSES) as Status[])),
  age,
  links: fc.array(link, { maxLength: MAX_LINKS }),
  unheard: fc.boolean(),
});
const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ping' as const, 'gossip' as const) }),
  fc.record({ kind: fc.constant('ack' as const), echo: u32 }),
  fc.record({ kind: fc.constant('ping-req' as const), about: node }),
  fc.record({ kind: fc.constant('indirect-ack' as const), about: node, silentFor: fc.option(age, { nil: undefined }) }),
  fc.record({ kind: fc.constant('pull' as const), after: fc.oneof(fc.constant(''), node) }),
  fc.record({ kind: fc.constant('push' as const), last: fc.oneof(fc.constant(''), node) }),
  fc.record({ kind: fc.constant('holder-req' as const), yielded: fc.boolean(), addresses: fc.array(fc.ipV4()) }),
  fc.record({ kind: fc.constant('holder-ack' as const), addresses: fc.array(fc.ipV4()) }),
);
const message: fc.Arbitrary<Message> = fc
  .tuple(
    content,
    fc.record({
      from: update,
      to: u64,
      sequence: u32,
      digest: u32,
      updates: fc.array(update, { maxLength: MAX_UPDATES }),
    }),
  )
  .map(([body, head]) => ({ ...head, ...body }));

type Act = { readonly after: number; readonly input: LivenessInput | { readonly kind: 'tick' } };
const act: fc.Arbitrary<Act> = fc.record({
  after: fc.oneof(fc.nat(20), fc.nat(2000)),
  input: fc.oneof(
    { weight: 12, arbitrary: message.map((said) => ({ kind: 'received' as const, message: said })) },
    { weight: 2, arbitrary: fc.constant({ kind: 'tick' as const }) },
    {
      weight: 1,
      arbitrary: fc
        .subarray(MEMBERS)
        .map((names) => ({ kind: 'members' as const, members: names.map((name) => ({ node: name, address: name })) })),
    },
    { weight: 1, arbitrary: fc.boolean().map((unheard) => ({ kind: 'unheard' as const, unheard })) },
  ),
});

/** As it comes off the wire; undefined: refused there. */
function throughTheDoor(said: Message): Message | undefined {
  const decoded = decodeMessage(encodeMessage(said));
  return decoded.ok ? decoded.message : undefined;
}

function check(state: LivenessState, outputs: readonly LivenessOutput[]): void {
  for (const output of outputs) {
    if (output.kind !== 'send-message') continue;
    const bytes = encodeMessage(output.message);
    expect(bytes.length).toBeLessThan(BUFFER - 64);
    expect(decodeMessage(bytes)).toMatchObject({ ok: true });
  }
  const { own, peers } = state;
  expect(own).toMatchObject({ node: 'a', links: state.links, unheard: state.unheard });
  expect(['starting', 'active', 'unsteady', 'leaving']).toContain(own.status);
  for (const { record, requesters } of peers.values()) {
    expect(record.links.length).toBeLessThanOrEqual(MAX_LINKS);
    expect(requesters.size).toBeLessThanOrEqual(MEMBERS.length);
  }
  for (const nodes of [peers, state.piggyback, state.unsent, state.lateDeaths, state.deferredDeaths])
    for (const name of nodes.keys()) expect(MEMBERS).toContain(name);
  expect(state.flaps.length).toBeLessThanOrEqual(60_000 / 300 + 1);
  expect(() => livenessView(state)).not.toThrow();
}

it.each([false, true])('no speaker breaks over a hostile member (fenced: %s)', (fenced) => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40, size: 'max' }), u64, (acts, incarnation) => {
      const state = initialLiveness({ self: 'a', incarnation, interval: 100, misses: 3, fenced });
      const members = MEMBERS.map((name) => ({ node: name, address: name }));
      let now = 0;
      const feed = (input: Act['input']) => {
        check(state, livenessMachine.step(state, input, now).outputs);
      };
      feed({ kind: 'start' });
      feed({ kind: 'links', links: [{ name: 'eth0', mac: new Uint8Array(6) }] });
      feed({ kind: 'members', members });
      feed({ kind: 'ready' });
      for (const { after, input } of acts) {
        const until = now + after;
        for (
          let at = livenessMachine.nextDeadline(state)!.at;
          at <= until;
          at = livenessMachine.nextDeadline(state)!.at
        ) {
          now = Math.max(now, at);
          feed({ kind: 'tick' });
        }
        now = until;
        if (input.kind !== 'received') feed(input);
        else {
          // Most of them know its incarnation.
          const to = input.message.sequence % 4 === 0 ? input.message.to : state.own.incarnation;
          const said = throughTheDoor({ ...input.message, to });
          if (said !== undefined) feed({ kind: 'received', message: said });
        }
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );
});
