/**
 * Prefixes in BGP's encoding: the length in bits, then as many bytes as that needs (RFC 4271 §4.3).
 * @module
 */
import { ADDRESS_BITS, addressFromBytes, addressToBytes } from '../../net/address.ts';
import type { ByteReader, ByteWriter } from '../../net/bytes.ts';
import { type Prefix, prefixOf } from '../../net/prefix.ts';
import type { AddressFamily } from './messages.ts';

export function writePrefixes(writer: ByteWriter, prefixes: readonly Prefix[]): void {
  for (const { family, base, length } of prefixes) {
    const bytes = addressToBytes({ family, value: base });
    writer.u8(length).bytes(bytes.subarray(0, Math.ceil(length / 8)));
  }
}

/** Bytes of a prefix on the wire. */
export function prefixSize({ length }: Prefix): number {
  return 1 + Math.ceil(length / 8);
}

/** Reads prefixes to the end; undefined if malformed. Bits beyond the prefix length are ignored. */
export function readPrefixes(reader: ByteReader, family: AddressFamily): Prefix[] | undefined {
  const prefixes: Prefix[] = [];
  while (reader.remaining > 0) {
    const length = reader.u8()!;
    if (length > ADDRESS_BITS[family]) return undefined;
    const bytes = reader.bytes(Math.ceil(length / 8));
    if (bytes === undefined) return undefined;
    const whole = new Uint8Array(ADDRESS_BITS[family] / 8);
    whole.set(bytes);
    prefixes.push(prefixOf(addressFromBytes(whole), length));
  }
  return prefixes;
}
