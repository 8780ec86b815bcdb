/**
 * What our end of a connection is called: addresses for next hops, and the BGP identifier.
 * @module
 */
import { networkInterfaces } from 'node:os';
import { crc32 } from 'node:zlib';
import type { LocalEnd } from '../../core/bgp/negotiation.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../core/net/address.ts';

/**
 * Behaviour reference §5.4: the identifier that is configured; else the local IPv4 address of the connection; else the first one of the
 * same interface; else a checksum of the node's name.
 */
export function localEnd(local: string, routerId: IpAddress | undefined, node: string): LocalEnd {
  // Link-local addresses come with the interface that they are on.
  const [text = '', zone] = local.split('%');
  const own = parseAddress(text);
  const addresses = [...(own === undefined ? [] : [own]), ...neighbours(own, zone)];
  const ipv4 = routerId ?? addresses.find(({ family }) => family === 'ipv4');
  const identifier = ipv4 === undefined ? swapped(crc32(node)) : Number(ipv4.value);
  return { identifier: identifier || 1, addresses };
}

/** Other addresses of the interface that has this one, without those that mean something on the link only. */
function neighbours(own: IpAddress | undefined, zone: string | undefined): IpAddress[] {
  if (own === undefined) return [];
  const text = formatAddress(own);
  const all = networkInterfaces();
  const entries =
    (zone === undefined
      ? Object.values(all).find((list) => list?.some(({ address }) => address === text))
      : all[zone]) ?? [];
  return entries.flatMap(({ address, scopeid }) => {
    const parsed = scopeid === undefined || scopeid === 0 ? parseAddress(address) : undefined;
    return parsed === undefined || address === text ? [] : [parsed];
  });
}

/** Upstream reads the four bytes the other way round. */
function swapped(value: number): number {
  return new DataView(new Uint32Array([value]).buffer).getUint32(0, false);
}
