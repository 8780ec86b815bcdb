/**
 * IP addresses as values: text to number and back.
 * @module
 */

/** IPv4 (RFC 791) or IPv6 (RFC 4291). */
export type IpFamily = 'ipv4' | 'ipv6';

/** One IP address. `value` is the address as an unsigned number: 32 bits for IPv4, 128 bits for IPv6. */
export interface IpAddress {
  readonly family: IpFamily;
  readonly value: bigint;
}

/** Address length in bits, by family. */
export const ADDRESS_BITS: Readonly<Record<IpFamily, number>> = { ipv4: 32, ipv6: 128 };

/**
 * Reads an address. IPv4: four decimal octets without leading zeros. IPv6: RFC 4291 §2.2 text, optionally with an
 * embedded IPv4 tail; no zone identifier. Surrounding whitespace is not accepted. Returns undefined when the text is not an address.
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (text.includes(':')) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : { family: 'ipv6', value };
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : { family: 'ipv4', value: BigInt(value) };
}

/** Canonical text: dotted decimal for IPv4, RFC 5952 for IPv6. */
export function formatAddress(address: IpAddress): string {
  return address.family === 'ipv4' ? formatIpv4(Number(address.value)) : formatIpv6(address.value);
}

/** Orders by family (IPv4 first), then numerically. */
export function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (a.family !== b.family) return a.family === 'ipv4' ? -1 : 1;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

export function isSameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.value === b.value && a.family === b.family;
}

export function includesAddress(addresses: readonly IpAddress[], address: IpAddress): boolean {
  return addresses.some((other) => isSameAddress(other, address));
}

/** Each once, in the order of their first mention. */
export function distinctAddresses(addresses: readonly IpAddress[]): IpAddress[] {
  return [...new Map(addresses.map((address) => [formatAddress(address), address])).values()];
}

/** As sets: which are in both, not how often or in which order. */
export function areSameAddresses(a: readonly IpAddress[], b: readonly IpAddress[]): boolean {
  return a.every((address) => includesAddress(b, address)) && b.every((address) => includesAddress(a, address));
}

/** Network byte order, 4 or 16 bytes. */
export function addressToBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BITS[address.family] / 8);
  let rest = address.value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Reads 4 or 16 bytes in network order. Throws RangeError on any other length. */
export function addressFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 'ipv4' : 'ipv6', value };
}

const ZERO = 48;
const NINE = 57;

function parseIpv4(text: string): number | undefined {
  let value = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= ZERO && code <= NINE) {
      if (digits > 0 && octet === 0) return undefined;
      octet = octet * 10 + (code - ZERO);
      if (octet > 255) return undefined;
      digits++;
    } else if (code === 46 && digits > 0 && dots < 3) {
      value = value * 256 + octet;
      octet = 0;
      digits = 0;
      dots++;
    } else {
      return undefined;
    }
  }
  return dots === 3 && digits > 0 ? value * 256 + octet : undefined;
}

function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 8 ? joinGroups(head) : undefined;
  const tail = parseGroups(halves[1]!, true);
  if (tail === undefined || head.length + tail.length > 7) return undefined;
  return joinGroups([...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]);
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (mayEndInIpv4 && i === parts.length - 1 && part.includes('.')) {
      const value = parseIpv4(part);
      if (value === undefined) return undefined;
      groups.push(value >>> 16, value & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups.length > 8 ? undefined : groups;
}

function joinGroups(groups: readonly number[]): bigint {
  let value = 0n;
  for (const group of groups) value = (value << 16n) | BigInt(group);
  return value;
}

/** RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups shortened, the first of equals. */
function formatIpv6(value: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  // RFC 5952 §5: an IPv4-mapped address shows its IPv4 part.
  if (value >> 32n === 0xffffn) return `::ffff:${formatIpv4(Number(value & 0xffffffffn))}`;
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    i = end === i ? i + 1 : end;
  }
  const hex = (list: readonly number[]) => list.map((group) => group.toString(16)).join(':');
  return best === -1 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

/** fe80::/10 or 169.254.0.0/16: means something on one link only (RFC 4291 §2.5.6, RFC 3927). */
export function isLinkLocal({ family, value }: IpAddress): boolean {
  return family === 'ipv6' ? value >> 118n === 0x3fan : value >> 16n === 0xa9fen;
}
