import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../net/address.ts';
import { decodeMessage, encodeMessage, fitting, MAX_ADDRESSES, MAX_LINKS } from './codec.ts';
import { type Content, type Message, STATUSES, type Status, type Update } from './messages.ts';

const name = fc.stringMatching(/^[a-z0-9]([-.a-z0-9]{0,60}[a-z0-9])?$/);
const u32 = fc.nat(0xffffffff);
const age = fc.nat(0xfffffffe);
const link = fc.record({
  name: fc.stringMatching(/^[a-z0-9.]{1,15}$/),
  mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
});
const incarnation = fc.bigInt({ min: 1n, max: (1n << 64n) - 1n });
const updateIn = (statuses: readonly Status[]): fc.Arbitrary<Update> =>
  fc
    .record({
      node: name,
      incarnation,
      version: u32,
      status: fc.constantFrom(...statuses),
      age,
      links: fc.array(link, { maxLength: MAX_LINKS }),
      unheard: fc.boolean(),
    })
    .map((one) => (one.status === 'absent' ? { ...one, incarnation: 0n } : one));
const update = updateIn(Object.keys(STATUSES) as Status[]);
const ownUpdate = updateIn(['starting', 'active', 'unsteady', 'leaving']);
const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => formatAddress(parseAddress(text)!));
const addresses = fc.array(address, { maxLength: MAX_ADDRESSES });
const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ping' as const, 'gossip' as const) }),
  fc.record({ kind: fc.constant('ack' as const), echo: u32 }),
  fc.record({ kind: fc.constant('ping-req' as const), about: name }),
  fc.record({ kind: fc.constant('indirect-ack' as const), about: name, silentFor: fc.option(age, { nil: undefined }) }),
  fc.record({ kind: fc.constant('pull' as const), after: fc.oneof(fc.constant(''), name) }),
  fc.record({ kind: fc.constant('push' as const), last: fc.oneof(fc.constant(''), name) }),
  fc.record({ kind: fc.constant('holder-req' as const), yielded: fc.boolean(), addresses }),
  fc.record({ kind: fc.constant('holder-ack' as const), addresses }),
);
const message: fc.Arbitrary<Message> = fc
  .tuple(
    content,
    fc.record({
      from: ownUpdate,
      to: incarnation,
      sequence: u32,
      digest: u32,
      updates: fc.array(update, { maxLength: 12 }),
    }),
  )
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

  const own: Update = {
    node: 'kube-02',
    incarnation: 1n,
    version: 1,
    status: 'active',
    age: 0,
    links: [],
    unheard: false,
  };
  const mac = new Uint8Array(6);
  const links = (count: number, length: number) =>
    Array.from({ length: count }, () => ({ name: 'l'.repeat(length), mac }));
  const from = (more: Partial<Update>): Message => ({
    kind: 'ping',
    to: 1n,
    sequence: 0,
    digest: 0,
    from: { ...own, ...more },
    updates: [],
  });
  const told = (...updates: readonly Partial<Update>[]): Message => ({
    ...from({}),
    updates: updates.map((one) => ({ ...own, ...one })),
  });

  it.each([
    ['a speaker that says that it is dead', from({ status: 'dead' }), 'implausible'],
    ['one that says that it is absent', from({ status: 'absent', incarnation: 0n }), 'implausible'],
    ['an active one that nobody has heard of', told({ incarnation: 0n }), 'implausible'],
    ['an absent one that somebody has heard of', told({ status: 'absent' }), 'implausible'],
    ['more updates than anybody sends', told(...Array.from({ length: 25 }, () => ({}))), 'too-many'],
  ])('refuses %s', (_, bad, error) => {
    expect(decodeMessage(encodeMessage(bad))).toEqual({ ok: false, error });
  });

  it('refuses links that no node has', () => {
    const bytes = encodeMessage(from({ links: links(2, 15) }));
    const at = bytes.indexOf(2, 14 + 8 + 8 + 18);
    expect(bytes[at + 1]).toBe(15);
    const many = bytes.slice();
    many[at] = 17;
    expect(decodeMessage(many)).toEqual({ ok: false, error: 'too-many' });
    const none = bytes.slice();
    none[at + 1] = 0;
    expect(decodeMessage(none)).toEqual({ ok: false, error: 'bad-link' });
  });

  it('leaves links out of a record that others would refuse', () => {
    const odd = [{ name: 'ib0', mac: new Uint8Array(20) }, ...links(20, 15)];
    const decoded = decodeMessage(encodeMessage(from({ links: odd })));
    expect(decoded).toMatchObject({ ok: true, message: { from: { links: links(MAX_LINKS, 15) } } });
  });

  it('refuses addresses that are none, or not as we write them, and more than it sends', () => {
    const ack = (addresses: readonly string[]) =>
      encodeMessage({ kind: 'holder-ack', addresses, from: own, to: 1n, sequence: 0, digest: 0, updates: [] });
    for (const text of ['', '198.51.100', '2001:DB8::1'])
      expect(decodeMessage(ack([text]))).toEqual({ ok: false, error: 'bad-address' });
    const many = ack(new Array(MAX_ADDRESSES + 1).fill('198.51.100.1'));
    expect(decodeMessage(many)).toMatchObject({ ok: true, message: { addresses: { length: MAX_ADDRESSES } } });
    many[many.length - MAX_ADDRESSES * 13 - 1] = MAX_ADDRESSES + 1;
    expect(decodeMessage(many)).toEqual({ ok: false, error: 'too-many' });
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
    expect(() => encodeMessage({ kind: 'ping', from: bad, to: 1n, sequence: 0, digest: 0, updates: [] })).toThrow(
      RangeError,
    );
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
    const sent = encodeMessage({ kind: 'ping', from: long, to: 1n, sequence: 0, digest: 0, updates: some });
    // Less what IPv6, UDP and the seal add.
    expect(sent.length).toBeLessThan(1280 - 40 - 8 - 28);
    const asked = new Array(MAX_ADDRESSES).fill('2001:db8:ffff:ffff:ffff:ffff:ffff:ffff');
    const question = { kind: 'holder-req', yielded: true, addresses: asked } as const;
    const full = encodeMessage({ ...question, from: long, to: 1n, sequence: 0, digest: 0, updates: [long] });
    expect(full.length).toBeLessThan(1280 - 40 - 8 - 28);
  });
});
