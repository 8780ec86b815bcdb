/**
 * Encodes and decodes path attributes; malformed ones are handled by RFC 7606.
 * @module
 */
import { addressFromBytes, addressToBytes } from '../../net/address.ts';
import { ByteReader, ByteWriter } from '../../net/bytes.ts';
import { type BgpError, bgpError } from './errors.ts';
import {
  AFI,
  type AsSegment,
  type CodecOptions,
  familyOf,
  type MultiprotocolReach,
  ORIGINS,
  type Origin,
  type PathAttributes,
  SAFI_UNICAST,
  SEGMENT_TYPES,
  type UpdateMessage,
} from './messages.ts';
import { readPrefixes, writePrefixes } from './nlri.ts';

/** Type codes (IANA, BGP path attributes). */
const TYPES = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  med: 4,
  localPref: 5,
  communities: 8,
  reach: 14,
  unreach: 15,
  extendedCommunities: 16,
  largeCommunities: 32,
} as const;

const OPTIONAL = 0x80;
const TRANSITIVE = 0x40;
const EXTENDED_LENGTH = 0x10;
const WELL_KNOWN = TRANSITIVE;

export type UpdateParts = Pick<UpdateMessage, 'attributes' | 'reach' | 'unreach' | 'others'>;

/** In ascending order of type, MP_REACH_NLRI and MP_UNREACH_NLRI first (RFC 7606 §5.1). */
export function encodeAttributes({ attributes, reach, unreach }: UpdateParts, options: CodecOptions): Uint8Array {
  const out = new ByteWriter();
  const put = (flags: number, type: number, value: Uint8Array) => {
    if (value.length > 255)
      out
        .u8(flags | EXTENDED_LENGTH)
        .u8(type)
        .u16(value.length);
    else out.u8(flags).u8(type).u8(value.length);
    out.bytes(value);
  };
  if (reach !== undefined) put(OPTIONAL, TYPES.reach, encodeReach(reach));
  if (unreach !== undefined) {
    const value = new ByteWriter().u16(AFI[unreach.family]).u8(SAFI_UNICAST);
    writePrefixes(value, unreach.prefixes);
    put(OPTIONAL, TYPES.unreach, value.finish());
  }
  const { origin, asPath, nextHop, med, localPref } = attributes;
  if (origin !== undefined) put(WELL_KNOWN, TYPES.origin, Uint8Array.of(ORIGINS[origin]));
  if (asPath !== undefined) put(WELL_KNOWN, TYPES.asPath, encodeAsPath(asPath, options));
  if (nextHop !== undefined) put(WELL_KNOWN, TYPES.nextHop, addressToBytes(nextHop));
  if (med !== undefined) put(OPTIONAL, TYPES.med, new ByteWriter().u32(med).finish());
  if (localPref !== undefined) put(WELL_KNOWN, TYPES.localPref, new ByteWriter().u32(localPref).finish());
  const { communities = [], extendedCommunities = [], largeCommunities = [] } = attributes;
  if (communities.length > 0) {
    const value = new ByteWriter();
    for (const [high, low] of communities) value.u16(high).u16(low);
    put(OPTIONAL | TRANSITIVE, TYPES.communities, value.finish());
  }
  if (extendedCommunities.length > 0) {
    const value = new ByteWriter();
    for (const community of extendedCommunities) value.bytes(community);
    put(OPTIONAL | TRANSITIVE, TYPES.extendedCommunities, value.finish());
  }
  if (largeCommunities.length > 0) {
    const value = new ByteWriter();
    for (const parts of largeCommunities) for (const part of parts) value.u32(part);
    put(OPTIONAL | TRANSITIVE, TYPES.largeCommunities, value.finish());
  }
  return out.finish();
}

function encodeReach({ family, nextHops, prefixes }: MultiprotocolReach): Uint8Array {
  const addresses = nextHops.map(addressToBytes);
  const length = addresses.reduce((sum, bytes) => sum + bytes.length, 0);
  const value = new ByteWriter().u16(AFI[family]).u8(SAFI_UNICAST).u8(length);
  for (const bytes of addresses) value.bytes(bytes);
  writePrefixes(value.u8(0), prefixes);
  return value.finish();
}

function encodeAsPath(segments: readonly AsSegment[], { fourOctetAs }: CodecOptions): Uint8Array {
  const value = new ByteWriter();
  for (const { type, asns } of segments) {
    value.u8(SEGMENT_TYPES[type]).u8(asns.length);
    for (const asn of asns) fourOctetAs ? value.u32(asn) : value.u16(asn > 0xffff ? 23456 : asn);
  }
  return value.finish();
}

export type DecodedAttributes =
  /** `withdraw`: the routes of the message are treated as withdrawn, for this reason. */
  | { readonly ok: true; readonly parts: UpdateParts; readonly withdraw?: string }
  | { readonly ok: false; readonly error: BgpError };

/** Duplicates of an attribute are ignored (RFC 7606 §3 g), except multiprotocol ones, which are an error that ends the session. */
export function decodeAttributes(bytes: Uint8Array, options: CodecOptions): DecodedAttributes {
  const reader = new ByteReader(bytes);
  const found: Found = { attributes: {} };
  const seen = new Set<number>();
  let withdraw: string | undefined;
  while (reader.remaining > 0) {
    const flags = reader.u8()!;
    const type = reader.u8();
    const length = (flags & EXTENDED_LENGTH) === 0 ? reader.u8() : reader.u16();
    const value = length === undefined ? undefined : reader.bytes(length);
    if (type === undefined || value === undefined) {
      // The start of the next attribute is unknown: keep the attributes so far, but treat the routes as withdrawn (RFC 7606 §4).
      withdraw ??= 'an attribute is longer than the attributes together';
      break;
    }
    if (seen.has(type)) {
      if (type === TYPES.reach || type === TYPES.unreach)
        return { ok: false, error: bgpError('update', 1, 'a multiprotocol attribute is contained twice') };
      continue;
    }
    seen.add(type);
    const flaw = decodeAttribute(type, flags, value, found, options);
    if (flaw === undefined) continue;
    if (typeof flaw !== 'string') return { ok: false, error: flaw };
    withdraw ??= flaw;
  }
  const { attributes, ...multiprotocol } = found;
  const parts: UpdateParts = { attributes, ...multiprotocol };
  return withdraw === undefined ? { ok: true, parts } : { ok: true, parts, withdraw };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Found extends Mutable<Omit<UpdateParts, 'attributes'>> {
  readonly attributes: Mutable<PathAttributes>;
}

/** Undefined: decoded or ignored. A string: treat the routes as withdrawn, for this reason. */
function decodeAttribute(
  type: number,
  flags: number,
  value: Uint8Array,
  found: Found,
  options: CodecOptions,
): BgpError | string | undefined {
  const { attributes } = found;
  const isWellKnown =
    type === TYPES.origin || type === TYPES.asPath || type === TYPES.nextHop || type === TYPES.localPref;
  if (isWellKnown && (flags & (OPTIONAL | TRANSITIVE)) !== WELL_KNOWN) return `attribute ${type} has flags ${flags}`;
  switch (type) {
    case TYPES.origin: {
      const origin = (Object.keys(ORIGINS) as Origin[]).find((name) => ORIGINS[name] === value[0]);
      if (value.length !== 1 || origin === undefined) return 'ORIGIN is malformed';
      attributes.origin = origin;
      return undefined;
    }
    case TYPES.asPath: {
      const asPath = decodeAsPath(value, options);
      if (asPath === undefined) return 'AS_PATH is malformed';
      attributes.asPath = asPath;
      return undefined;
    }
    case TYPES.nextHop:
      if (value.length !== 4) return 'NEXT_HOP is malformed';
      attributes.nextHop = addressFromBytes(value);
      return undefined;
    case TYPES.med:
    case TYPES.localPref: {
      const number = value.length === 4 ? new ByteReader(value).u32() : undefined;
      if (number === undefined) return `attribute ${type} has ${value.length} bytes instead of four`;
      attributes[type === TYPES.med ? 'med' : 'localPref'] = number;
      return undefined;
    }
    case TYPES.communities: {
      const numbers = split(value, 2, 2);
      if (numbers === undefined) return 'COMMUNITIES is malformed';
      attributes.communities = numbers as [number, number][];
      return undefined;
    }
    case TYPES.extendedCommunities: {
      if (value.length === 0 || value.length % 8 !== 0) return 'EXTENDED COMMUNITIES is malformed';
      attributes.extendedCommunities = Array.from({ length: value.length / 8 }, (_, i) =>
        value.slice(i * 8, i * 8 + 8),
      );
      return undefined;
    }
    case TYPES.largeCommunities: {
      const numbers = split(value, 4, 3);
      if (numbers === undefined) return 'LARGE_COMMUNITY is malformed';
      attributes.largeCommunities = numbers as [number, number, number][];
      return undefined;
    }
    case TYPES.reach:
      return decodeReach(value, found);
    case TYPES.unreach:
      return decodeUnreach(value, found);
    default:
      // An unknown attribute that is not optional must not be ignored (RFC 4271 §6.3).
      return (flags & OPTIONAL) === 0 && type > 7
        ? bgpError(
            'update',
            2,
            `attribute ${type} is flagged well-known, but is not supported`,
            Uint8Array.of(flags, type),
          )
        : undefined;
  }
}

/** Numbers of `size` bytes in groups of `count`; undefined if the length is not a multiple of a group. */
function split(value: Uint8Array, size: 2 | 4, count: number): number[][] | undefined {
  if (value.length === 0 || value.length % (size * count) !== 0) return undefined;
  const reader = new ByteReader(value);
  const next = () => (size === 2 ? reader.u16()! : reader.u32()!);
  return Array.from({ length: value.length / size / count }, () => Array.from({ length: count }, next));
}

function decodeAsPath(value: Uint8Array, { fourOctetAs }: CodecOptions): AsSegment[] | undefined {
  const reader = new ByteReader(value);
  const segments: AsSegment[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const count = reader.u8();
    const type = (Object.keys(SEGMENT_TYPES) as AsSegment['type'][]).find((name) => SEGMENT_TYPES[name] === code);
    if (type === undefined || count === undefined || count === 0) return undefined;
    const asns = Array.from({ length: count }, () => (fourOctetAs ? reader.u32() : reader.u16()));
    if (asns.includes(undefined)) return undefined;
    segments.push({ type, asns: asns as number[] });
  }
  return segments;
}

/** An error ends the session, because it is unclear which routes are meant (RFC 7606 §7.11). */
function decodeReach(value: Uint8Array, found: Found): BgpError | undefined {
  const reader = new ByteReader(value);
  const [afi, safi] = [reader.u16(), reader.u8()];
  const family = familyOf(afi, safi);
  const length = reader.u8();
  const nextHop = length === undefined ? undefined : reader.bytes(length);
  const reserved = reader.u8();
  if (nextHop === undefined || reserved === undefined) return bgpError('update', 9, 'MP_REACH_NLRI is too short');
  if (family === undefined) return passOver(found, afi, safi);
  const sizes = nextHop.length === 32 ? [16, 16] : [nextHop.length];
  if (sizes.some((size) => size !== 4 && size !== 16))
    return bgpError('update', 9, `MP_REACH_NLRI has a next hop of ${nextHop.length} bytes`);
  const prefixes = readPrefixes(reader, family);
  if (prefixes === undefined) return bgpError('update', 10, 'MP_REACH_NLRI has a malformed prefix');
  const nextHops = sizes.map((size, i) => addressFromBytes(nextHop.slice(i * 16, i * 16 + size)));
  found.reach = { family, nextHops, prefixes };
  return undefined;
}

/** Ignores the routes of an unsupported family, but notes the family: else the UPDATE would look like the End-of-RIB of IPv4. */
function passOver(found: Found, afi = 0, safi = 0): undefined {
  found.others = [...(found.others ?? []), { afi, safi }];
}

function decodeUnreach(value: Uint8Array, found: Found): BgpError | undefined {
  const reader = new ByteReader(value);
  const [afi, safi] = [reader.u16(), reader.u8()];
  if (afi === undefined || safi === undefined) return bgpError('update', 9, 'MP_UNREACH_NLRI is too short');
  const family = familyOf(afi, safi);
  if (family === undefined) return passOver(found, afi, safi);
  const prefixes = readPrefixes(reader, family);
  if (prefixes === undefined) return bgpError('update', 10, 'MP_UNREACH_NLRI has a malformed prefix');
  found.unreach = { family, prefixes };
  return undefined;
}
