/**
 * The default gateways of this machine, as /proc/net shows them.
 * @module
 */
import { readFileSync } from 'node:fs';
import type { Gateway } from '../../core/bgp/peers/peer-location.ts';
import { addressFromBytes, formatAddress } from '../../core/net/address.ts';

/** Route flags (linux/route.h). */
const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;

interface Found extends Gateway {
  readonly metric: number;
}

/** Of both families, the lowest metric first. */
export function readGateways(): Gateway[] {
  const found = [...ipv4Gateways(), ...ipv6Gateways()].sort((a, b) => a.metric - b.metric);
  return found.map(({ address, interface: name }) => ({ address, interface: name }));
}

function rows(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
  } catch {
    return []; // A kernel without this family.
  }
}

function isGateway(flags: string): boolean {
  return (Number.parseInt(flags, 16) & (RTF_UP | RTF_GATEWAY)) === (RTF_UP | RTF_GATEWAY);
}

/** Interface, destination, gateway, flags, reference count, use, metric, mask: addresses in host byte order. */
function ipv4Gateways(): Found[] {
  return rows('/proc/net/route').flatMap(([name = '', destination, gateway = '', flags = '', , , metric, mask]) => {
    if (destination !== '00000000' || mask !== '00000000' || !isGateway(flags)) return [];
    const bytes = new Uint8Array(new Uint32Array([Number.parseInt(gateway, 16)]).buffer);
    return [{ address: formatAddress(addressFromBytes(bytes)), interface: name, metric: Number(metric) }];
  });
}

/** Destination, its length, source, its length, next hop, metric, reference count, use, flags, interface. */
function ipv6Gateways(): Found[] {
  return rows('/proc/net/ipv6_route').flatMap((row) => {
    const [destination = '', length, , , gateway = '', metric = '', , , flags = '', name = ''] = row;
    if (length !== '00' || !/^0+$/.test(destination) || !isGateway(flags)) return [];
    const bytes = Uint8Array.from(Buffer.from(gateway, 'hex'));
    return [{ address: formatAddress(addressFromBytes(bytes)), interface: name, metric: Number.parseInt(metric, 16) }];
  });
}
