/**
 * How two routers on one link find each other without being told an address (RFC 4861 §4.1-4.2): as ICMPv6 messages, whose checksum
 * the kernel fills in.
 * @module
 */
import { ByteWriter } from '../net/bytes.ts';
import type { MacAddress } from '../net/mac.ts';

const SOLICITATION = 133;
/** ICMPv6 type. */
export const ROUTER_ADVERTISEMENT = 134;
const OPTION_SOURCE_LINK_LAYER = 1;
const SHORTEST_ADVERTISEMENT = 16;

/** "Whoever routes here, speak." */
export function encodeRouterSolicitation(mac: MacAddress): Uint8Array {
  return withMac(new ByteWriter().u8(SOLICITATION).u8(0).u16(0).u32(0), mac);
}

/** "Here I am": with a router lifetime of 0, so that no host takes us for its default gateway (RFC 4861 §4.2). */
export function encodeRouterAdvertisement(mac: MacAddress): Uint8Array {
  const head = new ByteWriter().u8(ROUTER_ADVERTISEMENT).u8(0).u16(0);
  return withMac(head.u8(0).u8(0).u16(0).u32(0).u32(0), mac);
}

function withMac(writer: ByteWriter, mac: MacAddress): Uint8Array {
  return writer.u8(OPTION_SOURCE_LINK_LAYER).u8(1).bytes(mac).finish();
}

export function isRouterAdvertisement(message: Uint8Array): boolean {
  return message.length >= SHORTEST_ADVERTISEMENT && message[0] === ROUTER_ADVERTISEMENT && message[1] === 0;
}
