/**
 * IPAddressPools (docs/behaviour/resources.md, rules P1 to P3).
 * @module
 */
import { type IPAddressPoolSpec, ipAddressPool } from '../api/kinds.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import type { IpAddress, IpFamily } from '../net/address.ts';
import { type AddressRange, formatPrefix, rangeToPrefixes, shortestPrefixIn } from '../net/prefix.ts';
import { RangeSet } from '../net/range-set.ts';
import { parseAddressEntry } from './address-entry.ts';
import type { Pool, PoolAllocation } from './config.ts';
import type { Inspection } from './inspection.ts';

export function parsePool(
  object: KubernetesObject,
  inspection: Inspection,
  namespaces: readonly KubernetesObject[],
): Pool | undefined {
  const validated = inspection.validate(ipAddressPool, object);
  if (validated === undefined) return undefined;
  const { spec } = validated;
  const ranges = parseRanges(spec, inspection);
  const allocation = spec.serviceAllocation && parseAllocation(spec.serviceAllocation, namespaces, inspection);
  return {
    name: object.metadata.name,
    labels: object.metadata.labels ?? {},
    ranges,
    autoAssign: spec.autoAssign ?? true,
    avoidBuggyIPs: spec.avoidBuggyIPs ?? false,
    ...(allocation !== undefined && { allocation }),
  };
}

function parseRanges(spec: IPAddressPoolSpec, inspection: Inspection): AddressRange[] {
  const path = ['spec', 'addresses'];
  const ranges: AddressRange[] = [];
  const set = new RangeSet();
  if (spec.addresses.length === 0) {
    inspection.report(path, '[]', 'the pool has no addresses', 'list at least one CIDR or range');
  }
  for (const [i, entry] of spec.addresses.entries()) {
    const parsed = parseAddressEntry(entry);
    if (!parsed.ok) {
      inspection.report([...path, i], entry, parsed.message, parsed.cure);
      continue;
    }
    const twin = set.add(parsed.range);
    if (twin === undefined) ranges.push(parsed.range);
    else
      inspection.report(
        [...path, i],
        entry,
        `it overlaps ${showRange(twin)} of the same pool`,
        'list each address once',
      );
    if (inspection.isFull) break;
  }
  return ranges;
}

function parseAllocation(
  spec: NonNullable<IPAddressPoolSpec['serviceAllocation']>,
  namespaces: readonly KubernetesObject[],
  inspection: Inspection,
): PoolAllocation {
  const path = ['spec', 'serviceAllocation'];
  const named = spec.namespaces ?? [];
  inspection.unique([...path, 'namespaces'], named);
  const namespaceSelectors = inspection.selectors([...path, 'namespaceSelectors'], spec.namespaceSelectors);
  const serviceSelectors = inspection.selectors([...path, 'serviceSelectors'], spec.serviceSelectors);
  const selected = namespaces.filter(
    ({ metadata }) => namespaceSelectors.length > 0 && anySelectorMatches(namespaceSelectors, metadata.labels),
  );
  return {
    priority: spec.priority ?? 0,
    namespaces: new Set([...named, ...selected.map(({ metadata }) => metadata.name)].sort()),
    limitsNamespaces: named.length > 0 || namespaceSelectors.length > 0,
    serviceSelectors,
  };
}

/** The addresses of many pools, none of which overlap, and whose they are. */
export class PoolIndex {
  readonly #ranges = new RangeSet();
  readonly #owners = new Map<AddressRange, Pool>();

  static of(pools: readonly Pool[]): PoolIndex {
    const index = new PoolIndex();
    index.add(...pools);
    return index;
  }

  add(...pools: readonly Pool[]): void {
    this.#ranges.addAll(pools.flatMap(({ ranges }) => ranges));
    for (const pool of pools) for (const range of pool.ranges) this.#owners.set(range, pool);
  }

  /** The pool that the address is of. */
  containing(address: IpAddress): Pool | undefined {
    const range = this.#ranges.containing(address);
    return range && this.#owners.get(range);
  }

  /** The pools that have addresses of the range, with the entry that has the first of them. */
  overlapping(range: AddressRange): Map<Pool, AddressRange> {
    const found = new Map<Pool, AddressRange>();
    for (const theirs of this.#ranges.allOverlapping(range)) {
      const owner = this.#owners.get(theirs)!;
      if (!found.has(owner)) found.set(owner, theirs);
    }
    return found;
  }
}

/** Rule P2 across pools. */
export function poolClashes(pool: Pool, accepted: PoolIndex, inspection: Inspection): void {
  const told = new Set<Pool>();
  for (const mine of pool.ranges) {
    if (inspection.isFull) return;
    for (const [other, theirs] of accepted.overlapping(mine)) {
      if (told.has(other)) continue;
      told.add(other);
      inspection.report(
        ['spec', 'addresses'],
        showRange(mine),
        `it overlaps ${showRange(theirs)} of IPAddressPool ${other.name}`,
        'leave the shared addresses in one of the two pools',
      );
    }
  }
}

/** Pools never change; one is compared with all others. */
const rangeSets = new WeakMap<Pool, RangeSet>();

/** The addresses of a pool, to be searched. */
export function rangeSetOf(pool: Pool): RangeSet {
  const known = rangeSets.get(pool);
  if (known !== undefined) return known;
  const set = RangeSet.of(pool.ranges);
  rangeSets.set(pool, set);
  return set;
}

/** The entry of a family that takes the longest prefix to stay within, and the length of that. */
interface Narrowest {
  readonly range: AddressRange;
  readonly length: number;
}

const narrowest = new WeakMap<Pool, Partial<Record<IpFamily, Narrowest>>>();

/** By family; undefined: the pool has no addresses of it. */
export function narrowestOf(pool: Pool): Partial<Record<IpFamily, Narrowest>> {
  const known = narrowest.get(pool);
  if (known !== undefined) return known;
  const found: Partial<Record<IpFamily, Narrowest>> = {};
  for (const range of pool.ranges) {
    const length = shortestPrefixIn(range);
    if (length > (found[range.family]?.length ?? -1)) found[range.family] = { range, length };
  }
  narrowest.set(pool, found);
  return found;
}

/** The prefixes that a range splits into, as upstream shows it; a long list is shortened. */
export function showRange(range: AddressRange): string {
  const prefixes = rangeToPrefixes(range).map(formatPrefix);
  return prefixes.length <= 3
    ? prefixes.join(', ')
    : `${prefixes.slice(0, 2).join(', ')}, … (${prefixes.length} CIDRs)`;
}
