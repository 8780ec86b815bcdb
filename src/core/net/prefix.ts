/**
 * CIDR prefixes (RFC 4632) and how a range of addresses splits into them.
 * @module
 */
import { ADDRESS_BITS, formatAddress, type IpAddress, type IpFamily, parseAddress } from './address.ts';

/** A block of addresses; `base` has its host bits cleared. `length` is in bits. */
export interface Prefix {
  readonly family: IpFamily;
  readonly base: bigint;
  readonly length: number;
}

/** An inclusive range of addresses of one family; `first <= last`. */
export interface AddressRange {
  readonly family: IpFamily;
  readonly first: bigint;
  readonly last: bigint;
}

/** Reads `address/length`; host bits are masked off. Returns undefined when the text is not a CIDR prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  const length = Number(digits);
  if (length > ADDRESS_BITS[address.family]) return undefined;
  return prefixOf(address, length);
}

/** The prefix of `length` bits that holds the address. */
export function prefixOf(address: IpAddress, length: number): Prefix {
  const hostBits = BigInt(ADDRESS_BITS[address.family] - length);
  return { family: address.family, base: (address.value >> hostBits) << hostBits, length };
}

/** Canonical text, for example `192.0.2.0/24`. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress({ family: prefix.family, value: prefix.base })}/${prefix.length}`;
}

/** The prefix as its first and last address. */
export function prefixRange(prefix: Prefix): AddressRange {
  const size = 1n << BigInt(ADDRESS_BITS[prefix.family] - prefix.length);
  return { family: prefix.family, first: prefix.base, last: prefix.base + size - 1n };
}

/** True when the address lies inside the range. */
export function rangeContains(range: AddressRange, address: IpAddress): boolean {
  return range.family === address.family && range.first <= address.value && address.value <= range.last;
}

/** True when the two share at least one address. */
export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** The shortest ascending list of prefixes that covers the range exactly. */
export function rangeToPrefixes(range: AddressRange): Prefix[] {
  const bits = ADDRESS_BITS[range.family];
  const prefixes: Prefix[] = [];
  let first = range.first;
  while (first <= range.last) {
    let hostBits = first === 0n ? bits : trailingZeros(first, bits);
    while (hostBits > 0 && first + (1n << BigInt(hostBits)) - 1n > range.last) hostBits--;
    prefixes.push({ family: range.family, base: first, length: bits - hostBits });
    first += 1n << BigInt(hostBits);
  }
  return prefixes;
}

/** The length of the shortest prefix that lies in the range. */
export function shortestPrefixIn({ family, first, last }: AddressRange): number {
  const bits = ADDRESS_BITS[family];
  for (let hostBits = bitLength(last - first + 1n) - 1; ; hostBits--) {
    const size = 1n << BigInt(hostBits);
    const base = ((first + size - 1n) / size) * size;
    if (base + size - 1n <= last) return bits - hostBits;
  }
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}

function trailingZeros(value: bigint, limit: number): number {
  let count = 0;
  while (count < limit && ((value >> BigInt(count)) & 1n) === 0n) count++;
  return count;
}
