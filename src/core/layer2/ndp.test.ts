import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../net/address.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';
import { layer2Machine } from './fsm.ts';
import type { Interface, NdpFrame, NeighborSolicitation } from './messages.ts';
import { ALL_NODES, decodeNdp, encodeNdp, multicastMac, solicitedNode } from './ndp-codec.ts';
import { type Announcement, initialLayer2, type Layer2Input } from './state.ts';

const ip = (text: string) => parseAddress(text)!;
const mac = (text: string) => parseMac(text)!;
const ETH0: Interface = { name: 'eth0', index: 2, mac: mac('02:00:00:00:00:02'), arp: true, ndp: true };
const ETH1: Interface = { name: 'eth1', index: 3, mac: mac('02:00:00:00:00:03'), arp: true, ndp: true };
const CLIENT = mac('02:00:00:00:00:64');
const VIP = ip('2001:db8::7');
const SOURCE = ip('fe80::64');

const solicitation = (more: Partial<NeighborSolicitation> = {}): NeighborSolicitation => ({
  kind: 'solicitation',
  destination: multicastMac(solicitedNode(VIP)),
  source: CLIENT,
  sourceAddress: SOURCE,
  destinationAddress: solicitedNode(VIP),
  target: VIP,
  sourceLinkLayer: CLIENT,
  ...more,
});

/** What goes out as an answer. */
const answer = (destination: MacAddress, more: object) => ({
  kind: 'advertisement',
  destination,
  source: ETH0.mac,
  sourceAddress: VIP,
  target: VIP,
  router: false,
  override: true,
  targetLinkLayer: ETH0.mac,
  ...more,
});

function decode(bytes: Uint8Array): NdpFrame {
  const decoded = decodeNdp(bytes);
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded.frame;
}

function announcer(announcements: Announcement[], interfaces: Interface[] = [ETH0, ETH1]) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
  const groups: string[][] = [];
  const feed = (input: Layer2Input, now = 0) => {
    const { next, outputs } = layer2Machine.step(state, input, now);
    state = next;
    for (const output of outputs)
      if (output.kind === 'groups') groups.push(output.groups.map((g) => `${g.group} on ${g.interface}`));
    return outputs.flatMap((o) =>
      o.kind === 'send' && o.protocol === 'ndp' ? [{ on: o.interface, frame: decode(o.bytes) }] : [],
    );
  };
  feed({ kind: 'interfaces', interfaces });
  const first = feed({ kind: 'announce', announcements, handingOver: [] });
  const ask = (frame: NdpFrame, on = 2) => feed({ kind: 'frame-received', interface: on, bytes: encodeNdp(frame) });
  return { feed, ask, first, groups };
}

describe('the NDP codec', () => {
  it('writes a solicitation byte for byte, checksum and all', () => {
    const bytes = Buffer.from(
      '3333ff000007020000000064' +
        '86dd' +
        '6000000000203aff' +
        'fe800000000000000000000000000064' +
        'ff0200000000000000000001ff000007' +
        '8700' +
        checksumOf('8700') +
        '00000000' +
        '20010db8000000000000000000000007' +
        '0101020000000064',
      'hex',
    );
    expect(encodeNdp(solicitation())).toEqual(Uint8Array.from(bytes));
    expect(decode(Uint8Array.from(bytes))).toEqual(solicitation());
  });

  it('knows the addresses that RFC 4291 and RFC 2464 derive', () => {
    expect(formatAddress(solicitedNode(ip('2001:db8::1:800e:fbed')))).toBe('ff02::1:ff0e:fbed');
    expect([...multicastMac(ALL_NODES)]).toEqual([0x33, 0x33, 0, 0, 0, 1]);
  });

  it('round-trips every message', () => {
    const six = fc.uint8Array({ minLength: 6, maxLength: 6 });
    const unicast = fc
      .bigInt({ min: 1n, max: (0xffn << 120n) - 1n })
      .map((value) => ({ family: 'ipv6' as const, value }));
    const envelope = {
      destination: six,
      source: six,
      sourceAddress: unicast,
      destinationAddress: unicast,
      target: unicast,
    };
    const frames = fc.oneof(
      fc.record({ kind: fc.constant('solicitation' as const), ...envelope, sourceLinkLayer: six }),
      fc.record({ kind: fc.constant('solicitation' as const), ...envelope }),
      fc.record({
        kind: fc.constant('advertisement' as const),
        ...envelope,
        router: fc.boolean(),
        solicited: fc.boolean(),
        override: fc.boolean(),
        targetLinkLayer: six,
      }),
    );
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decode(encodeNdp(frame))).toEqual(frame);
      }),
    );
  });

  it('never throws on garbage, and neither does the machine', () => {
    const node = announcer([{ address: VIP }]);
    const seed = encodeNdp(solicitation());
    const mutated = fc.tuple(fc.nat(seed.length - 1), fc.nat(255), fc.nat(120)).map(([at, byte, length]) => {
      const bytes = new Uint8Array(length);
      bytes.set(seed.slice(0, length));
      if (at < length) bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), mutated), (bytes) => {
        decodeNdp(bytes);
        node.feed({ kind: 'frame-received', interface: 2, bytes });
      }),
      { numRuns: 3000 },
    );
  });

  it.each<[string, (bytes: Uint8Array) => void, string]>([
    ['was forwarded', (bytes) => (bytes[21] = 254), 'hop-limit'],
    ['has a broken checksum', (bytes) => (bytes[60]! ^= 1), 'bad-checksum'],
    ['is something else', (bytes) => (bytes[54] = 128), 'not-ndp'],
    ['is no IPv6', (bytes) => (bytes[12] = 8), 'not-ndp'],
  ])('refuses what %s', (_, spoil, error) => {
    const bytes = encodeNdp(solicitation());
    spoil(bytes);
    expect(decodeNdp(bytes)).toEqual({ ok: false, error });
  });

  it.each<[string, NdpFrame, string]>([
    ['a multicast target', solicitation({ target: ALL_NODES }), 'multicast-target'],
    [
      'duplicate detection with a link-layer option',
      solicitation({ sourceAddress: ip('::') }),
      'bad-unspecified-source',
    ],
    [
      'a solicited advertisement to all',
      {
        ...solicitation(),
        kind: 'advertisement',
        router: false,
        solicited: true,
        override: true,
        destinationAddress: ALL_NODES,
      },
      'solicited-multicast',
    ],
  ])('refuses %s (RFC 4861 §7.1)', (_, frame, error) => {
    expect(decodeNdp(encodeNdp(frame))).toEqual({ ok: false, error });
  });
});

describe('the NDP responder', () => {
  const node = () => announcer([{ address: VIP }]);

  it('answers a multicast solicitation, to the asker', () => {
    expect(node().ask(solicitation())).toEqual([
      { on: 2, frame: answer(CLIENT, { destinationAddress: SOURCE, solicited: true }) },
    ]);
  });

  it('answers a unicast probe without link-layer option (RFC 4861 §7.2.2), which upstream does not', () => {
    const { sourceLinkLayer: _none, ...probe } = solicitation({ destination: ETH0.mac, destinationAddress: VIP });
    expect(node().ask(probe)).toEqual([
      { on: 2, frame: answer(CLIENT, { destinationAddress: SOURCE, solicited: true }) },
    ]);
  });

  it('answers duplicate address detection to all nodes (RFC 4861 §7.2.4)', () => {
    const { sourceLinkLayer: _none, ...probe } = solicitation({ sourceAddress: ip('::') });
    expect(node().ask(probe)).toEqual([
      { on: 2, frame: answer(multicastMac(ALL_NODES), { destinationAddress: ALL_NODES, solicited: false }) },
    ]);
  });

  it.each<[string, Announcement[], NdpFrame, number]>([
    ['an address that is not ours', [{ address: ip('2001:db8::8') }], solicitation(), 2],
    ['an interface that is not covered', [{ address: VIP, interfaces: ['eth1'] }], solicitation(), 2],
    ['a frame for another station', [{ address: VIP }], solicitation({ destination: CLIENT }), 2],
    ['its own frames', [{ address: VIP }], solicitation({ source: ETH0.mac }), 2],
    ['an interface that it does not know', [{ address: VIP }], solicitation(), 9],
  ])('does not answer %s', (_, announcements, frame, on) => {
    expect(announcer(announcements).ask(frame, on)).toEqual([]);
  });

  it('tells all nodes at once when it takes an address over, on every interface that it covers', () => {
    const { first } = node();
    expect(first.map(({ on }) => on)).toEqual([2, 3]);
    expect(first[0]!.frame).toEqual(
      answer(multicastMac(ALL_NODES), { destinationAddress: ALL_NODES, solicited: false }),
    );
  });
});

describe('multicast groups', () => {
  it('are joined where the address is announced, also on interfaces that come later, and left with it', () => {
    const late: Interface = { ...ETH1, ndp: false };
    const node = announcer([{ address: VIP }, { address: ip('192.0.2.1') }], [ETH0, late]);
    node.feed({ kind: 'interfaces', interfaces: [ETH0, ETH1] });
    node.feed({ kind: 'announce', announcements: [{ address: VIP, interfaces: ['eth1'] }], handingOver: [] });
    node.feed({ kind: 'announce', announcements: [], handingOver: [] });
    const group = 'ff02::1:ff00:7';
    expect(node.groups).toEqual([[`${group} on 2`], [`${group} on 2`, `${group} on 3`], [`${group} on 3`], []]);
  });
});

/** The checksum of the solicitation above, computed the slow way. */
function checksumOf(type: string): string {
  const words = `fe800000000000000000000000000064ff0200000000000000000001ff000007000000200000003a${type}000000000000${'20010db8000000000000000000000007'}0101020000000064`;
  let sum = 0;
  for (const word of words.match(/.{4}/g)!) sum += Number.parseInt(word, 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return (~sum & 0xffff).toString(16).padStart(4, '0');
}
