/**
 * A table of many IPv4 host routes as an MRT file (RFC 6396, TABLE_DUMP_V2): how GoBGP is given as many at once.
 * @module
 */
import { encodeAttributes } from '../src/core/bgp/attributes.ts';
import { addressToBytes, parseAddress } from '../src/core/net/address.ts';
import { ByteWriter } from '../src/core/net/bytes.ts';

const TABLE_DUMP_V2 = 13;
const PEER_INDEX_TABLE = 1;
const RIB_IPV4_UNICAST = 2;

function record(subtype: number, body: Uint8Array): Uint8Array {
  return new ByteWriter().u32(0).u16(TABLE_DUMP_V2).u16(subtype).u32(body.length).bytes(body).finish();
}

/** 10.0.0.0/32 and those after it, by this next hop. */
export function mrtTable(count: number, nextHop: string): Uint8Array {
  const hop = parseAddress(nextHop)!;
  const identifier = addressToBytes(hop);
  const peers = new ByteWriter().bytes(identifier).u16(0).u16(1).u8(2).bytes(identifier).bytes(identifier).u32(64500);
  const attributes = encodeAttributes(
    { attributes: { origin: 'igp', asPath: [], nextHop: hop } },
    { fourOctetAs: true, extendedMessage: false },
  );
  const out = [record(PEER_INDEX_TABLE, peers.finish())];
  for (let i = 0; i < count; i++) {
    const entry = new ByteWriter()
      .u32(i)
      .u8(32)
      .u8(10)
      .u8(i >> 16)
      .u8((i >> 8) & 255)
      .u8(i & 255)
      .u16(1);
    entry.u16(0).u32(0).u16(attributes.length).bytes(attributes);
    out.push(record(RIB_IPV4_UNICAST, entry.finish()));
  }
  return Buffer.concat(out);
}
