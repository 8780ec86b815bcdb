/**
 * The local end of a BGP connection: its next-hop addresses and BGP identifier.
 * @module
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { crc32 } from 'node:zlib';
import type { LocalEnd } from '../../core/bgp/session/negotiation.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../core/net/address.ts';

/**
 * The BGP identifier (docs/behaviour/bgp.md#bgp-identifier): the one that is configured; else the local IPv4 address of the connection; else the first one of the
 * same interface; else a checksum of the node's name. Toward a daemon on this same node (a CNI's) we
 * use the first interface that others can reach, so that it can pass on a usable next hop; the daemon already uses that address as its own
 * identifier, so we take the checksum.
 */
export function localEnd(local: string, routerId: IpAddress | undefined, node: string): LocalEnd {
  // Link-local addresses come with the interface that they are on.
  const [text = '', zone] = local.split('%');
  const own = parseAddress(text);
  const isHere = isLoopback(text);
  const addresses = isHere ? outward() : [...(own === undefined ? [] : [own]), ...neighbours(own, zone)];
  const ipv4 = routerId ?? (isHere ? undefined : addresses.find(({ family }) => family === 'ipv4'));
  const identifier = ipv4 === undefined ? swapped(crc32(node)) : Number(ipv4.value);
  return { identifier: identifier || 1, addresses };
}

/** All addresses of the interface that has this one, except link-local ones. */
function neighbours(own: IpAddress | undefined, zone: string | undefined): IpAddress[] {
  if (own === undefined) return [];
  const text = formatAddress(own);
  const all = networkInterfaces();
  const entries =
    (zone === undefined
      ? Object.values(all).find((list) => list?.some(({ address }) => address === text))
      : all[zone]) ?? [];
  return addressesOf(entries.filter(({ address }) => address !== text));
}

function isLoopback(text: string): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((each) => each.internal && each.address === text),
  );
}

function outward(): IpAddress[] {
  const entries = Object.values(networkInterfaces()).find((list) =>
    list?.some(({ internal, family }) => !internal && family === 'IPv4'),
  );
  return addressesOf(entries ?? []);
}

/** Drops link-local addresses. */
function addressesOf(entries: readonly NetworkInterfaceInfo[]): IpAddress[] {
  return entries.flatMap(({ address, scopeid }) =>
    scopeid === undefined || scopeid === 0 ? (parseAddress(address) ?? []) : [],
  );
}

/** Upstream reads the four bytes the other way round. */
function swapped(value: number): number {
  return new DataView(new Uint32Array([value]).buffer).getUint32(0, false);
}
