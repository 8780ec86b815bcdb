/**
 * Neighbor Discovery messages to Ethernet frames and back (RFC 4861, RFC 8200, RFC 4443).
 * @module
 */
import { addressFromBytes, addressToBytes, type IpAddress } from '../net/address.ts';
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import { internetChecksum } from '../net/checksum.ts';
import type { MacAddress } from '../net/mac.ts';
import type { NdpDecodeError } from './errors.ts';
import type { NdpFrame } from './messages.ts';

/** EtherType of IPv6 (RFC 2464). */
export const ETHERTYPE_IPV6 = 0x86dd;
const NEXT_HEADER_ICMPV6 = 58;
/** Proof that a message was not forwarded (RFC 4861 §7.1). */
const HOP_LIMIT = 255;
/** ICMPv6 types. */
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const OPTION_SOURCE_LINK_LAYER = 1;
const OPTION_TARGET_LINK_LAYER = 2;
const FLAGS = { router: 0x80, solicited: 0x40, override: 0x20 };

export type DecodedNdp =
  | { readonly ok: true; readonly frame: NdpFrame }
  | { readonly ok: false; readonly error: NdpDecodeError };

/** Reads an Ethernet frame and checks everything that RFC 4861 §7.1 asks for. Nothing ever throws. */
export function decodeNdp(bytes: Uint8Array): DecodedNdp {
  const reader = new ByteReader(bytes);
  const destination = reader.bytes(6);
  const source = reader.bytes(6);
  const etherType = reader.u16();
  const versionAndFlow = reader.u32();
  const payloadLength = reader.u16();
  const nextHeader = reader.u8();
  const hopLimit = reader.u8();
  const sourceBytes = reader.bytes(16);
  const destinationBytes = reader.bytes(16);
  if (destination === undefined || source === undefined || etherType === undefined) return refuse('truncated');
  if (etherType !== ETHERTYPE_IPV6) return refuse('not-ndp');
  if (versionAndFlow === undefined || sourceBytes === undefined || destinationBytes === undefined)
    return refuse('truncated');
  if (Math.floor(versionAndFlow / 2 ** 28) !== 6 || nextHeader !== NEXT_HEADER_ICMPV6) return refuse('not-ndp');
  const message = reader.bytes(payloadLength!);
  if (message === undefined || message.length < 24) return refuse('truncated');
  const body = new ByteReader(message);
  const type = body.u8()!;
  const code = body.u8()!;
  body.u16();
  const flags = body.u32()! >>> 24;
  const target = addressFromBytes(body.bytes(16)!);
  if (type !== SOLICITATION && type !== ADVERTISEMENT) return refuse('not-ndp');
  if (hopLimit !== HOP_LIMIT) return refuse('hop-limit');
  if (internetChecksum(pseudoHeader(sourceBytes, destinationBytes, message.length), message) !== 0)
    return refuse('bad-checksum');
  if (code !== 0) return refuse('bad-code');
  if (isMulticast(target)) return refuse('multicast-target');
  const options = readOptions(body);
  if (options === undefined) return refuse('bad-option');
  const envelope = {
    destination,
    source,
    sourceAddress: addressFromBytes(sourceBytes),
    destinationAddress: addressFromBytes(destinationBytes),
    target,
  };
  if (type === SOLICITATION) {
    const sourceLinkLayer = options.get(OPTION_SOURCE_LINK_LAYER);
    const isUnspecified = envelope.sourceAddress.value === 0n;
    if (isUnspecified && (sourceLinkLayer !== undefined || !isSolicitedNode(envelope.destinationAddress)))
      return refuse('bad-unspecified-source');
    return {
      ok: true,
      frame: { kind: 'solicitation', ...envelope, ...(sourceLinkLayer !== undefined && { sourceLinkLayer }) },
    };
  }
  const targetLinkLayer = options.get(OPTION_TARGET_LINK_LAYER);
  const solicited = (flags & FLAGS.solicited) !== 0;
  if (solicited && isMulticast(envelope.destinationAddress)) return refuse('solicited-multicast');
  return {
    ok: true,
    frame: {
      kind: 'advertisement',
      ...envelope,
      router: (flags & FLAGS.router) !== 0,
      solicited,
      override: (flags & FLAGS.override) !== 0,
      ...(targetLinkLayer !== undefined && { targetLinkLayer }),
    },
  };
}

/** Link-layer address options by type; undefined when an option is malformed. */
function readOptions(reader: ByteReader): Map<number, MacAddress> | undefined {
  const options = new Map<number, MacAddress>();
  while (reader.remaining > 0) {
    const type = reader.u8();
    const length = reader.u8();
    if (type === undefined || length === undefined || length === 0) return undefined;
    const value = reader.bytes(length * 8 - 2);
    if (value === undefined) return undefined;
    const isLinkLayer = type === OPTION_SOURCE_LINK_LAYER || type === OPTION_TARGET_LINK_LAYER;
    if (isLinkLayer && length === 1) options.set(type, value);
  }
  return options;
}

/** Header, message and options, with the checksum filled in. */
export function encodeNdp(frame: NdpFrame): Uint8Array {
  const isSolicitation = frame.kind === 'solicitation';
  const flags = isSolicitation
    ? 0
    : (frame.router ? FLAGS.router : 0) |
      (frame.solicited ? FLAGS.solicited : 0) |
      (frame.override ? FLAGS.override : 0);
  const linkLayer = isSolicitation ? frame.sourceLinkLayer : frame.targetLinkLayer;
  const body = new ByteWriter()
    .u8(isSolicitation ? SOLICITATION : ADVERTISEMENT)
    .u8(0)
    .u16(0)
    .u8(flags)
    .u8(0)
    .u16(0)
    .bytes(addressToBytes(frame.target));
  if (linkLayer !== undefined)
    body
      .u8(isSolicitation ? OPTION_SOURCE_LINK_LAYER : OPTION_TARGET_LINK_LAYER)
      .u8(1)
      .bytes(linkLayer);
  const message = body.finish();
  const sourceBytes = addressToBytes(frame.sourceAddress);
  const destinationBytes = addressToBytes(frame.destinationAddress);
  const checksum = internetChecksum(pseudoHeader(sourceBytes, destinationBytes, message.length), message);
  message[2] = checksum >>> 8;
  message[3] = checksum & 0xff;
  return new ByteWriter()
    .bytes(frame.destination)
    .bytes(frame.source)
    .u16(ETHERTYPE_IPV6)
    .u32(6 * 2 ** 28)
    .u16(message.length)
    .u8(NEXT_HEADER_ICMPV6)
    .u8(HOP_LIMIT)
    .bytes(sourceBytes)
    .bytes(destinationBytes)
    .bytes(message)
    .finish();
}

/** RFC 8200 §8.1. */
function pseudoHeader(source: Uint8Array, destination: Uint8Array, length: number): Uint8Array {
  return new ByteWriter().bytes(source).bytes(destination).u32(length).u32(NEXT_HEADER_ICMPV6).finish();
}

function isMulticast(address: IpAddress): boolean {
  return address.value >> 120n === 0xffn;
}

const SOLICITED_NODE_PREFIX = 0xff02_0000_0000_0000_0000_0001_ffn << 24n;

/** ff02::1:ffXX:XXXX, where solicitations for the address are sent (RFC 4291 §2.7.1). */
export function solicitedNode(address: IpAddress): IpAddress {
  return { family: 'ipv6', value: SOLICITED_NODE_PREFIX | (address.value & 0xffffffn) };
}

function isSolicitedNode(address: IpAddress): boolean {
  return address.value >> 24n === SOLICITED_NODE_PREFIX >> 24n;
}

/** ff02::1. */
export const ALL_NODES: IpAddress = { family: 'ipv6', value: (0xff02n << 112n) | 1n };

/** Where frames to an IPv6 multicast address go (RFC 2464 §7). */
export function multicastMac(address: IpAddress): MacAddress {
  return Uint8Array.of(0x33, 0x33, ...addressToBytes(address).slice(12));
}

function refuse(error: NdpDecodeError): DecodedNdp {
  return { ok: false, error };
}
