/**
 * Pools with addresses that this node, its router or its DHCP server has already, as far as the node knows.
 * @module
 */
import type { Pool } from '../config/config.ts';
import { PoolIndex } from '../config/pools.ts';
import { parseAddress } from '../net/address.ts';
import { formatPrefix, prefixOf, prefixRange } from '../net/prefix.ts';

/** An address of this node, and how long its prefix is. */
export interface AddressFacts {
  readonly address: string;
  readonly length: number;
  readonly link: string;
  /** It is lent for some time, as by DHCP. */
  readonly dynamic: boolean;
}

/** A default gateway of this node. */
interface GatewayFacts {
  readonly address: string;
  readonly interface: string;
}

export interface Network {
  readonly addresses: readonly AddressFacts[];
  readonly gateways: readonly GatewayFacts[];
}

/** What is wrong with a pool, and what would be right. */
export interface PoolFinding {
  readonly detail: string;
  readonly cure: string;
}

export function examinePools(pools: readonly Pool[], { addresses, gateways }: Network): PoolFinding[] {
  const index = PoolIndex.of(pools);
  const poolWith = (text: string) => {
    const address = parseAddress(text);
    if (address === undefined) return undefined;
    return [...index.overlapping({ family: address.family, first: address.value, last: address.value }).keys()][0];
  };
  const contained = (text: string, whose: string): PoolFinding[] => {
    const pool = poolWith(text);
    if (pool === undefined) return [];
    const detail = `IPAddressPool ${pool.name} contains ${text}, ${whose}: a Service that gets it would not be reached`;
    return [{ detail, cure: 'leave it out of the pool' }];
  };
  return [
    ...addresses.flatMap(({ address, link }) => contained(address, `which this node has on ${link}`)),
    ...gateways.flatMap(({ address, interface: link }) => contained(address, `the default gateway on ${link}`)),
    ...addresses.flatMap((each) => leased(index, each)),
  ];
}

/** IPv4 alone: an address that a node makes by itself (SLAAC) is as good as its own, and no pool of the router's. */
function leased(index: PoolIndex, { address: text, length, link, dynamic }: AddressFacts): PoolFinding[] {
  const address = parseAddress(text);
  if (!dynamic || address?.family !== 'ipv4') return [];
  const prefix = prefixOf(address, length);
  return [...index.overlapping(prefixRange(prefix)).keys()].map(({ name }) => ({
    detail: `IPAddressPool ${name} has addresses of ${formatPrefix(prefix)}, where this node itself has ${text} on ${link} by DHCP: the DHCP server may give them to other machines`,
    cure: 'see to it that the range of the DHCP server (in its settings, often those of the router) and the pool have no address in common',
  }));
}
