/**
 * One pool with what is taken of it.
 * @module
 */
import { anySelectorMatches } from '../api/selector.ts';
import type { Pool } from '../config/config.ts';
import { narrowestOf, rangeSetOf } from '../config/pools.ts';
import type { IpAddress, IpFamily } from '../net/address.ts';
import type { AddressRange } from '../net/prefix.ts';
import { RangeSet } from '../net/range-set.ts';
import { addressAt, hasOrdinal, isBuggy, type OrdinalRange, ordinalOf, toOrdinals } from './ordinals.ts';
import type { AllocationRequest } from './request.ts';
import { TakenRuns } from './taken-runs.ts';

interface TakenRange {
  readonly ordinals: OrdinalRange;
  readonly taken: TakenRuns;
  /** Its place among those of its family. */
  readonly index: number;
}

/** An address of a pool, by its place in the order of the pool. */
interface Place {
  readonly range: TakenRange;
  readonly ordinal: bigint;
}

function isBefore(a: Place, b: Place): boolean {
  return a.range.index === b.range.index ? a.ordinal < b.ordinal : a.range.index < b.range.index;
}

/** Addresses used and free, by family (status of IPAddressPool). */
export interface PoolUsage {
  readonly assignedIPv4: number;
  readonly assignedIPv6: number;
  readonly availableIPv4: number;
  readonly availableIPv6: number;
}

export class PoolState {
  readonly pool: Pool;
  /** By family, in the order of the pool. */
  readonly #ranges: Readonly<Record<IpFamily, readonly TakenRange[]>>;
  /** Of each family the first range that may have a free address: all before it are full. */
  readonly #firstOpen: Record<IpFamily, number> = { ipv4: 0, ipv6: 0 };
  readonly #byRange: ReadonlyMap<AddressRange, TakenRange>;
  readonly #sorted: RangeSet;

  constructor(pool: Pool) {
    this.pool = pool;
    const usable = (family: IpFamily) =>
      pool.ranges
        .filter((range) => range.family === family)
        .map((range) => toOrdinals(range, pool.avoidBuggyIPs))
        .filter(({ first, last }) => first <= last)
        .map((ordinals, index): TakenRange => ({ ordinals, taken: new TakenRuns(), index }));
    this.#ranges = { ipv4: usable('ipv4'), ipv6: usable('ipv6') };
    const all = [...this.#ranges.ipv4, ...this.#ranges.ipv6];
    this.#byRange = new Map(all.map((each) => [each.ordinals.range, each]));
    this.#sorted = RangeSet.of([...this.#byRange.keys()]);
  }

  /** True when the pool lists addresses of the family, even if it avoids all of them. */
  lists(family: IpFamily): boolean {
    return narrowestOf(this.pool)[family] !== undefined;
  }

  /** True when the pool has usable addresses of the family, free or not. */
  hasFamily(family: IpFamily): boolean {
    return this.#ranges[family].length > 0;
  }

  /** True when the address is of this pool and may be used. */
  covers(address: IpAddress): boolean {
    return this.#rangeOf(address) !== undefined;
  }

  /** True when the address is of this pool, but avoidBuggyIPs forbids it. */
  avoids(address: IpAddress): boolean {
    return this.pool.avoidBuggyIPs && isBuggy(address.value) && rangeSetOf(this.pool).containing(address) !== undefined;
  }

  take(address: IpAddress): void {
    const range = this.#rangeOf(address);
    range?.taken.add(ordinalOf(range.ordinals, address));
  }

  free(address: IpAddress): void {
    const range = this.#rangeOf(address);
    if (range === undefined) return;
    range.taken.delete(ordinalOf(range.ordinals, address));
    this.#firstOpen[address.family] = Math.min(this.#firstOpen[address.family], range.index);
  }

  /** The first address of the family that is free, or is one of `alsoUsable`, in the order of the pool. */
  first(family: IpFamily, alsoUsable: readonly IpAddress[]): IpAddress | undefined {
    let best = this.#firstFree(family);
    for (const address of alsoUsable) {
      // One that is avoided may still be shown by whoever had it before the pool said so.
      const range = address.family === family ? this.#rangeOf(address) : undefined;
      if (range === undefined) continue;
      const place = { range, ordinal: ordinalOf(range.ordinals, address) };
      if (best === undefined || isBefore(place, best)) best = place;
    }
    return best && addressAt(best.range.ordinals, best.ordinal);
  }

  #firstFree(family: IpFamily): Place | undefined {
    const ranges = this.#ranges[family];
    for (let i = this.#firstOpen[family]; i < ranges.length; i++) {
      const range = ranges[i]!;
      const ordinal = range.taken.lowestFree(range.ordinals.first, range.ordinals.last);
      this.#firstOpen[family] = i;
      if (ordinal !== undefined) return { range, ordinal };
    }
    this.#firstOpen[family] = ranges.length;
    return undefined;
  }

  /** See docs/behaviour/allocation.md#which-pools-a-service-may-use; unlike upstream a pool whose namespace selectors match nothing is open to nobody. */
  isOpenTo(request: AllocationRequest): boolean {
    const { allocation } = this.pool;
    if (allocation === undefined) return true;
    if (allocation.limitsNamespaces && !allocation.namespaces.has(request.namespace)) return false;
    return anySelectorMatches(allocation.serviceSelectors, request.labels);
  }

  /** Counters for the pool's status; numbers that int64 cannot hold are shown as its maximum (upstream's rule for huge prefixes). */
  usage(): PoolUsage {
    const counts = { ipv4: { taken: 0n, size: 0n }, ipv6: { taken: 0n, size: 0n } };
    for (const { ordinals, taken } of this.#byRange.values()) {
      const count = counts[ordinals.range.family];
      count.taken += BigInt(taken.size);
      count.size += ordinals.last - ordinals.first + 1n;
    }
    return {
      assignedIPv4: toInt64(counts.ipv4.taken),
      assignedIPv6: toInt64(counts.ipv6.taken),
      availableIPv4: toInt64(counts.ipv4.size - counts.ipv4.taken),
      availableIPv6: toInt64(counts.ipv6.size - counts.ipv6.taken),
    };
  }

  #rangeOf(address: IpAddress): TakenRange | undefined {
    const range = this.#sorted.containing(address);
    const found = range && this.#byRange.get(range);
    return found !== undefined && hasOrdinal(found.ordinals, address) ? found : undefined;
  }
}

/** The largest number that is both a double and an int64: 2^63 itself would be refused by the API server. */
const MAX_INT64 = (1n << 63n) - 1024n;

function toInt64(value: bigint): number {
  return Number(value > MAX_INT64 ? MAX_INT64 : value);
}
