import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../net/address.ts';
import { parsePrefix, prefixOf } from '../../net/prefix.ts';
import { BEFORE_OPEN, decodeMessage, encodeMessage, frameLength } from './codec.ts';
import { describeNotification } from './errors.ts';
import type { BgpMessage, Capability, CodecOptions, PathAttributes, UpdateMessage } from './messages.ts';

const NOW: CodecOptions = { fourOctetAs: true, extendedMessage: false };
const bytes = (...hex: string[]) => Uint8Array.from(Buffer.from(hex.join('').replaceAll(' ', ''), 'hex'));
const MARKER = 'ff'.repeat(16);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const family = fc.constantFrom('ipv4' as const, 'ipv6' as const);

const ipv4 = u32.map((value) => ({ family: 'ipv4' as const, value: BigInt(value) }));
const ipv6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => ({ family: 'ipv6' as const, value }));
const prefix4 = fc.tuple(ipv4, fc.nat(32)).map(([address, length]) => prefixOf(address, length));
const prefix6 = fc.tuple(ipv6, fc.nat(128)).map(([address, length]) => prefixOf(address, length));
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 8 });
const filled = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 8 });

const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.record({ kind: fc.constant('multiprotocol' as const), family }),
  fc.record({ kind: fc.constantFrom('route-refresh', 'enhanced-route-refresh', 'extended-message') }),
  fc.record({ kind: fc.constant('four-octet-as' as const), asn: u32 }),
  fc.record({ kind: fc.constant('extended-next-hop' as const), family, nextHop: family }),
  fc.record({
    kind: fc.constant('graceful-restart' as const),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    restartTime: fc.nat(4095),
    families: some(fc.record({ family, forwarding: fc.boolean() })),
  }),
  fc.record({
    kind: fc.constant('unknown' as const),
    code: fc.integer({ min: 128, max: 255 }),
    value: fc.uint8Array({ maxLength: 30 }),
  }),
);
const attributes: fc.Arbitrary<PathAttributes> = fc.record(
  {
    origin: fc.constantFrom('igp' as const, 'egp' as const, 'incomplete' as const),
    asPath: some(fc.record({ type: fc.constantFrom('sequence' as const, 'set' as const), asns: filled(u32) })),
    nextHop: ipv4,
    med: u32,
    localPref: u32,
    communities: filled(fc.tuple(u16, u16)),
    extendedCommunities: filled(fc.uint8Array({ minLength: 8, maxLength: 8 })),
    largeCommunities: filled(fc.tuple(u32, u32, u32)),
  },
  { requiredKeys: ['origin', 'asPath', 'nextHop'] },
);
const reach = fc.oneof(
  fc.record({
    family: fc.constant('ipv6' as const),
    nextHops: fc.array(ipv6, { minLength: 1, maxLength: 2 }),
    prefixes: some(prefix6),
  }),
  fc.record({ family: fc.constant('ipv4' as const), nextHops: fc.tuple(ipv6), prefixes: some(prefix4) }),
);
const update: fc.Arbitrary<UpdateMessage> = fc.record(
  {
    kind: fc.constant('update' as const),
    withdrawn: some(prefix4),
    announced: some(prefix4),
    attributes,
    reach,
    unreach: fc.record({ family: fc.constant('ipv6' as const), prefixes: some(prefix6) }),
  },
  { requiredKeys: ['kind', 'withdrawn', 'announced', 'attributes'] },
);
const message: fc.Arbitrary<BgpMessage> = fc.oneof(
  update,
  fc.record({
    kind: fc.constant('open' as const),
    version: fc.nat(255),
    asn: u16,
    holdTime: u16,
    identifier: u32,
    capabilities: fc.array(capability, { maxLength: 12 }),
  }),
  fc.record({
    kind: fc.constant('notification' as const),
    code: fc.nat(255),
    subcode: fc.nat(255),
    data: fc.uint8Array({ maxLength: 20 }),
  }),
  fc.record({
    kind: fc.constant('route-refresh' as const),
    family: fc.oneof(family, fc.record({ afi: fc.integer({ min: 3, max: 0xffff }), safi: fc.nat(255) })),
    subtype: fc.oneof(
      fc.constantFrom('request' as const, 'begin' as const, 'end' as const),
      fc.integer({ min: 3, max: 255 }),
    ),
  }),
  fc.constant({ kind: 'keepalive' as const }),
);

describe('the BGP codec', () => {
  it('round-trips', () => {
    fc.assert(
      fc.property(message, (m) => {
        const encoded = encodeMessage(m, NOW);
        expect(frameLength(encoded, NOW)).toEqual({ length: encoded.length });
        const decoded = decodeMessage(encoded, NOW);
        expect(decoded).toMatchObject({ ok: true, message: m });
      }),
    );
  });

  it('reads an OPEN as FRR sends it', () => {
    const parameters = bytes(
      '02 06 0104 0001 00 01', // IPv4 unicast
      '02 02 8000', // the old route refresh
      '02 02 0200 02 02 4600', // route refresh, enhanced
      '02 06 4104 0000fbf4', // four-octet AS 64500
      '02 02 0600 02 06 4504 0001 01 01', // extended message, add-path (receive)
      '02 12 4910 0e 726f757465722d6578616d706c65 00', // FQDN
      '02 04 4002 c078', // graceful restart: restarting, N bit, 120 s
    );
    const fixed = bytes('04 fbf4 00b4 0a000001');
    const open = Uint8Array.from([
      ...bytes(MARKER),
      0,
      29 + parameters.length,
      1,
      ...fixed,
      parameters.length,
      ...parameters,
    ]);
    expect(decodeMessage(open, BEFORE_OPEN)).toMatchObject({
      ok: true,
      message: {
        kind: 'open',
        asn: 64500,
        holdTime: 180,
        capabilities: [
          { kind: 'multiprotocol', family: 'ipv4' },
          { kind: 'unknown', code: 128 },
          { kind: 'route-refresh' },
          { kind: 'enhanced-route-refresh' },
          { kind: 'four-octet-as', asn: 64500 },
          { kind: 'extended-message' },
          { kind: 'unknown', code: 69 },
          { kind: 'unknown', code: 73 },
          { kind: 'graceful-restart', restarting: true, notification: true, restartTime: 120, families: [] },
        ],
      },
    });
  });

  it('takes no message for another: not a ROUTE-REFRESH for VPNv4 for a KEEPALIVE, nor its End-of-RIB for that of IPv4', () => {
    expect(decodeMessage(bytes(MARKER, '0017 05 0001 00 80'), NOW)).toEqual({
      ok: true,
      message: { kind: 'route-refresh', family: { afi: 1, safi: 128 }, subtype: 'request' },
    });
    expect(decodeMessage(bytes(MARKER, '0017 05 0001 07 01'), NOW)).toEqual({
      ok: true,
      message: { kind: 'route-refresh', family: 'ipv4', subtype: 7 },
    });
    const nothing = { kind: 'update', withdrawn: [], announced: [], attributes: {} };
    expect(decodeMessage(bytes(MARKER, '001d 02 0000 0006 80 0f 03 0001 80'), NOW)).toEqual({
      ok: true,
      message: { ...nothing, others: [{ afi: 1, safi: 128 }] },
    });
    expect(decodeMessage(bytes(MARKER, '0017 02 0000 0000'), NOW)).toEqual({ ok: true, message: nothing });
  });

  // One capability of `size` bytes, head included: the parameter around it has two bytes more.
  it.each([
    [252, 254, 'short'],
    [253, 255, 'short'],
    [254, 257, 'extended'],
    [255, 258, 'extended'],
    [256, 259, 'extended'],
  ])(
    'writes capabilities of %i bytes into parameters of %i, with lengths that are %s (RFC 9072)',
    (size, length, how) => {
      const capabilities: Capability[] = [
        { kind: 'unknown', code: 200, value: new Uint8Array(100) },
        { kind: 'unknown', code: 201, value: new Uint8Array(size - 104) },
      ];
      const open: BgpMessage = { kind: 'open', version: 4, asn: 64500, holdTime: 90, identifier: 1, capabilities };
      const encoded = encodeMessage(open, BEFORE_OPEN);
      const parameters = encoded.subarray(28);
      if (how === 'short') {
        expect([...parameters.subarray(0, 3)]).toEqual([length, 2, size]);
        expect(parameters).toHaveLength(1 + length);
      } else {
        expect([...parameters.subarray(0, 7)]).toEqual([255, 255, length >> 8, length & 255, 2, size >> 8, size & 255]);
        expect(parameters).toHaveLength(4 + length);
      }
      expect(decodeMessage(encoded, BEFORE_OPEN)).toEqual({ ok: true, message: open });
    },
  );

  it('writes an UPDATE byte for byte', () => {
    const announced = [parsePrefix('192.0.2.0/25')!, parsePrefix('198.51.100.7/32')!];
    const asPath = [{ type: 'sequence' as const, asns: [64500] }];
    const attributes = {
      origin: 'igp' as const,
      asPath,
      nextHop: parseAddress('10.0.0.1')!,
      communities: [[64500, 7] as const],
    };
    expect(encodeMessage({ kind: 'update', withdrawn: [], announced, attributes }, NOW)).toEqual(
      bytes(
        MARKER,
        '003c 02 0000 001b',
        '40 01 01 00', // ORIGIN
        '40 02 06 02 01 0000fbf4', // AS_PATH
        '40 03 04 0a000001', // NEXT_HOP
        'c0 08 04 fbf4 0007', // COMMUNITIES
        '19 c0000200 20 c6336407',
      ),
    );
  });

  it('writes an AS number of four bytes as AS_TRANS for a peer that knows two', () => {
    const asPath = [{ type: 'sequence' as const, asns: [4200000000] }];
    const attributes = { origin: 'igp' as const, asPath, nextHop: parseAddress('10.0.0.1')! };
    const encoded = encodeMessage({ kind: 'update', withdrawn: [], announced: [], attributes }, BEFORE_OPEN);
    expect(decodeMessage(encoded, BEFORE_OPEN)).toMatchObject({
      message: { attributes: { asPath: [{ asns: [23456] }] } },
    });
  });

  it.each<[string, Partial<UpdateMessage>, string]>([
    ['MED', { attributes: { med: 0x01020304 } }, '80 04 04 01020304'],
    ['LOCAL_PREF', { attributes: { localPref: 200 } }, '40 05 04 000000c8'],
    [
      'extended communities',
      { attributes: { extendedCommunities: [bytes('4004 fbf4 4cee6b28')] } },
      'c0 10 08 4004 fbf4 4cee6b28',
    ],
    ['large communities', { attributes: { largeCommunities: [[64500, 1, 2]] } }, 'c0 20 0c 0000fbf4 00000001 00000002'],
    [
      'MP_UNREACH_NLRI',
      { unreach: { family: 'ipv6', prefixes: [parsePrefix('2001:db8::/32')!] } },
      '80 0f 08 0002 01 20 20010db8',
    ],
    [
      'MP_REACH_NLRI',
      {
        reach: {
          family: 'ipv6',
          nextHops: [parseAddress('2001:db8::1')!],
          prefixes: [parsePrefix('2001:db8:1::/48')!],
        },
      },
      '80 0e 1c 0002 01 10 20010db8000000000000000000000001 00 30 20010db80001',
    ],
    [
      '63 communities, with a length of one byte',
      { attributes: { communities: Array(63).fill([1, 2]) } },
      `c0 08 fc ${'00010002'.repeat(63)}`,
    ],
    [
      '64 communities, with a length of two',
      { attributes: { communities: Array(64).fill([1, 2]) } },
      `d0 08 0100 ${'00010002'.repeat(64)}`,
    ],
  ])('writes %s byte for byte, and reads it', (_, more, hex) => {
    const message: UpdateMessage = { kind: 'update', withdrawn: [], announced: [], attributes: {}, ...more };
    const value = bytes(hex);
    const encoded = encodeMessage(message, NOW);
    expect(encoded.slice(19)).toEqual(Uint8Array.of(0, 0, value.length >> 8, value.length & 255, ...value));
    const decoded = decodeMessage(encoded, NOW);
    expect(decoded.ok && decoded.message).toEqual(message);
  });

  const SENT = '40 01 01 00 40 02 00 40 03 04 0a000001';
  /** An UPDATE that announces 192.0.2.0/24 with these attributes. */
  const announcing = (hex: string) => {
    const value = bytes(hex);
    const body = [0, 0, value.length >> 8, value.length & 255, ...value, ...bytes('18 c00002')];
    return Uint8Array.from([...bytes(MARKER), 0, 19 + body.length, 2, ...body]);
  };

  it.each<[string, string, PathAttributes]>([
    ['the first of two MEDs', '80 04 04 00000001 80 04 04 00000002', { med: 1 }],
    ['an optional attribute that it does not know, whatever is in it', 'e0 63 03 010203', {}],
    ['one that it knows the number of, and has no use for', 'c0 07 06 fbf4 0a000001 40 06 00', {}],
  ])('takes, or passes over, %s', (_, hex, expected) => {
    const usual = { origin: 'igp', asPath: [], nextHop: parseAddress('10.0.0.1') };
    const decoded = decodeMessage(announcing(`${SENT} ${hex}`), NOW);
    expect(decoded).not.toHaveProperty('withdraw');
    expect(decoded).toMatchObject({ ok: true });
    expect(decoded.ok && decoded.message.kind === 'update' && decoded.message.attributes).toEqual({
      ...usual,
      ...expected,
    });
  });

  it.each<[string, string, string]>([
    ['MED of three bytes', '80 04 03 000001', 'attribute 4 has 3 bytes instead of four'],
    ['LOCAL_PREF of five bytes', '40 05 05 0000000100', 'attribute 5 has 5 bytes instead of four'],
    ['optional LOCAL_PREF', 'c0 05 04 00000001', 'attribute 5 has flags 192'],
    ['no COMMUNITIES in the attribute of that name', 'c0 08 00', 'COMMUNITIES is malformed'],
    ['EXTENDED COMMUNITIES of seven bytes', 'c0 10 07 00000000000000', 'EXTENDED COMMUNITIES is malformed'],
    ['no EXTENDED COMMUNITIES in the attribute of that name', 'c0 10 00', 'EXTENDED COMMUNITIES is malformed'],
    ['LARGE_COMMUNITY of eleven bytes', `c0 20 0b ${'00'.repeat(11)}`, 'LARGE_COMMUNITY is malformed'],
    ['no LARGE_COMMUNITY in the attribute of that name', 'c0 20 00', 'LARGE_COMMUNITY is malformed'],
    ['an attribute whose length is cut', '80', 'an attribute is longer than the attributes together'],
  ])('withdraws the routes for %s as well', (_, hex, withdraw) => {
    expect(decodeMessage(announcing(`${SENT} ${hex}`), NOW)).toMatchObject({ ok: true, withdraw });
  });

  it.each<[string, string]>([
    ['of a type that there is not', '05 01 0000fbf4'],
    ['of no AS', '02 00'],
    ['that is cut', '02 02 0000fbf4'],
    ['without a length', '02'],
  ])('withdraws the routes for an AS_PATH with a segment %s', (_, hex) => {
    const length = bytes(hex).length.toString(16).padStart(2, '0');
    const decoded = decodeMessage(announcing(`40 01 01 00 40 02 ${length} ${hex} 40 03 04 0a000001`), NOW);
    expect(decoded).toMatchObject({ ok: true, withdraw: 'AS_PATH is malformed' });
  });

  it.each<[string, string, string | undefined]>([
    [
      'needs no NEXT_HOP when its routes have one of their own',
      '0002 01 10 20010db8000000000000000000000001 00 20 20010db8',
      undefined,
    ],
    [
      'needs an ORIGIN for them all the same',
      '0002 01 10 20010db8000000000000000000000001 00 20 20010db8',
      'ORIGIN is missing',
    ],
    ['needs nothing when it has no routes', '0002 01 10 20010db8000000000000000000000001 00', undefined],
  ])('an UPDATE by MP_REACH_NLRI %s', (_, hex, withdraw) => {
    const reach = bytes(hex);
    const value = [
      0x80,
      14,
      reach.length,
      ...reach,
      ...(withdraw === undefined && reach.length > 21 ? bytes('40 01 01 00 40 02 00') : []),
    ];
    const body = [0, 0, 0, value.length, ...value];
    const frame = Uint8Array.from([...bytes(MARKER), 0, 19 + body.length, 2, ...body]);
    const decoded = decodeMessage(frame, NOW);
    expect(decoded).toMatchObject({ ok: true });
    expect(decoded.ok && decoded.withdraw).toBe(withdraw);
  });

  describe.each([
    [4096, false],
    [65_535, true],
  ])('with messages of up to %i bytes', (longest, extendedMessage) => {
    const options = { fourOctetAs: true, extendedMessage };
    const notification = (length: number): BgpMessage => ({
      kind: 'notification',
      code: 6,
      subcode: 2,
      data: new Uint8Array(length - 21),
    });
    const open = (length: number): BgpMessage => ({
      kind: 'open',
      version: 4,
      asn: 1,
      holdTime: 90,
      identifier: 1,
      // 29 bytes of OPEN, 6 around an extended parameter.
      capabilities: Array.from({ length: 16 }, (_, i) => ({
        kind: 'unknown',
        code: 200,
        value: new Uint8Array(i === 0 ? length - 35 - 15 * 257 - 2 : 255),
      })),
    });
    const head = (length: number, type: number) => Uint8Array.from([...bytes(MARKER), length >> 8, length & 255, type]);

    it('writes no longer one, and an OPEN of no more than 4,096 bytes', () => {
      expect(encodeMessage(notification(longest), options)).toHaveLength(longest);
      expect(() => encodeMessage(notification(longest + 1), options)).toThrow(RangeError);
      expect(encodeMessage(open(4096), options)).toHaveLength(4096);
      expect(() => encodeMessage(open(4097), options)).toThrow('the message is 4097 bytes long');
    });

    it.each([
      ['an OPEN', 1, 4096],
      ['an UPDATE', 2, longest],
      ['a NOTIFICATION', 3, longest],
      ['a KEEPALIVE', 4, 4096],
      ['a ROUTE-REFRESH', 5, longest],
    ])('takes the beginning of %s for one as long as that kind may be, and of no longer one', (_, type, most) => {
      expect(frameLength(head(most, type), options)).toEqual({ length: most });
      if (most === 65_535) return;
      expect(frameLength(head(most + 1, type), options)).toMatchObject({
        code: 'message-header',
        subcode: 2,
        data: Uint8Array.of((most + 1) >> 8, (most + 1) & 255),
      });
    });
  });

  // RFC 4271 §6.1: the shortest of each kind has 29, 23, 21, 19 bytes.
  it.each([
    ['an OPEN', '001c 01 04 fbf4 00b4 0a000001', 28],
    ['an UPDATE', '0016 02 0000 00', 22],
    ['a NOTIFICATION', '0014 03 06', 20],
  ])('says how long %s was that is too short', (_, hex, length) => {
    expect(decodeMessage(bytes(MARKER, hex), NOW)).toMatchObject({
      ok: false,
      error: { code: 'message-header', subcode: 2, data: Uint8Array.of(0, length) },
    });
  });

  it.each<[string, string, string]>([
    ['ORIGIN of an unknown value', '40 01 01 07 40 02 00 40 03 04 0a000001', 'ORIGIN is malformed'],
    ['AS_PATH that is cut', '40 01 01 00 40 02 03 02 02 00 40 03 04 0a000001', 'AS_PATH is malformed'],
    ['NEXT_HOP of three bytes', '40 01 01 00 40 02 00 40 03 03 0a0000', 'NEXT_HOP is malformed'],
    [
      'COMMUNITIES of three bytes',
      '40 01 01 00 40 02 00 40 03 04 0a000001 c0 08 03 000000',
      'COMMUNITIES is malformed',
    ],
    ['wrong flags', '80 01 01 00 40 02 00 40 03 04 0a000001', 'attribute 1 has flags 128'],
    ['no ORIGIN', '40 02 00 40 03 04 0a000001', 'ORIGIN is missing'],
    [
      'attributes that are cut',
      '40 01 01 00 40 02 00 40 03 04 0a00',
      'an attribute is longer than the attributes together',
    ],
  ])('withdraws the routes and keeps the session for %s (RFC 7606)', (_, hex, reason) => {
    const value = bytes(hex);
    const body = [...bytes('0000'), 0, value.length, ...value, ...bytes('18 c00002')];
    const frame = Uint8Array.from([...bytes(MARKER), 0, 19 + body.length, 2, ...body]);
    expect(decodeMessage(frame, NOW)).toMatchObject({
      ok: true,
      withdraw: reason,
      message: { announced: [{ length: 24 }] },
    });
  });

  it.each<[string, Uint8Array, string, number]>([
    ['a bad marker', bytes('00'.repeat(16), '0013 04'), 'message-header', 1],
    ['a length below the header', bytes(MARKER, '0012 04'), 'message-header', 2],
    ['a length above the maximum', bytes(MARKER, '1001 02'), 'message-header', 2],
    ['an unknown type', bytes(MARKER, '0013 09'), 'message-header', 3],
    ['a KEEPALIVE with a body', bytes(MARKER, '0014 04 00'), 'message-header', 2],
    ['a prefix of 33 bits', bytes(MARKER, '001c 02 0000 0000 21 c0000200'), 'update', 10],
    ['an unknown well-known attribute', bytes(MARKER, '001a 02 0000 0003 40 63 00'), 'update', 2],
    [
      'a multiprotocol attribute that comes twice',
      bytes(MARKER, '0023 02 0000 000c 80 0f 03 0002 01 80 0f 03 0002 01'),
      'update',
      1,
    ],
    [
      'an optional parameter other than capabilities',
      bytes(MARKER, '0020 01 04 fbf4 00b4 0a000001 03 01 01 00'),
      'open',
      4,
    ],
  ])('ends the session for %s', (_, frame, code, subcode) => {
    const framed = frameLength(frame, NOW);
    const decoded = framed !== undefined && 'code' in framed ? { ok: false, error: framed } : decodeMessage(frame, NOW);
    expect(decoded).toMatchObject({ ok: false, error: { code, subcode } });
  });

  it('never throws on garbage, and what it takes for a message it can say again', () => {
    const mutated = fc
      .tuple(message, fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { maxLength: 3 }), fc.nat(4))
      .map(([m, changes, cut]) => {
        const encoded = encodeMessage(m, NOW);
        for (const [at, byte] of changes) encoded[at % encoded.length] = byte;
        return cut === 0 ? encoded.slice(0, Math.max(19, encoded.length - 3)) : encoded;
      });
    const garbage = fc.uint8Array({ minLength: 19, maxLength: 80 });
    fc.assert(
      fc.property(fc.oneof(garbage, mutated), fc.boolean(), (frame, fourOctetAs) => {
        const options = { fourOctetAs, extendedMessage: true };
        frameLength(frame, options);
        const decoded = decodeMessage(frame, options);
        if (decoded.ok) encodeMessage(decoded.message, options);
      }),
      { numRuns: 5000 },
    );
  });
});

it('notifications have words', () => {
  expect(describeNotification(6, 5)).toContain('connection rejected');
  expect(describeNotification(4, 0)).toBe('hold timer expired');
  expect(describeNotification(9, 9)).toBe('code 9: subcode 9');
});
