/**
 * Who holds which address. The only class here with state: pools change, Services come and go.
 * @module
 */
import type { Pool } from '../config/config.ts';
import { PoolIndex } from '../config/pools.ts';
import { type IpAddress, type IpFamily, includesAddress } from '../net/address.ts';
import { equal } from '../net/equal.ts';
import { PoolState, type PoolUsage } from './pool-state.ts';
import type {
  AddressUse,
  Allocation,
  AllocationDecision,
  AllocationRequest,
  ClaimDecision,
  ClaimRefusal,
  PoolCheck,
  ServiceKey,
  ShareFault,
} from './request.ts';
import { type SharingRules, Uses } from './uses.ts';

const FAMILIES: readonly IpFamily[] = ['ipv4', 'ipv6'];

type Chosen = Allocation & { readonly pool: string };

const NO_USAGE: PoolUsage = { assignedIPv4: 0, assignedIPv6: 0, availableIPv4: 0, availableIPv6: 0 };

export class Allocator {
  #pools = new Map<string, PoolState>();
  #index = new PoolIndex();
  readonly #allocations = new Map<ServiceKey, Allocation>();
  readonly #uses: Uses;
  /** Addresses that a Service has given up, but still shows in its status: nobody else may have them yet. */
  readonly #lingering = new Map<ServiceKey, readonly IpAddress[]>();
  #releases = 0;

  constructor(rules: SharingRules = {}) {
    this.#uses = new Uses(rules);
  }

  /** Incremented whenever something becomes free that others may want. */
  get releases(): number {
    return this.#releases;
  }

  /**
   * Takes a new set of pools. Nobody loses an address by that: what a Service holds it holds until somebody decides about it, and
   * meanwhile nobody else can have it.
   */
  setPools(pools: readonly Pool[]): void {
    this.#pools = new Map(pools.map((pool) => [pool.name, new PoolState(pool)]));
    this.#index = PoolIndex.of(pools);
    this.#releases++;
    for (const address of this.#uses.addresses()) this.#take(address);
    for (const [service, { pool: old, addresses }] of this.#allocations) {
      const pool = this.#poolHolding(addresses)?.pool.name ?? old;
      if (pool !== old) this.#allocations.set(service, { pool, addresses });
    }
  }

  /** What the Service holds now. */
  allocationOf(service: ServiceKey): Allocation | undefined {
    return this.#allocations.get(service);
  }

  /**
   * Says which addresses the Service still shows although it does not hold them. They stay blocked for others, as far as
   * its use of them does, until this is called again without them.
   */
  linger(service: ServiceKey, shown: readonly IpAddress[], use: AddressUse): void {
    const before = this.#lingering.get(service) ?? [];
    const now = shown.filter(
      (address) =>
        !this.#isAllocated(service, address) &&
        (this.#uses.of(service, address) !== undefined || this.#uses.fault(service, address, use) === undefined),
    );
    if (now.length === 0) this.#lingering.delete(service);
    else this.#lingering.set(service, now);
    for (const address of before)
      if (!includesAddress(now, address) && !this.#isAllocated(service, address)) this.#drop(service, address);
    for (const address of now) {
      this.#uses.add(service, address, this.#uses.of(service, address) ?? use);
      this.#take(address);
    }
  }

  /** Why the Service could not have all of these addresses together, whether it has them now or not; undefined: it could. */
  refusal(request: AllocationRequest, addresses: readonly IpAddress[]): ClaimRefusal | undefined {
    const state = this.#poolHolding(addresses);
    if (state === undefined) return this.#whyNoPool(addresses);
    const pool = state.pool.name;
    if (request.pool !== undefined && request.pool !== pool) return { kind: 'other-pool', pool, asked: request.pool };
    if (!state.isOpenTo(request)) return { kind: 'not-selected', pool };
    return this.clash(request, addresses);
  }

  /** Who else has one of these addresses in a way that the Service cannot have it, too; undefined: nobody. What pools say is not asked. */
  clash({ service, use }: AllocationRequest, addresses: readonly IpAddress[]): ShareFault | undefined {
    return addresses.map((address) => this.#uses.fault(service, address, use)).find((fault) => fault !== undefined);
  }

  /** Gives the Service exactly these addresses in place of what it held, or says why not and changes nothing. */
  claim(request: AllocationRequest, addresses: readonly IpAddress[]): ClaimDecision {
    const refusal = this.refusal(request, addresses);
    if (refusal !== undefined) return { ok: false, refusal };
    const pool = this.#poolHolding(addresses)!.pool.name;
    return { ok: true, allocation: this.#hold(request, { pool, addresses: inOrder(addresses) }) };
  }

  /**
   * The Service holds exactly these addresses, whatever pools say: it keeps them for now, and nobody else can have them. They must not
   * clash with what others hold. `pool`: the one that they are from, if that is known.
   */
  retain(request: AllocationRequest, addresses: readonly IpAddress[], pool: string | undefined): void {
    const known = pool ?? this.#allocations.get(request.service)?.pool;
    this.#hold(request, { pool: known, addresses: inOrder(addresses) });
  }

  /** Finds the lowest usable addresses (docs/behaviour/allocation.md#which-address) and gives them to the Service. */
  allocate(request: AllocationRequest): AllocationDecision {
    const checks: PoolCheck[] = [];
    for (const tier of this.#tiers(request, checks)) {
      const chosen = this.#chooseFrom(tier, request, checks);
      if (chosen === undefined) continue;
      checks.push({ pool: chosen.pool, verdict: 'chosen' });
      return { ok: true, allocation: this.#hold(request, chosen), checks };
    }
    return { ok: false, checks };
  }

  /** Adds one address of the missing family from the same pool to what the Service holds, or says why that pool has none for it. */
  extend(request: AllocationRequest, family: IpFamily): AllocationDecision {
    const { pool, addresses } = this.#allocations.get(request.service)!;
    const state = this.#pools.get(pool!)!;
    const address = this.#pick(state, request, family, this.#shareable(request));
    if (address === undefined) return { ok: false, checks: [this.#whyNot(state, request, [family])] };
    return {
      ok: true,
      allocation: this.#hold(request, { pool, addresses: inOrder([...addresses, address]) }),
      checks: [],
    };
  }

  /** True when the pool of this address has one of the family for the Service too. */
  hasCompany(request: AllocationRequest, address: IpAddress, family: IpFamily): boolean {
    const state = this.#poolHolding([address]);
    return state !== undefined && this.#pick(state, request, family, this.#shareable(request)) !== undefined;
  }

  /** Takes back what the Service holds. What it still shows is the business of `linger`. */
  release(service: ServiceKey): void {
    const allocation = this.#allocations.get(service);
    if (allocation === undefined) return;
    this.#allocations.delete(service);
    for (const address of allocation.addresses) this.#drop(service, address);
  }

  /** True when the pool is in force. */
  has(pool: string): boolean {
    return this.#pools.has(pool);
  }

  /** Every pool with what it could do for the Service, those first that would be asked first; changes nothing. */
  examine(request: AllocationRequest): PoolCheck[] {
    const held = this.#allocations.get(request.service)?.pool;
    let isServed = held !== undefined;
    return [...this.#pools.values()].sort(byRank).map((state): PoolCheck => {
      const pool = state.pool.name;
      if (pool === held) return { pool, verdict: 'chosen' };
      const check = this.#examineOne(state, request);
      if (check.verdict !== 'usable') return check;
      const verdict = isServed && held === undefined ? 'outranked' : 'usable';
      isServed = true;
      return { pool, verdict };
    });
  }

  #examineOne(state: PoolState, request: AllocationRequest): PoolCheck {
    const pool = state.pool.name;
    const { wished = [], pool: asked } = request;
    if (asked !== undefined && asked !== pool) return { pool, verdict: 'not-asked-for' };
    if (!state.isOpenTo(request)) return { pool, verdict: 'not-selected' };
    if (wished.length > 0) {
      const missing = wished.find((address) => !state.covers(address));
      if (missing !== undefined)
        return { pool, verdict: state.avoids(missing) ? 'avoids' : 'outside', address: missing };
      const clash = this.clash(request, wished);
      return clash === undefined
        ? { pool, verdict: 'usable' }
        : { pool, verdict: clash.kind, clash, address: clash.address };
    }
    if (!state.pool.autoAssign && asked !== pool) return { pool, verdict: 'auto-assign-off' };
    const shareable = this.#shareable(request);
    const lacking = request.families.filter((family) => this.#pick(state, request, family, shareable) === undefined);
    const usable = lacking.length === 0 || (lacking.length < request.families.length && !request.requireBoth);
    return usable ? { pool, verdict: 'usable' } : this.#whyNot(state, request);
  }

  /** Counters for the pool's status. */
  usage(pool: string): PoolUsage {
    return this.#pools.get(pool)?.usage() ?? NO_USAGE;
  }

  /** Pools to try, best tier first: the pool asked for; else pinned pools by priority; else unpinned ones by name. */
  #tiers(request: AllocationRequest, checks: PoolCheck[]): PoolState[][] {
    if (request.pool !== undefined) {
      const state = this.#pools.get(request.pool);
      if (state === undefined) checks.push({ pool: request.pool, verdict: 'no-such-pool' });
      else if (!state.isOpenTo(request)) checks.push({ pool: request.pool, verdict: 'not-selected' });
      else return [[state]];
      return [];
    }
    const pinned: PoolState[] = [];
    const open: PoolState[] = [];
    for (const state of this.#pools.values()) {
      const { pool } = state;
      if (!pool.autoAssign) checks.push({ pool: pool.name, verdict: 'auto-assign-off' });
      else if (!state.isOpenTo(request)) checks.push({ pool: pool.name, verdict: 'not-selected' });
      else (pool.allocation === undefined ? open : pinned).push(state);
    }
    return [pinned.sort(byRank), open];
  }

  #chooseFrom(tier: readonly PoolState[], request: AllocationRequest, checks: PoolCheck[]): Chosen | undefined {
    const [primary, secondary] = request.families as [IpFamily, IpFamily?];
    const shareable = this.#shareable(request);
    const pick = (families: readonly IpFamily[]): Chosen | undefined => {
      for (const state of tier) {
        const addresses = families.map((family) => this.#pick(state, request, family, shareable));
        if (!addresses.includes(undefined))
          return { pool: state.pool.name, addresses: inOrder(addresses as IpAddress[]) };
      }
      return undefined;
    };
    const wanted: IpFamily[][] = secondary === undefined ? [[primary]] : [[primary, secondary]];
    if (secondary !== undefined && !request.requireBoth) wanted.push([primary], [secondary]);
    for (const families of wanted) {
      const chosen = pick(families);
      if (chosen !== undefined) return chosen;
    }
    for (const state of tier) checks.push(this.#whyNot(state, request));
    return undefined;
  }

  /** Addresses in use that this request may share. */
  #shareable(request: AllocationRequest): IpAddress[] {
    const shared = this.#uses.sharedUnder(request.use.sharingKey);
    return shared.filter((address) => this.#uses.fault(request.service, address, request.use) === undefined);
  }

  /** One address of the family that the pool has for this Service: one that it still shows before any other, then the first. */
  #pick(
    state: PoolState,
    { service, use }: AllocationRequest,
    family: IpFamily,
    shareable: readonly IpAddress[],
  ): IpAddress | undefined {
    const shown = this.#lingering.get(service) ?? [];
    const isUsable = (address: IpAddress) =>
      address.family === family && state.covers(address) && this.#uses.fault(service, address, use) === undefined;
    return shown.find(isUsable) ?? state.first(family, shareable);
  }

  /** The cause that has to go first: of what is needed the hardest to get, of what would do the easiest. */
  #whyNot(state: PoolState, request: AllocationRequest, families = request.families): PoolCheck {
    const pool = state.pool.name;
    const { service, requireBoth, use } = request;
    const shareable = this.#shareable(request);
    const failing = families.filter((family) => this.#pick(state, request, family, shareable) === undefined);
    const unlisted = failing.filter((family) => !state.lists(family));
    const avoided = failing.filter((family) => state.lists(family) && !state.hasFamily(family));
    const taken = failing.filter((family) => state.hasFamily(family));
    const causes: PoolCheck[] = [];
    const verdict = requireBoth && request.families.length > unlisted.length ? 'one-family-only' : 'wrong-family';
    if (unlisted.length > 0) causes.push({ pool, verdict, families: unlisted });
    if (avoided.length > 0) causes.push({ pool, verdict: 'only-avoided', families: avoided });
    if (taken.length > 0) causes.push(this.#whyTaken(state, taken, service, use));
    return (requireBoth ? causes[0] : causes.at(-1))!;
  }

  #whyTaken(state: PoolState, families: readonly IpFamily[], service: ServiceKey, use: AddressUse): PoolCheck {
    const pool = state.pool.name;
    const isTaken = (address: IpAddress) => families.includes(address.family) && state.covers(address);
    const shared = this.#uses.sharedUnder(use.sharingKey).filter(isTaken);
    // What is not for this Service in any case is no address that it lacks.
    const clash = shared
      .map((address) => this.#uses.fault(service, address, use))
      .find((fault) => fault !== undefined && fault.kind !== 'other-namespace');
    if (clash !== undefined) return { pool, verdict: clash.kind, clash };
    const leaving = this.#uses.leaving().filter(isTaken).length;
    const hasOthers = FAMILIES.some((family) => !families.includes(family) && state.hasFamily(family));
    return {
      pool,
      verdict: 'exhausted',
      ...(hasOthers && { families }),
      ...(leaving > 0 && { leaving }),
    };
  }

  #poolHolding(addresses: readonly IpAddress[]): PoolState | undefined {
    const state = this.#poolAround(addresses[0]!);
    return state !== undefined && addresses.every((address) => state.covers(address)) ? state : undefined;
  }

  /** The pool that the address is of, whether it may be used or not: no two overlap. */
  #poolAround(address: IpAddress): PoolState | undefined {
    const pool = this.#index.containing(address);
    return pool && this.#pools.get(pool.name);
  }

  #whyNoPool(addresses: readonly IpAddress[]): ClaimRefusal {
    const pools: string[] = [];
    for (const address of addresses) {
      const state = this.#poolHolding([address]);
      if (state !== undefined) {
        pools.push(state.pool.name);
        continue;
      }
      const avoiding = this.#poolAround(address);
      return avoiding === undefined
        ? { kind: 'not-in-a-pool', address }
        : { kind: 'buggy', address, pool: avoiding.pool.name };
    }
    return { kind: 'different-pools', pools };
  }

  /** Records what the Service holds from now on; what it no longer holds becomes free. */
  #hold(request: AllocationRequest, allocation: Allocation): Allocation {
    const { service, use } = request;
    const old = this.#allocations.get(service);
    for (const address of old?.addresses ?? []) {
      if (!includesAddress(allocation.addresses, address)) this.#drop(service, address);
    }
    for (const address of allocation.addresses) {
      const before = this.#uses.of(service, address);
      if (before !== undefined && !equal(before, use)) this.#releases++;
      this.#uses.add(service, address, use);
      this.#take(address);
    }
    const lingering = this.#lingering
      .get(service)
      ?.filter((address) => !includesAddress(allocation.addresses, address));
    if (lingering?.length) this.#lingering.set(service, lingering);
    else this.#lingering.delete(service);
    if (old !== undefined && equal(old, allocation)) return old;
    this.#allocations.set(service, allocation);
    return allocation;
  }

  #isAllocated(service: ServiceKey, address: IpAddress): boolean {
    return includesAddress(this.#allocations.get(service)?.addresses ?? [], address);
  }

  #take(address: IpAddress): void {
    this.#poolAround(address)?.take(address);
  }

  #drop(service: ServiceKey, address: IpAddress): void {
    this.#uses.delete(service, address);
    this.#releases++;
    if (!this.#uses.has(address)) this.#poolAround(address)?.free(address);
  }
}

/** Pinned pools before open ones; among them the lower priority first, and 0 last (docs/behaviour/allocation.md#which-pools-a-service-may-use). */
function byRank(a: PoolState, b: PoolState): number {
  const [first, second] = [a, b].map(({ pool: { allocation } }) => allocation);
  if (first === undefined || second === undefined) return Number(first === undefined) - Number(second === undefined);
  return Number(first.priority === 0) - Number(second.priority === 0) || first.priority - second.priority;
}

/** IPv4 first, as every status has it. */
export function inOrder(addresses: readonly IpAddress[]): IpAddress[] {
  return [...addresses].sort((a, b) => (a.family === b.family ? 0 : a.family === 'ipv4' ? -1 : 1));
}
