/**
 * IPAddressPools (docs/behaviour/resources.md, rules P1 to P3).
 * @module
 */
import { type IPAddressPoolSpec, ipAddressPool } from '../api/kinds.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import { type AddressRange, formatPrefix, rangeToPrefixes } from '../net/prefix.ts';
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
  const namespaceSelectors = spec.namespaceSelectors ?? [];
  const serviceSelectors = spec.serviceSelectors ?? [];
  inspection.unique([...path, 'namespaces'], named);
  inspection.selectors([...path, 'namespaceSelectors'], namespaceSelectors);
  inspection.selectors([...path, 'serviceSelectors'], serviceSelectors);
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

/** Rule P2 across pools. */
export function poolClashes(pool: Pool, accepted: readonly Pool[], inspection: Inspection): void {
  for (const other of accepted) {
    const clash = firstOverlap(pool, other);
    if (clash === undefined) continue;
    const [mine, theirs] = clash;
    inspection.report(
      ['spec', 'addresses'],
      showRange(mine),
      `it overlaps ${showRange(theirs)} of IPAddressPool ${other.name}`,
      'leave the shared addresses in one of the two pools',
    );
  }
}

/** Searches in the longer list for each entry of the shorter one. */
function firstOverlap(mine: Pool, theirs: Pool): readonly [AddressRange, AddressRange] | undefined {
  const swapped = mine.ranges.length > theirs.ranges.length;
  const [few, many] = swapped ? [theirs, mine] : [mine, theirs];
  const set = rangeSetOf(many);
  for (const range of few.ranges) {
    const overlapped = set.overlapping(range);
    if (overlapped !== undefined) return swapped ? [overlapped, range] : [range, overlapped];
  }
  return undefined;
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

/** The prefixes that a range splits into, as upstream shows it; a long list is shortened. */
export function showRange(range: AddressRange): string {
  const prefixes = rangeToPrefixes(range).map(formatPrefix);
  return prefixes.length <= 3
    ? prefixes.join(', ')
    : `${prefixes.slice(0, 2).join(', ')}, … (${prefixes.length} CIDRs)`;
}
