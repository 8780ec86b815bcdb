/**
 * Echo (ping) over Ethernet: ICMP (RFC 792) and ICMPv6 (RFC 4443 §4). A frame that asks becomes the frame that answers.
 * @module
 */
import { addressFromBytes, type IpAddress } from '../net/address.ts';
import { internetChecksum } from '../net/checksum.ts';
import type { MacAddress } from '../net/mac.ts';
import { ETHERTYPE_IPV6 } from './ndp-codec.ts';

export const ETHERTYPE_IPV4 = 0x0800;
const ETHERNET_HEADER = 14;
const IPV6_HEADER = 40;
const ICMP = 1;
const ICMPV6 = 58;
/** Echo request and reply, by family. */
const ECHO = { ipv4: { request: 8, reply: 0 }, ipv6: { request: 128, reply: 129 } } as const;
/** Initial hop limit of what we send (IANA, IP option numbers). */
const HOP_LIMIT = 64;

export interface EchoRequest {
  readonly destination: MacAddress;
  /** The address that is pinged. */
  readonly target: IpAddress;
  /** The answer, from the station with this MAC. */
  readonly reply: (own: MacAddress) => Uint8Array;
}

/** Undefined: it is none, or a damaged one, or only a fragment. */
export function decodeEcho(frame: Uint8Array): EchoRequest | undefined {
  if (frame.length < ETHERNET_HEADER + 1) return undefined;
  const etherType = (frame[12]! << 8) | frame[13]!;
  const packet = frame.subarray(ETHERNET_HEADER);
  if (etherType === ETHERTYPE_IPV4) return decodeIpv4(frame, packet);
  return etherType === ETHERTYPE_IPV6 ? decodeIpv6(frame, packet) : undefined;
}

function decodeIpv4(frame: Uint8Array, packet: Uint8Array): EchoRequest | undefined {
  const headerLength = (packet[0]! & 0xf) * 4;
  if (packet[0]! >> 4 !== 4 || headerLength < 20 || packet.length < headerLength + 8) return undefined;
  const length = (packet[2]! << 8) | packet[3]!;
  // More fragments, or an offset: the whole message is not here.
  const isFragment = (((packet[6]! << 8) | packet[7]!) & 0x3fff) !== 0;
  if (packet[9] !== ICMP || isFragment || length < headerLength + 8 || length > packet.length) return undefined;
  const header = packet.subarray(0, headerLength);
  const message = packet.subarray(headerLength, length);
  if (message[0] !== ECHO.ipv4.request || internetChecksum(header) !== 0 || internetChecksum(message) !== 0)
    return undefined;
  return request(frame, ETHERNET_HEADER + length, packet.subarray(16, 20), (answer) => {
    // Options are addressed to us; what they ask for does not concern an echo.
    swap(answer, 12, 16, 4);
    answer[8] = HOP_LIMIT;
    putChecksum(answer, 10, internetChecksum(withZero(answer.subarray(0, headerLength), 10)));
    const reply = answer.subarray(headerLength);
    reply[0] = ECHO.ipv4.reply;
    putChecksum(reply, 2, internetChecksum(withZero(reply, 2)));
  });
}

function decodeIpv6(frame: Uint8Array, packet: Uint8Array): EchoRequest | undefined {
  if (packet.length < IPV6_HEADER + 8 || packet[0]! >> 4 !== 6 || packet[6] !== ICMPV6) return undefined;
  const length = (packet[4]! << 8) | packet[5]!;
  if (length < 8 || packet.length < IPV6_HEADER + length) return undefined;
  const message = packet.subarray(IPV6_HEADER, IPV6_HEADER + length);
  if (message[0] !== ECHO.ipv6.request || internetChecksum(pseudoHeader(packet, length), message) !== 0)
    return undefined;
  return request(frame, ETHERNET_HEADER + IPV6_HEADER + length, packet.subarray(24, 40), (answer) => {
    swap(answer, 8, 24, 16);
    answer[7] = HOP_LIMIT;
    const reply = answer.subarray(IPV6_HEADER);
    reply[0] = ECHO.ipv6.reply;
    putChecksum(reply, 2, internetChecksum(pseudoHeader(answer, length), withZero(reply, 2)));
  });
}

function request(
  frame: Uint8Array,
  length: number,
  target: Uint8Array,
  turn: (packet: Uint8Array) => void,
): EchoRequest {
  return {
    destination: frame.slice(0, 6),
    target: addressFromBytes(target),
    reply: (own) => {
      const answer = frame.slice(0, length);
      answer.set(frame.subarray(6, 12), 0);
      answer.set(own, 6);
      turn(answer.subarray(ETHERNET_HEADER));
      return answer;
    },
  };
}

/** RFC 8200 §8.1. */
function pseudoHeader(packet: Uint8Array, length: number): Uint8Array {
  const header = new Uint8Array(40);
  header.set(packet.subarray(8, 40));
  header.set([0, 0, length >> 8, length & 0xff, 0, 0, 0, ICMPV6], 32);
  return header;
}

function swap(bytes: Uint8Array, a: number, b: number, count: number): void {
  const first = bytes.slice(a, a + count);
  bytes.copyWithin(a, b, b + count);
  bytes.set(first, b);
}

function withZero(bytes: Uint8Array, at: number): Uint8Array {
  bytes.fill(0, at, at + 2);
  return bytes;
}

function putChecksum(bytes: Uint8Array, at: number, checksum: number): void {
  bytes[at] = checksum >> 8;
  bytes[at + 1] = checksum & 0xff;
}
