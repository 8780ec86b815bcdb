/**
 * Echo packets (RFC 5880 §6.4, RFC 5881 §4): datagrams addressed to ourselves that the router's forwarding plane returns. Their content is
 * a local matter.
 * @module
 */
import { ETHERTYPE_IPV4 } from '../layer2/echo-codec.ts';
import { addressFromBytes, addressToBytes, type IpAddress } from '../net/address.ts';
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import { internetChecksum } from '../net/checksum.ts';
import type { MacAddress } from '../net/mac.ts';

export const BFD_ECHO_PORT = 3785;
const UDP = 17;
const TTL = 255;
const IPV4_HEADER = 20;
const UDP_HEADER = 8;
const PAYLOAD = 8;
/** Marks our packets: other systems may send echo packets by way of this node. */
const MAGIC = 0x6d6c6274;

export interface BfdEcho {
  /** Our IPv4 address on the link, both source and destination. */
  readonly own: IpAddress;
  readonly discriminator: number;
}

export function encodeBfdEcho({ own, discriminator }: BfdEcho, from: MacAddress, router: MacAddress): Uint8Array {
  const address = addressToBytes(own);
  const length = IPV4_HEADER + UDP_HEADER + PAYLOAD;
  const head = (checksum: number) =>
    new ByteWriter()
      .u8(0x45)
      // DSCP CS6 (internetwork control), as routing protocols use.
      .u8(0xc0)
      .u16(length)
      .u32(0)
      .u8(TTL)
      .u8(UDP)
      .u16(checksum)
      .bytes(address)
      .bytes(address)
      .finish();
  return (
    new ByteWriter()
      .bytes(router)
      .bytes(from)
      .u16(ETHERTYPE_IPV4)
      .bytes(head(internetChecksum(head(0))))
      .u16(BFD_ECHO_PORT)
      .u16(BFD_ECHO_PORT)
      .u16(UDP_HEADER + PAYLOAD)
      // No checksum, as IPv4 allows.
      .u16(0)
      .u32(MAGIC)
      .u32(discriminator)
      .finish()
  );
}

/** Decodes an Ethernet frame with one of our echo packets; undefined for any other frame. */
export function decodeBfdEcho(frame: Uint8Array): BfdEcho | undefined {
  const reader = new ByteReader(frame.subarray(14));
  const [first, , , , ttl, protocol] = [reader.u8(), reader.u8(), reader.u16(), reader.u32(), reader.u8(), reader.u8()];
  reader.u16();
  const [source, destination] = [reader.bytes(4), reader.bytes(4)];
  const [, port, , , magic, discriminator] = [
    reader.u16(),
    reader.u16(),
    reader.u16(),
    reader.u16(),
    reader.u32(),
    reader.u32(),
  ];
  if (first !== 0x45 || protocol !== UDP || port !== BFD_ECHO_PORT || magic !== MAGIC) return undefined;
  if (ttl === undefined || discriminator === undefined || source === undefined || destination === undefined)
    return undefined;
  const own = addressFromBytes(destination);
  return addressFromBytes(source).value === own.value ? { own, discriminator } : undefined;
}
