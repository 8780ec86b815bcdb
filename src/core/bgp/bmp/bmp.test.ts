import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../net/address.ts';
import { encodeMessage } from '../wire/codec.ts';
import { bmpInitiation, bmpPeerDown, bmpPeerUp, bmpRoute, bmpStatistics, bmpTermination } from './messages.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const PEER = { address: parseAddress('192.0.2.1')!, asn: 64501, identifier: 0x0a000001, fourOctetAs: true };
const NOW = 1_700_000_000_250;
/** Global instance, post-policy Adj-RIB-Out; the address at the end of its field; AS, identifier, seconds, microseconds. */
const HEADER = `0050${'00'.repeat(8)}${'00'.repeat(12)}c00002010000fbf50a0000016553f1000003d090`;

describe('BMP (RFC 7854, RFC 8671)', () => {
  it('begins with who we are, and ends', () => {
    expect(hex(bmpInitiation('n1', 'x'))).toBe(`03000000110400010001${'78'}00020002${'6e31'}`);
    expect(hex(bmpTermination())).toBe('030000000c05000100020000');
  });

  it('tells of sessions and of what goes out on them', () => {
    const keepalive = encodeMessage({ kind: 'keepalive' }, { fourOctetAs: true, extendedMessage: false });
    expect(hex(bmpRoute(PEER, keepalive, NOW))).toBe(`030000004300${HEADER}${hex(keepalive)}`);
    expect(hex(bmpPeerDown(PEER, NOW))).toBe(`030000003302${HEADER}020000`);
    expect(hex(bmpStatistics(PEER, 7, NOW))).toBe(`030000004001${HEADER}00000001000f00080000000000000007`);
    const ends = { localAddress: parseAddress('192.0.2.2')!, localPort: 40_000, remotePort: 179 };
    const up = bmpPeerUp(PEER, ends, { sent: keepalive, received: keepalive }, NOW);
    expect(hex(up)).toBe(`030000006a03${HEADER}${'00'.repeat(12)}c00002029c4000b3${hex(keepalive).repeat(2)}`);
    // IPv6, and a router that knows AS numbers of two bytes only.
    expect(bmpPeerDown({ ...PEER, address: parseAddress('2001:db8::1')!, fourOctetAs: false }, NOW)[7]).toBe(0xf0);
  });
});
