/**
 * The first pool: would hosts on the nodes' network ask for these addresses by ARP or NDP?
 * @module
 */
import { parseAddressEntry } from '../config/address-entry.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { type AddressRange, formatPrefix, type Prefix, prefixOf, prefixRange, rangeContains } from '../net/prefix.ts';

export interface NodeAddress {
  readonly node: string;
  readonly address: IpAddress;
}

/** A network that nodes are connected to. */
export interface Subnet {
  readonly prefix: Prefix;
  /** False: no link of this machine is on it, so the usual prefix length is assumed. */
  readonly isKnown: boolean;
  readonly nodes: readonly NodeAddress[];
}

/** Prefix lengths to assume when nothing else is known. */
const USUAL_LENGTH = { ipv4: 24, ipv6: 64 } as const;

/** The networks of the nodes; `links` are the prefixes of this machine's links. */
export function subnetsOf(nodes: readonly NodeAddress[], links: readonly Prefix[]): Subnet[] {
  const subnets = new Map<string, { prefix: Prefix; isKnown: boolean; nodes: NodeAddress[] }>();
  for (const node of nodes) {
    const known = links.find((link) => rangeContains(prefixRange(link), node.address));
    const prefix = known ?? prefixOf(node.address, USUAL_LENGTH[node.address.family]);
    const key = formatPrefix(prefix);
    const subnet = subnets.get(key) ?? { prefix, isKnown: known !== undefined, nodes: [] };
    subnet.nodes.push(node);
    subnets.set(key, subnet);
  }
  return [...subnets.values()];
}

/** Entries as users type them, separated by commas or spaces. */
export function splitAddresses(text: string): string[] {
  return text
    .replace(/\s*-\s*/g, '-')
    .split(/[\s,]+/)
    .filter((entry) => entry !== '');
}

/** Everything that is wrong with the entries, each with how to fix it. `mayBeOutside`: routers have routes to them. */
export function addressProblems(
  entries: readonly string[],
  subnets: readonly Subnet[],
  mayBeOutside: boolean,
): string[] {
  if (entries.length === 0) return ['no address is given; give a range, for example 192.168.1.240-192.168.1.250'];
  return entries.flatMap((entry) => {
    const parsed = parseAddressEntry(entry);
    if (!parsed.ok) return [`${JSON.stringify(entry)}: ${parsed.message}; ${parsed.cure}`];
    return [...taken(entry, parsed.range, subnets), ...(mayBeOutside ? [] : outside(entry, parsed.range, subnets))];
  });
}

function taken(entry: string, range: AddressRange, subnets: readonly Subnet[]): string[] {
  return subnets
    .flatMap(({ nodes }) => nodes)
    .filter(({ address }) => rangeContains(range, address))
    .map(({ node, address }) => {
      const text = formatAddress(address);
      return `${JSON.stringify(entry)}: ${text} is the address of node ${node}; leave the nodes' addresses out of it`;
    });
}

function outside(entry: string, range: AddressRange, subnets: readonly Subnet[]): string[] {
  const ends = [range.first, range.last].map((value): IpAddress => ({ family: range.family, value }));
  const isInside = subnets.some(({ prefix }) => ends.every((end) => rangeContains(prefixRange(prefix), end)));
  if (isInside || subnets.length === 0) return [];
  const shown = subnets.map(({ prefix, isKnown }) => `${formatPrefix(prefix)}${isKnown ? '' : ' (the usual length)'}`);
  return [
    `${JSON.stringify(entry)}: this is outside of the nodes' network ${shown.join(', ')}, where nobody would ask for it by ARP or NDP; choose addresses within it, or pass --allow-outside if routers have a route to them`,
  ];
}

/** The suggestion when the user gave no addresses: the end of the first network, which DHCP on home routers usually leaves free. */
export function suggestion(subnets: readonly Subnet[]): string | undefined {
  const subnet = subnets.find(({ prefix: { family, length } }) => family === 'ipv4' && length <= 24);
  if (subnet === undefined) return undefined;
  const { family, last } = prefixRange(subnet.prefix);
  const range = { family, first: last - 15n, last: last - 5n };
  const isFree = !subnet.nodes.some(({ address }) => rangeContains(range, address));
  const show = (value: bigint) => formatAddress({ family, value });
  return isFree ? `${show(range.first)}-${show(range.last)}` : undefined;
}
