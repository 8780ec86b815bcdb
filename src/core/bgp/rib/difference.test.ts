import { describe, expect, it } from 'vitest';
import { bgpRoute } from '../../../../test/builders.ts';
import { parseAddress } from '../../net/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../net/prefix.ts';
import { decodeMessage } from '../wire/codec.ts';
import type { CodecOptions, UpdateMessage } from '../wire/messages.ts';
import { endOfRib, type Outbound, type Sent, synchronize } from './difference.ts';
import { keyOf, type Route } from './route.ts';
import type { RouteSet } from './route-update.ts';

const OPTIONS: CodecOptions = { fourOctetAs: true, extendedMessage: false };
const [V4, V6] = ['10.0.0.1', '2001:db8::1'].map((text) => parseAddress(text)!) as [
  ReturnType<typeof parseAddress> & object,
  ReturnType<typeof parseAddress> & object,
];
const outbound = (more: Partial<Outbound> = {}): Outbound => ({
  options: OPTIONS,
  external: true,
  asn: 64500,
  families: ['ipv4', 'ipv6'],
  nextHops: { ipv4: [V4], ipv6: [V6] },
  ...more,
});
const route = bgpRoute;
const wanted = (...routes: readonly Route[]): RouteSet => ({
  audience: 1,
  version: 1,
  routes: new Map(routes.map((each) => [keyOf(each), each])),
  origin: undefined,
});
const read = (bytes: Uint8Array, options = OPTIONS): UpdateMessage => {
  const decoded = decodeMessage(bytes, options);
  if (!decoded.ok || decoded.withdraw !== undefined || decoded.message.kind !== 'update')
    throw new Error('no good UPDATE');
  return decoded.message;
};
const hosts = (count: number, family: 'ipv4' | 'ipv6' = 'ipv4') =>
  Array.from({ length: count }, (_, i) =>
    route(family === 'ipv4' ? `198.18.${i >> 8}.${i & 255}/32` : `2001:db8::${i.toString(16)}/128`),
  );
const names = (prefixes: readonly Prefix[]) => prefixes.map(formatPrefix).toSorted();
const namesOf = (routes: readonly Route[]) => names(routes.map(({ prefix }) => prefix));

describe('many routes with the same attributes', () => {
  // The length of a prefix, and its bytes: no message has room for one more, give or take what a header may grow by.
  it.each([
    ['ipv4', 4096, 5],
    ['ipv6', 4096, 17],
    ['ipv4', 65_535, 5],
    ['ipv6', 65_535, 17],
  ] as const)('of %s fill messages of %i bytes, and are withdrawn by as full ones', (family, longest, size) => {
    const options = { ...OPTIONS, extendedMessage: longest > 4096 };
    const way = outbound({ options });
    const all = hosts(15_000, family);
    const sent: Sent = new Map();
    for (const [routes, isWithdrawal] of [
      [all, false],
      [[], true],
    ] as const) {
      const messages = synchronize(sent, wanted(...routes), way);
      const prefixes = messages.flatMap((bytes) => {
        const { announced, withdrawn, reach, unreach } = read(bytes, options);
        const [gone, come] =
          family === 'ipv4' ? [withdrawn, announced] : [unreach?.prefixes ?? [], reach?.prefixes ?? []];
        expect((isWithdrawal ? come : gone).length).toBe(0);
        return isWithdrawal ? gone : come;
      });
      expect(names(prefixes)).toEqual(namesOf(all));
      expect(Math.max(...messages.map(({ length }) => length))).toBeLessThanOrEqual(longest);
      for (const { length } of messages.slice(0, -1)) expect(length).toBeGreaterThan(longest - size - 9);
    }
    expect(sent.size).toBe(0);
  });
});

describe('what a router is sent', () => {
  it('is each family with its own next hop, and withdrawals before announcements', () => {
    const sent: Sent = new Map();
    const [four, six] = [route('192.0.2.1/32'), route('2001:db8::1/128')];
    synchronize(sent, wanted(four, six), outbound());
    const messages = synchronize(sent, wanted(route('192.0.2.2/32'), route('2001:db8::2/128')), outbound()).map(
      (bytes) => read(bytes),
    );
    expect(messages).toMatchObject([
      { withdrawn: [four.prefix], announced: [] },
      { withdrawn: [], unreach: { family: 'ipv6', prefixes: [six.prefix] } },
      { announced: [parsePrefix('192.0.2.2/32')!], attributes: { nextHop: V4 } },
      { announced: [], reach: { family: 'ipv6', nextHops: [V6], prefixes: [parsePrefix('2001:db8::2/128')!] } },
    ]);
    expect(messages[3]!.attributes).not.toHaveProperty('nextHop');
  });

  it('is nothing of a family that was not agreed on, or has no next hop, and nothing twice', () => {
    const all = wanted(route('192.0.2.1/32'), route('2001:db8::1/128'));
    const sent: Sent = new Map();
    expect(synchronize(sent, all, outbound({ families: ['ipv4'] }))).toHaveLength(1);
    expect(synchronize(sent, all, outbound({ families: ['ipv4'] }))).toEqual([]);
    expect(synchronize(sent, all, outbound({ nextHops: { ipv6: [V6] } })).map((bytes) => read(bytes))).toMatchObject([
      { withdrawn: [parsePrefix('192.0.2.1/32')!] },
      { reach: { prefixes: [parsePrefix('2001:db8::1/128')!] } },
    ]);
  });

  it('is no route whose communities do not fit into a message, and the others all the same', () => {
    const communities = (count: number) => Array.from({ length: count }, (_, i) => [i, 1] as const);
    const large = (count: number) => Array.from({ length: count }, (_, i) => [i, 1, 1] as const);
    const most = { prepend: 32, med: 1, bandwidth: 1e9, gracefulShutdown: true };
    const routes = [
      route('192.0.2.1/32', { ...most, communities: communities(900) }),
      route('192.0.2.2/32', { communities: communities(901) }),
      route('192.0.2.3/32', { ...most, largeCommunities: large(300) }),
      route('192.0.2.4/32', { largeCommunities: large(301) }),
      route('192.0.2.5/32', { communities: communities(600), largeCommunities: large(101) }),
      route('2001:db8::1/128', { ...most, communities: communities(600), largeCommunities: large(100) }),
    ];
    const sent: Sent = new Map();
    for (const external of [true, false]) {
      const messages = synchronize(sent, wanted(...routes), outbound({ external })).map((bytes) => read(bytes));
      const come = messages.flatMap(({ announced, reach }) => [...announced, ...(reach?.prefixes ?? [])]);
      expect(names(come)).toEqual(['192.0.2.1/32', '192.0.2.3/32', '2001:db8::1/128']);
      sent.clear();
    }
  });

  it('is the withdrawal of a route whose communities have grown beyond a message', () => {
    const sent: Sent = new Map();
    synchronize(sent, wanted(route('192.0.2.1/32')), outbound());
    const communities = Array.from({ length: 2000 }, (_, i) => [i, 1] as const);
    const messages = synchronize(sent, wanted(route('192.0.2.1/32', { communities })), outbound());
    expect(messages.map((bytes) => read(bytes))).toMatchObject([
      { withdrawn: [parsePrefix('192.0.2.1/32')!], announced: [] },
    ]);
  });

  it.each<[string, Partial<Route>, Partial<Outbound>, UpdateMessage['attributes']]>([
    [
      'eBGP: the path, no preference',
      { localPref: 200, med: 0 },
      {},
      { asPath: [{ type: 'sequence', asns: [64500] }], med: 0 },
    ],
    ['eBGP: a longer path', { prepend: 2 }, {}, { asPath: [{ type: 'sequence', asns: [64500, 64500, 64500] }] }],
    ['iBGP: no path, the preference', { localPref: 200 }, { external: false }, { asPath: [], localPref: 200 }],
    ['iBGP: 100 where none is wanted', {}, { external: false }, { asPath: [], localPref: 100 }],
    [
      'iBGP: 0 from a node that goes, with the community that says so',
      { localPref: 200, communities: [[1, 1]], gracefulShutdown: true },
      { external: false },
      {
        asPath: [],
        localPref: 0,
        communities: [
          [1, 1],
          [0xffff, 0],
        ],
      },
    ],
    [
      'eBGP: bandwidth in bytes per second, of our AS',
      { bandwidth: 1e9 },
      {},
      {
        asPath: [{ type: 'sequence', asns: [64500] }],
        extendedCommunities: [Uint8Array.of(0x40, 4, 0xfb, 0xf4, 0x4c, 0xee, 0x6b, 0x28)],
      },
    ],
    [
      'eBGP: bandwidth of an AS with four bytes',
      { bandwidth: 8 },
      { asn: 4_200_000_000 },
      {
        asPath: [{ type: 'sequence', asns: [4_200_000_000] }],
        extendedCommunities: [Uint8Array.of(0x40, 4, 0x5b, 0xa0, 0x3f, 0x80, 0, 0)],
      },
    ],
  ])('has the attributes of its kind of session: %s', (_, more, way, expected) => {
    const [message] = synchronize(new Map(), wanted(route('192.0.2.1/32', more)), outbound(way));
    expect(read(message!).attributes).toEqual({ origin: 'igp', nextHop: V4, ...expected });
  });
});

it('the end of all routes is an UPDATE without any, of each family in its way', () => {
  const nothing = { kind: 'update', withdrawn: [], announced: [], attributes: {} };
  expect(read(endOfRib('ipv4', outbound()))).toEqual(nothing);
  expect(read(endOfRib('ipv6', outbound()))).toEqual({ ...nothing, unreach: { family: 'ipv6', prefixes: [] } });
});
