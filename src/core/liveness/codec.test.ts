import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, fitting, MAX_LINKS } from './codec.ts';
import { type Content, type Message, STATUSES, type Status, type Update } from './messages.ts';

const name = fc.stringMatching(/^[a-z0-9]([-.a-z0-9]{0,60}[a-z0-9])?$/);
const u32 = fc.nat(0xffffffff);
const age = fc.nat(0xfffffffe);
const link = fc.record({
  name: fc.stringMatching(/^[a-z0-9.]{1,15}$/),
  mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
});
const update: fc.Arbitrary<Update> = fc.record({
  node: name,
  incarnation: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  version: u32,
  status: fc.constantFrom(...(Object.keys(STATUSES) as Status[])),
  age,
  links: fc.array(link, { maxLength: MAX_LINKS }),
  unheard: fc.boolean(),
});
const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ping' as const, 'gossip' as const) }),
  fc.record({ kind: fc.constant('ack' as const), echo: u32 }),
  fc.record({ kind: fc.constant('ping-req' as const), about: name }),
  fc.record({ kind: fc.constant('indirect-ack' as const), about: name, silentFor: fc.option(age, { nil: undefined }) }),
  fc.record({ kind: fc.constant('pull' as const), after: fc.oneof(fc.constant(''), name) }),
  fc.record({ kind: fc.constant('push' as const), last: fc.oneof(fc.constant(''), name) }),
);
const message: fc.Arbitrary<Message> = fc
  .tuple(content, fc.record({ from: update, sequence: u32, digest: u32, updates: fc.array(update, { maxLength: 12 }) }))
  .map(([body, head]) => ({ ...head, ...body }));

describe('the liveness codec', () => {
  it('round-trips', () => {
    fc.assert(
      fc.property(message, (m) => {
        expect(decodeMessage(encodeMessage(m))).toEqual({ ok: true, message: m });
      }),
    );
  });

  it('never throws on garbage, and what it takes for a message it can say again', () => {
    const mutated = fc
      .tuple(message, fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 4 }), fc.nat(2000))
      .map(([m, changes, length]) => {
        const bytes = encodeMessage(m);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return length % 3 === 0 ? bytes.slice(0, length % bytes.length) : bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 128 }), mutated), (bytes) => {
        const decoded = decodeMessage(bytes);
        if (decoded.ok) expect(decodeMessage(encodeMessage(decoded.message))).toEqual(decoded);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses to send a name that is none', () => {
    const bad: Update = {
      node: 'Käse',
      incarnation: 0n,
      version: 0,
      status: 'active',
      age: 0,
      links: [],
      unheard: false,
    };
    expect(() => encodeMessage({ kind: 'ping', from: bad, sequence: 0, digest: 0, updates: [] })).toThrow(RangeError);
  });

  it('fits what is sent into a datagram that no path has to fragment', () => {
    const long: Update = {
      node: 'n'.repeat(63),
      incarnation: 1n,
      version: 1,
      status: 'active',
      age: 0,
      unheard: false,
      links: Array.from({ length: 4 }, (_, i) => ({ name: `enp0s31f${i}.1000`, mac: new Uint8Array(6) })),
    };
    const some = fitting(Array.from({ length: 50 }, () => long));
    expect(some.length).toBeGreaterThan(4);
    const sent = encodeMessage({ kind: 'ping', from: long, sequence: 0, digest: 0, updates: some });
    // Less what IPv6, UDP and the seal add.
    expect(sent.length).toBeLessThan(1280 - 40 - 8 - 28);
  });
});
