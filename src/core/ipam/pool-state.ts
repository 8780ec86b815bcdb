/**
 * One pool with what is taken of it.
 * @module
 */
import { anySelectorMatches } from '../api/selector.ts';
import type { Pool } from '../config/config.ts';
import type { IpAddress, IpFamily } from '../net/address.ts';
import { type AddressRange, rangeContains } from '../net/prefix.ts';
import { RangeSet } from '../net/range-set.ts';
import { addressAt, hasOrdinal, isBuggy, type OrdinalRange, ordinalOf, toOrdinals } from './ordinals.ts';
import type { AllocationRequest } from './request.ts';
import { TakenRuns } from './taken-runs.ts';

interface TakenRange {
  readonly ordinals: OrdinalRange;
  readonly taken: TakenRuns;
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
  /** In the order of the pool. */
  readonly #ranges: readonly TakenRange[];
  readonly #byRange: ReadonlyMap<AddressRange, TakenRange>;
  readonly #sorted: RangeSet;

  constructor(pool: Pool) {
    this.pool = pool;
    const ranges = pool.ranges.map((range) => ({
      ordinals: toOrdinals(range, pool.avoidBuggyIPs),
      taken: new TakenRuns(),
    }));
    this.#ranges = ranges.filter(({ ordinals }) => ordinals.first <= ordinals.last);
    this.#byRange = new Map(this.#ranges.map((each) => [each.ordinals.range, each]));
    this.#sorted = RangeSet.of([...this.#byRange.keys()]);
  }

  /** True when the pool lists addresses of the family, even if it avoids all of them. */
  lists(family: IpFamily): boolean {
    return this.pool.ranges.some((range) => range.family === family);
  }

  /** True when the pool has usable addresses of the family, free or not. */
  hasFamily(family: IpFamily): boolean {
    return this.#ranges.some(({ ordinals }) => ordinals.range.family === family);
  }

  /** True when the address is of this pool and may be used. */
  covers(address: IpAddress): boolean {
    return this.#rangeOf(address) !== undefined;
  }

  /** True when the address is of this pool, but avoidBuggyIPs forbids it. */
  avoids(address: IpAddress): boolean {
    return (
      this.pool.avoidBuggyIPs &&
      isBuggy(address.value) &&
      this.pool.ranges.some((range) => rangeContains(range, address))
    );
  }

  take(address: IpAddress): void {
    const range = this.#rangeOf(address);
    range?.taken.add(ordinalOf(range.ordinals, address));
  }

  free(address: IpAddress): void {
    const range = this.#rangeOf(address);
    range?.taken.delete(ordinalOf(range.ordinals, address));
  }

  /** The first address of the family that is free, or is one of `alsoUsable`, in the order of the pool. */
  first(family: IpFamily, alsoUsable: readonly IpAddress[]): IpAddress | undefined {
    for (const { ordinals, taken } of this.#ranges) {
      if (ordinals.range.family !== family) continue;
      let lowest = taken.lowestFree(ordinals.first, ordinals.last);
      for (const address of alsoUsable) {
        // One that is avoided may still be shown by whoever had it before the pool said so.
        if (!hasOrdinal(ordinals, address)) continue;
        const ordinal = ordinalOf(ordinals, address);
        if (lowest === undefined || ordinal < lowest) lowest = ordinal;
      }
      if (lowest !== undefined) return addressAt(ordinals, lowest);
    }
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
    for (const { ordinals, taken } of this.#ranges) {
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
