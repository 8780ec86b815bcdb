/**
 * Custom resources in, one Config out, with every problem of every object. A bad object never takes a good one down:
 * it is set aside, or, when it was good before, its last good version stays in force, and its problem says which.
 * @module
 */
import { referenceTo, validateObject } from '../api/kind.ts';
import { type IPAddressPoolSpec, ipAddressPool, type L2AdvertisementSpec, l2Advertisement } from '../api/kinds.ts';
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { fieldPath, type ObjectReference, type Problem } from '../api/problem.ts';
import { anySelectorMatches, canonicalSelector, type Labels, selectorFaults } from '../api/selector.ts';
import { type AddressRange, formatPrefix, rangesOverlap, rangeToPrefixes } from '../net/prefix.ts';
import { parseAddressEntry } from './address-entry.ts';
import { type Config, EMPTY_CONFIG, type L2Advertisement, type Pool, type PoolAllocation } from './config.ts';

/** Everything that the configuration is made of, as the API server holds it. */
export interface ConfigObjects {
  readonly pools: readonly KubernetesObject[];
  readonly l2Advertisements: readonly KubernetesObject[];
  readonly namespaces: readonly KubernetesObject[];
}

export interface Resolved {
  readonly config: Config;
  readonly problems: readonly Problem[];
}

/** Resolves the whole configuration. `previous` is the configuration in force until now. */
export function resolveConfig(objects: ConfigObjects, previous: Config = EMPTY_CONFIG): Resolved {
  const problems: Problem[] = [];
  const pools = resolvePools(objects, previous, problems);
  const l2Advertisements = resolveL2Advertisements(objects.l2Advertisements, pools, previous, problems);
  return { config: { pools, l2Advertisements }, problems };
}

/** The part of a parse that knows which object it is about and collects what is wrong with it. */
class Inspection {
  readonly problems: Problem[] = [];
  readonly object: ObjectReference;

  constructor(object: ObjectReference) {
    this.object = object;
  }

  report(path: readonly PropertyKey[], value: string, message: string, cure: string): void {
    this.problems.push({ object: this.object, field: fieldPath(path), value, message, cure });
  }

  /** Upstream's generic rule: no text twice in a list. */
  unique(path: readonly PropertyKey[], values: readonly string[]): void {
    for (const [i, value] of values.entries()) {
      if (values.indexOf(value) < i) this.report([...path, i], value, 'this is listed twice', 'list it once');
    }
  }

  /** Upstream's generic rules for a list of selectors. */
  selectors(path: readonly PropertyKey[], selectors: readonly LabelSelector[]): void {
    const seen = new Set<string>();
    for (const [i, selector] of selectors.entries()) {
      for (const fault of selectorFaults(selector)) {
        this.report([...path, i, ...fault.path], fault.value, fault.message, fault.cure);
      }
      const text = canonicalSelector(selector);
      if (seen.has(text)) this.report([...path, i], text, 'this selector is listed twice', 'list it once');
      seen.add(text);
    }
  }
}

/** Oldest first, then by name: what was there first keeps its place when two objects exclude each other. */
function byAge(a: KubernetesObject, b: KubernetesObject): number {
  const [ageA, ageB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return compareText(ageA, ageB) || compareText(a.metadata.name, b.metadata.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function resolvePools(objects: ConfigObjects, previous: Config, problems: Problem[]): Pool[] {
  const accepted: Pool[] = [];
  for (const object of [...objects.pools].sort(byAge)) {
    const parsed = parsePool(object, objects.namespaces);
    const found = parsed.pool === undefined ? parsed.problems : clashes(parsed.pool, parsed.inspection, accepted);
    if (parsed.pool !== undefined && found.length === 0) {
      accepted.push(parsed.pool);
      continue;
    }
    const last = accepted.some(({ name }) => name === object.metadata.name)
      ? undefined
      : previous.pools.find((pool) => pool.name === object.metadata.name);
    const keep = last !== undefined && !accepted.some((other) => firstOverlap(last.ranges, other.ranges) !== undefined);
    if (keep) accepted.push(last);
    problems.push(...found.map((problem) => withConsequence(problem, keep)));
  }
  return accepted.sort((a, b) => compareText(a.name, b.name));
}

function withConsequence(problem: Problem, keep: boolean): Problem {
  const consequence = keep ? 'until then the last good version stays in force' : 'until then the object is set aside';
  return { ...problem, consequence };
}

type ParsedPool = { readonly pool?: Pool; readonly inspection: Inspection; readonly problems: readonly Problem[] };

function parsePool(object: KubernetesObject, namespaces: readonly KubernetesObject[]): ParsedPool {
  const inspection = new Inspection(referenceTo('IPAddressPool', object));
  const validated = validateObject('IPAddressPool', ipAddressPool, object);
  if (!validated.ok) return { inspection, problems: validated.problems };
  const { spec } = validated.value;
  const ranges = parseRanges(spec, inspection);
  const allocation = spec.serviceAllocation && parseAllocation(spec.serviceAllocation, namespaces, inspection);
  if (inspection.problems.length > 0) return { inspection, problems: inspection.problems };
  const pool: Pool = {
    name: object.metadata.name,
    labels: object.metadata.labels ?? {},
    ranges,
    autoAssign: spec.autoAssign ?? true,
    avoidBuggyIPs: spec.avoidBuggyIPs ?? false,
    ...(allocation !== undefined && { allocation }),
  };
  return { pool, inspection, problems: [] };
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

function clashes(pool: Pool, inspection: Inspection, accepted: readonly Pool[]): readonly Problem[] {
  if (accepted.some(({ name }) => name === pool.name)) {
    inspection.report(
      ['metadata', 'name'],
      pool.name,
      'there is an older IPAddressPool of this name in another namespace',
      'use another name',
    );
  }
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
  return inspection.problems;
}

function firstOverlap(
  a: readonly AddressRange[],
  b: readonly AddressRange[],
): [AddressRange, AddressRange] | undefined {
  for (const mine of a) for (const theirs of b) if (rangesOverlap(mine, theirs)) return [mine, theirs];
  return undefined;
}

/** A range as its prefixes, which is how upstream's users know it; long lists are cut. */
function showRange(range: AddressRange): string {
  const prefixes = rangeToPrefixes(range).map(formatPrefix);
  return prefixes.length <= 3
    ? prefixes.join(', ')
    : `${prefixes.slice(0, 2).join(', ')}, … (${prefixes.length} CIDRs)`;
}

function resolveL2Advertisements(
  objects: readonly KubernetesObject[],
  pools: readonly Pool[],
  previous: Config,
  problems: Problem[],
): L2Advertisement[] {
  const accepted: L2Advertisement[] = [];
  for (const object of [...objects].sort((a, b) => compareText(a.metadata.name, b.metadata.name))) {
    const parsed = parseL2Advertisement(object, pools);
    if (Array.isArray(parsed)) {
      const last = previous.l2Advertisements.find((advertisement) => advertisement.name === object.metadata.name);
      if (last !== undefined) accepted.push(last);
      problems.push(...parsed.map((problem) => withConsequence(problem, last !== undefined)));
    } else {
      accepted.push(parsed as L2Advertisement);
    }
  }
  return accepted;
}

function parseL2Advertisement(object: KubernetesObject, pools: readonly Pool[]): L2Advertisement | Problem[] {
  const validated = validateObject('L2Advertisement', l2Advertisement, object);
  if (!validated.ok) return [...validated.problems];
  const spec: L2AdvertisementSpec = validated.value.spec ?? {};
  const inspection = new Inspection(referenceTo('L2Advertisement', object));
  const { ipAddressPools = [], ipAddressPoolSelectors = [], nodeSelectors = [], serviceSelectors = [] } = spec;
  const preferred = spec.preferredNodeSelectors ?? [];
  inspection.unique(['spec', 'ipAddressPools'], ipAddressPools);
  inspection.selectors(['spec', 'ipAddressPoolSelectors'], ipAddressPoolSelectors);
  inspection.selectors(['spec', 'nodeSelectors'], nodeSelectors);
  inspection.selectors(['spec', 'serviceSelectors'], serviceSelectors);
  for (const [i, { preference }] of preferred.entries()) {
    for (const fault of selectorFaults(preference)) {
      inspection.report(
        ['spec', 'preferredNodeSelectors', i, 'preference', ...fault.path],
        fault.value,
        fault.message,
        fault.cure,
      );
    }
  }
  if (inspection.problems.length > 0) return inspection.problems;
  return {
    name: object.metadata.name,
    pools: coveredPools(ipAddressPools, ipAddressPoolSelectors, pools),
    nodeSelectors,
    serviceSelectors,
    interfaces: [...new Set(spec.interfaces ?? [])].sort(),
    preferences: preferred.map(({ weight, preference }) => ({ weight, selector: preference })),
  };
}

/** Both fields empty: all pools. Otherwise the union of both (behaviour reference §1.3). */
function coveredPools(
  names: readonly string[],
  selectors: readonly LabelSelector[],
  pools: readonly Pool[],
): Set<string> {
  const everything = names.length === 0 && selectors.length === 0;
  const covers = (name: string, labels: Labels) =>
    everything || names.includes(name) || (selectors.length > 0 && anySelectorMatches(selectors, labels));
  return new Set(pools.filter((pool) => covers(pool.name, pool.labels)).map((pool) => pool.name));
}
