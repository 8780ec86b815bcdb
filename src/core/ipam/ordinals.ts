/**
 * Numbers the usable addresses of a range 0, 1, 2 … without gaps, so that "lowest free" never has to step over
 * addresses that may not be used. With avoidBuggyIPs each block of 256 has 254 usable ones (.1 to .254).
 * @module
 */
import type { IpAddress } from '../net/address.ts';
import { type AddressRange, rangeContains } from '../net/prefix.ts';

/** A range of a pool as a contiguous run of ordinals, `first` to `last` inclusive; empty when `first > last`. */
export interface OrdinalRange {
  readonly range: AddressRange;
  readonly sparse: boolean;
  readonly first: bigint;
  readonly last: bigint;
}

/** Maps a range to ordinals. `avoidBuggyIPs` concerns IPv4 alone. */
export function toOrdinals(range: AddressRange, avoidBuggyIPs: boolean): OrdinalRange {
  if (!avoidBuggyIPs || range.family === 'ipv6') return { range, sparse: false, first: range.first, last: range.last };
  const first = isBuggy(range.first) ? range.first + ((range.first & 0xffn) === 0n ? 1n : 2n) : range.first;
  const last = isBuggy(range.last) ? range.last - ((range.last & 0xffn) === 0xffn ? 1n : 2n) : range.last;
  return { range, sparse: true, first: dense(first), last: dense(last) };
}

/** True when a last octet of 0 or 255 makes some old equipment drop packets (upstream field avoidBuggyIPs). */
export function isBuggy(value: bigint): boolean {
  const octet = value & 0xffn;
  return octet === 0n || octet === 0xffn;
}

/** True when the address is of this range and may be used: no other has an ordinal. */
export function hasOrdinal({ range, sparse }: OrdinalRange, address: IpAddress): boolean {
  return rangeContains(range, address) && !(sparse && isBuggy(address.value));
}

/** The ordinal of an address that has one. */
export function ordinalOf(range: OrdinalRange, address: IpAddress): bigint {
  return range.sparse ? dense(address.value) : address.value;
}

/** The address behind an ordinal. */
export function addressAt(range: OrdinalRange, ordinal: bigint): IpAddress {
  const value = range.sparse ? (ordinal / 254n) * 256n + (ordinal % 254n) + 1n : ordinal;
  return { family: range.range.family, value };
}

function dense(value: bigint): bigint {
  return (value >> 8n) * 254n + (value & 0xffn) - 1n;
}
