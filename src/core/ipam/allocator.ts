/**
 * Who holds which address. The one class of this room: an allocator has identity and a life.
 * @module
 */
import { anySelectorMatches } from '../api/selector.ts';
import type { Pool } from '../config/config.ts';
import { formatAddress, type IpAddress, type IpFamily } from '../net/address.ts';
import { rangeContains } from '../net/prefix.ts';
import { addressAt, isBuggy, type OrdinalRange, ordinalOf, toOrdinals } from './ordinals.ts';
import type {
  Allocation,
  AllocationDecision,
  AllocationRequest,
  ClaimDecision,
  PoolCheck,
  ServiceKey,
} from './request.ts';
import { TakenRuns } from './taken-runs.ts';

interface PoolState {
  readonly pool: Pool;
  readonly ranges: readonly { readonly ordinals: OrdinalRange; readonly taken: TakenRuns }[];
}

/** Addresses used and free, by family (status of IPAddressPool). */
export interface PoolUsage {
  readonly assignedIPv4: number;
  readonly assignedIPv6: number;
  readonly availableIPv4: number;
  readonly availableIPv6: number;
}

type Candidates = Partial<Record<IpFamily, IpAddress>>;

export class Allocator {
  #pools = new Map<string, PoolState>();
  readonly #allocations = new Map<ServiceKey, Allocation>();
  readonly #holders = new Map<string, ServiceKey>();
  /** Addresses that a Service has given up, but still shows in its status: nobody else may have them yet. */
  readonly #lingering = new Map<ServiceKey, readonly IpAddress[]>();

  /**
   * Takes a new set of pools. Allocations that are still covered stay, under whatever pool covers them now.
   * Returns the Services whose addresses are in no pool any more; they hold nothing afterwards.
   */
  setPools(pools: readonly Pool[]): ServiceKey[] {
    this.#pools = new Map(pools.map((pool) => [pool.name, stateOf(pool)]));
    const lost: ServiceKey[] = [];
    for (const [service, allocation] of [...this.#allocations]) {
      const pool = this.#poolHolding(allocation.addresses);
      this.#forget(service, allocation);
      if (pool === undefined) lost.push(service);
      else this.#remember(service, { pool: pool.pool.name, addresses: allocation.addresses });
    }
    for (const [service, addresses] of this.#lingering) for (const address of addresses) this.#block(service, address);
    return lost;
  }

  /**
   * Says which addresses the Service still shows although it does not hold them. They stay blocked for others until
   * this is called again without them. Returns true when some address became free by this call.
   */
  linger(service: ServiceKey, shown: readonly IpAddress[]): boolean {
    const before = this.#lingering.get(service) ?? [];
    const now = shown.filter((address) => {
      const holder = this.#holders.get(formatAddress(address));
      return !this.#isAllocated(service, address) && (holder === undefined || holder === service);
    });
    const gone = before.filter((old) => !now.some((address) => isSame(old, address)));
    for (const address of gone) this.#unblock(service, address);
    for (const address of now) this.#block(service, address);
    if (now.length === 0) this.#lingering.delete(service);
    else this.#lingering.set(service, now);
    return gone.some((address) => !this.#holders.has(formatAddress(address)));
  }

  #isAllocated(service: ServiceKey, address: IpAddress): boolean {
    return this.#allocations.get(service)?.addresses.some((held) => isSame(held, address)) ?? false;
  }

  #block(service: ServiceKey, address: IpAddress): void {
    this.#holders.set(formatAddress(address), service);
    for (const state of this.#pools.values()) {
      const range = usableRange(state, address);
      range?.taken.add(ordinalOf(range.ordinals, address));
    }
  }

  #unblock(service: ServiceKey, address: IpAddress): void {
    const key = formatAddress(address);
    if (this.#isAllocated(service, address) || this.#holders.get(key) !== service) return;
    this.#holders.delete(key);
    for (const state of this.#pools.values()) {
      const range = usableRange(state, address);
      range?.taken.delete(ordinalOf(range.ordinals, address));
    }
  }

  /** What the Service holds now. */
  allocationOf(service: ServiceKey): Allocation | undefined {
    return this.#allocations.get(service);
  }

  /** Gives the Service exactly these addresses in place of what it held, or says why not and changes nothing. */
  claim(request: AllocationRequest, addresses: readonly IpAddress[]): ClaimDecision {
    for (const address of addresses) {
      const holder = this.#holders.get(formatAddress(address));
      if (holder !== undefined && holder !== request.service)
        return { ok: false, refusal: { kind: 'in-use', address, holder } };
    }
    const pool = this.#poolHolding(addresses);
    if (pool === undefined) return { ok: false, refusal: this.#whyNoPool(addresses) };
    if (!isSelected(pool.pool, request)) return { ok: false, refusal: { kind: 'not-selected', pool: pool.pool.name } };
    const held = this.#allocations.get(request.service);
    if (held !== undefined && held.pool === pool.pool.name && sameAddresses(held.addresses, addresses))
      return { ok: true, allocation: held };
    return { ok: true, allocation: this.#replace(request.service, { pool: pool.pool.name, addresses }) };
  }

  /** Finds the lowest free addresses (behaviour reference §3.4 and §3.6) and gives them to the Service. */
  allocate(request: AllocationRequest): AllocationDecision {
    const checks: PoolCheck[] = [];
    for (const tier of this.#tiers(request, checks)) {
      const chosen = this.#chooseFrom(tier, request, checks);
      if (chosen === undefined) continue;
      checks.push({ pool: chosen.pool, verdict: 'chosen' });
      return { ok: true, allocation: this.#replace(request.service, chosen), checks };
    }
    return { ok: false, checks };
  }

  /** Adds one address of the missing family from the same pool to what the Service holds. */
  extend(service: ServiceKey, family: IpFamily): Allocation | undefined {
    const held = this.#allocations.get(service);
    const state = held && this.#pools.get(held.pool);
    const address = state && candidatesOf(state)[family];
    if (held === undefined || address === undefined) return undefined;
    return this.#replace(service, { pool: held.pool, addresses: inOrder([...held.addresses, address]) });
  }

  /** Takes back what the Service holds. What it still shows is the business of `linger`. */
  release(service: ServiceKey): Allocation | undefined {
    const allocation = this.#allocations.get(service);
    if (allocation !== undefined) this.#forget(service, allocation);
    return allocation;
  }

  /** True when some pool covers the address, free or not. */
  covers(address: IpAddress): boolean {
    return this.#poolHolding([address]) !== undefined;
  }

  /** Counters for the pool's status; numbers that int64 cannot hold are shown as its maximum (upstream's rule for huge prefixes). */
  usage(pool: string): PoolUsage {
    const counts = { ipv4: { taken: 0n, size: 0n }, ipv6: { taken: 0n, size: 0n } };
    for (const { ordinals, taken } of this.#pools.get(pool)?.ranges ?? []) {
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

  /** Pools to try, best tier first: the pool asked for; else pinned pools by priority; else unpinned ones by name. */
  #tiers(request: AllocationRequest, checks: PoolCheck[]): PoolState[][] {
    if (request.pool !== undefined) {
      const state = this.#pools.get(request.pool);
      if (state === undefined) checks.push({ pool: request.pool, verdict: 'no-such-pool' });
      else if (!isSelected(state.pool, request)) checks.push({ pool: request.pool, verdict: 'not-selected' });
      else return [[state]];
      return [];
    }
    const pinned: PoolState[] = [];
    const open: PoolState[] = [];
    for (const state of this.#pools.values()) {
      const { pool } = state;
      if (!pool.autoAssign) checks.push({ pool: pool.name, verdict: 'auto-assign-off' });
      else if (!isSelected(pool, request)) checks.push({ pool: pool.name, verdict: 'not-selected' });
      else (pool.allocation === undefined ? open : pinned).push(state);
    }
    const rank = ({ pool }: PoolState) => pool.allocation?.priority || Number.POSITIVE_INFINITY;
    pinned.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
    return [pinned, open];
  }

  #chooseFrom(tier: readonly PoolState[], request: AllocationRequest, checks: PoolCheck[]): Allocation | undefined {
    const [primary, secondary] = request.families;
    const offers = tier.map((state) => ({ state, candidates: candidatesOf(state) }));
    const pick = (families: readonly IpFamily[]): Allocation | undefined => {
      const offer = offers.find(({ candidates }) => families.every((family) => candidates[family] !== undefined));
      if (offer === undefined) return undefined;
      return { pool: offer.state.pool.name, addresses: inOrder(families.map((family) => offer.candidates[family]!)) };
    };
    const wanted: IpFamily[][] = secondary === undefined ? [[primary!]] : [[primary!, secondary]];
    if (secondary !== undefined && !request.requireBoth) wanted.push([primary!], [secondary]);
    for (const families of wanted) {
      const chosen = pick(families);
      if (chosen !== undefined) return chosen;
    }
    for (const { state } of offers) {
      const missing = request.families.some(
        (family) => !state.ranges.some(({ ordinals }) => ordinals.range.family === family),
      );
      checks.push({ pool: state.pool.name, verdict: missing ? 'wrong-family' : 'exhausted' });
    }
    return undefined;
  }

  #poolHolding(addresses: readonly IpAddress[]): PoolState | undefined {
    for (const state of this.#pools.values()) {
      if (addresses.every((address) => usableRange(state, address) !== undefined)) return state;
    }
    return undefined;
  }

  #whyNoPool(addresses: readonly IpAddress[]) {
    for (const address of addresses) {
      if (this.#poolHolding([address]) !== undefined) continue;
      for (const { pool } of this.#pools.values()) {
        if (isBuggy(address.value) && pool.ranges.some((range) => rangeContains(range, address))) {
          return { kind: 'buggy', address, pool: pool.name } as const;
        }
      }
      return { kind: 'not-in-a-pool', address } as const;
    }
    return { kind: 'not-in-a-pool', address: addresses[0]! } as const;
  }

  #replace(service: ServiceKey, allocation: Allocation): Allocation {
    const old = this.#allocations.get(service);
    if (old !== undefined) this.#forget(service, old);
    this.#remember(service, allocation);
    return allocation;
  }

  #remember(service: ServiceKey, allocation: Allocation): void {
    const state = this.#pools.get(allocation.pool)!;
    this.#allocations.set(service, allocation);
    for (const address of allocation.addresses) {
      this.#holders.set(formatAddress(address), service);
      const range = usableRange(state, address);
      range?.taken.add(ordinalOf(range.ordinals, address));
    }
  }

  #forget(service: ServiceKey, allocation: Allocation): void {
    this.#allocations.delete(service);
    const state = this.#pools.get(allocation.pool);
    for (const address of allocation.addresses) {
      this.#holders.delete(formatAddress(address));
      const range = state && usableRange(state, address);
      range?.taken.delete(ordinalOf(range.ordinals, address));
    }
  }
}

/** Behaviour reference §3.5, with one difference: a pool whose namespace selectors match nothing is open to nobody. */
function isSelected(pool: Pool, request: AllocationRequest): boolean {
  const { allocation } = pool;
  if (allocation === undefined) return true;
  if (allocation.limitsNamespaces && !allocation.namespaces.has(request.namespace)) return false;
  return anySelectorMatches(allocation.serviceSelectors, request.labels);
}

function stateOf(pool: Pool): PoolState {
  const ranges = pool.ranges.map((range) => ({
    ordinals: toOrdinals(range, pool.avoidBuggyIPs),
    taken: new TakenRuns(),
  }));
  return { pool, ranges: ranges.filter(({ ordinals }) => ordinals.first <= ordinals.last) };
}

function candidatesOf(state: PoolState): Candidates {
  const found: Candidates = {};
  for (const { ordinals, taken } of state.ranges) {
    const { family } = ordinals.range;
    if (found[family] !== undefined) continue;
    const free = taken.lowestFree(ordinals.first, ordinals.last);
    if (free !== undefined) found[family] = addressAt(ordinals, free);
  }
  return found;
}

function usableRange(state: PoolState, address: IpAddress) {
  return state.ranges.find(
    ({ ordinals }) => rangeContains(ordinals.range, address) && !(ordinals.sparse && isBuggy(address.value)),
  );
}

function isSame(a: IpAddress, b: IpAddress): boolean {
  return a.value === b.value && a.family === b.family;
}

function sameAddresses(a: readonly IpAddress[], b: readonly IpAddress[]): boolean {
  return a.length === b.length && a.every((address, i) => isSame(address, b[i]!));
}

function inOrder(addresses: readonly IpAddress[]): IpAddress[] {
  return [...addresses].sort((a, b) => (a.family === b.family ? 0 : a.family === 'ipv4' ? -1 : 1));
}

/** The largest number that is both a double and an int64: 2^63 itself would be refused by the API server. */
const MAX_INT64 = (1n << 63n) - 1024n;

function toInt64(value: bigint): number {
  return Number(value > MAX_INT64 ? MAX_INT64 : value);
}
