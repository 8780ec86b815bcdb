/**
 * Ethernet (EUI-48) addresses.
 * @module
 */

/** Six bytes in wire order. */
export type MacAddress = Uint8Array;

/** ff:ff:ff:ff:ff:ff (IEEE 802). */
export const BROADCAST_MAC: MacAddress = new Uint8Array(6).fill(0xff);

/** Reads `aa:bb:cc:dd:ee:ff` (or with `-`), any case. Returns undefined when the text is not a MAC address. */
export function parseMac(text: string): MacAddress | undefined {
  if (!/^[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (byte) => Number.parseInt(byte, 16));
}

/** Lower case with colons. */
export function formatMac(mac: MacAddress): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Byte for byte. */
export function sameMac(a: MacAddress, b: MacAddress): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
