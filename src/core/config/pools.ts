/**
 * IPAddressPools (docs/behaviour/resources.md, rules P1 to P3).
 * @module
 */
import { type IPAddressPoolSpec, ipAddressPool } from '../api/kinds.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import { type AddressRange, formatPrefix, rangesOverlap, rangeToPrefixes } from '../net/prefix.ts';
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
  if (spec.addresses.length === 0) {
    inspection.report(path, '[]', 'the pool has no addresses', 'list at least one CIDR or range');
  }
  for (const [i, entry] of spec.addresses.entries()) {
    const parsed = parseAddressEntry(entry);
    if (!parsed.ok) {
      inspection.report([...path, i], entry, parsed.message, parsed.cure);
      continue;
    }
    const twin = ranges.find((range) => rangesOverlap(range, parsed.range));
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
    const clash = firstOverlap(pool.ranges, other.ranges);
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

function firstOverlap(
  a: readonly AddressRange[],
  b: readonly AddressRange[],
): [AddressRange, AddressRange] | undefined {
  for (const mine of a) for (const theirs of b) if (rangesOverlap(mine, theirs)) return [mine, theirs];
  return undefined;
}

/** The prefixes that a range splits into, as upstream shows it; a long list is shortened. */
export function showRange(range: AddressRange): string {
  const prefixes = rangeToPrefixes(range).map(formatPrefix);
  return prefixes.length <= 3
    ? prefixes.join(', ')
    : `${prefixes.slice(0, 2).join(', ')}, … (${prefixes.length} CIDRs)`;
}
