/**
 * Decides about one Service: rules S1 to S10 of docs/behaviour/allocation.md as one function. It changes the allocator
 * and nothing else, and returns everything users should be told.
 * @module
 */
import { POOL_ANNOTATION } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';
import { objectKey } from '../api/kubernetes.ts';
import type { Allocator } from '../ipam/allocator.ts';
import type { AllocationRequest, PoolCheck } from '../ipam/request.ts';
import { formatAddress, type IpAddress, parseAddress } from '../net/address.ts';
import { allocated, type ConditionNote, notAllocated } from '../reasons/conditions.ts';
import {
  describeRefusal,
  describeRefusals,
  type EventNote,
  mainVerdict,
  type UnservedReason,
} from '../reasons/reasons.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { distinct, includes, keptAddresses, type Present, sameAddresses, whyLost } from './kept-addresses.ts';
import { clusterFamilies, requestOf, wishedAddresses } from './service-request.ts';

export interface ServiceDecision {
  /** What status.loadBalancer.ingress should hold. */
  readonly addresses: readonly string[];
  /** What the annotation that names the owning pool should hold; undefined: it should not be there. */
  readonly pool: string | undefined;
  readonly events: readonly EventNote[];
  /** What the condition on the Service should say; undefined: it should not be there. */
  readonly condition: ConditionNote | undefined;
  /** Why the Service has not all that it wants; undefined: it has, or wants nothing. */
  readonly unserved: UnservedReason | undefined;
}

/** What a decision depends on besides the Service. */
export interface DecisionFacts {
  readonly allocator: Allocator;
  /** Names of pools that exist but are invalid; addresses from them are left as they are. */
  readonly setAside: ReadonlySet<string>;
  /** What the status of the Service showed when it was last as we wanted it. */
  readonly served: readonly string[];
}

/** One Service while it is decided about. */
interface Case extends DecisionFacts {
  readonly key: string;
  readonly request: AllocationRequest;
  readonly present: Present;
  /** Texts that the status shows as addresses and that are none. */
  readonly nonsense: readonly string[];
  /** The addresses that the user asks for; empty: any. */
  readonly wish: readonly IpAddress[];
}

/** Why a Service does not get all that it wants. */
interface Obstacle {
  readonly reason: 'AllocationFailed' | 'LoadBalancerFailed';
  readonly message: string;
  readonly unserved: UnservedReason;
}

export function decideService(service: Service, facts: DecisionFacts): ServiceDecision {
  const { allocator, setAside } = facts;
  const key = objectKey(service);
  if (service.spec?.type !== 'LoadBalancer') return cleared(allocator, key, [], undefined);

  const families = clusterFamilies(service);
  if (!Array.isArray(families)) return cleared(allocator, key, [families as EventNote], 'cluster-ips');
  if (service.spec.ipFamilyPolicy === 'RequireDualStack' && families.length < 2) {
    const held = service.spec.clusterIPs?.join(', ') ?? '';
    const message = `ipFamilyPolicy RequireDualStack needs two cluster IPs, the Service has [${held}]; change the policy or the cluster`;
    return cleared(allocator, key, [{ reason: 'not enough clusterips', message }], 'not-enough-cluster-ips');
  }

  const wished = wishedAddresses(service);
  const texts = currentAddresses(service);
  const shown = distinct(texts.flatMap((text) => parseAddress(text) ?? []));
  const own = [
    ...(allocator.allocationOf(key)?.addresses ?? []),
    ...facts.served.flatMap((text) => parseAddress(text) ?? []),
  ];
  const present = { shown, own: distinct(own) };
  const nonsense = texts.filter((text) => parseAddress(text) === undefined);
  const wish = wished.ok ? wished.addresses : [];
  const request = requestOf(service, families);
  const concerned: Case = { ...facts, key, request, present, nonsense, wish };

  const owner = service.metadata.annotations?.[POOL_ANNOTATION];
  const asksForOthers = wish.length > 0 && !sameAddresses(wish, shown);
  const isSetAside = (address: IpAddress) => allocator.refusal(request, [address])?.kind === 'not-in-a-pool';
  if (owner !== undefined && setAside.has(owner) && !asksForOthers && shown.some(isSetAside))
    return { addresses: texts, pool: owner, condition: allocated(owner), events: [], unserved: undefined };

  if (!wished.ok) {
    hold(concerned, keptAddresses(allocator, request, present));
    return settled(concerned, { reason: 'LoadBalancerFailed', message: wished.message, unserved: 'bad-request' });
  }
  return settled(concerned, wish.length > 0 ? giveWish(concerned) : giveAny(concerned));
}

/** The addresses that are asked for, or of those that the Service has the ones among them. */
function giveWish(concerned: Case): Obstacle | undefined {
  const { allocator, request, present, wish, key } = concerned;
  const [asked, needed] = [wish.map(({ family }) => family), request.families];
  const isFit = asked.length === needed.length && asked.every((family) => needed.includes(family));
  const claim = isFit ? allocator.claim(request, wish) : undefined;
  if (claim?.ok) return undefined;
  const isWished = (address: IpAddress) => includes(wish, address);
  const kept = keptAddresses(allocator, request, {
    shown: present.shown.filter(isWished),
    own: present.own.filter(isWished),
  });
  hold(concerned, kept);
  const why =
    claim === undefined
      ? `it requests ${asked.join('+')}, but its cluster IPs are ${needed.join('+')}`
      : describeRefusal(claim.refusal);
  const message =
    kept.length === 0
      ? `${key} gets no address: ${why}`
      : `${key} keeps ${list(kept)} and gets no other address: ${why}`;
  return { reason: 'AllocationFailed', message, unserved: claim?.refusal.kind ?? 'wrong-family' };
}

/** What the Service has stays as far as it can; what is missing then is found for it. */
function giveAny(concerned: Case): Obstacle | undefined {
  const { allocator, request, present, setAside, key } = concerned;
  const kept = keptAddresses(allocator, request, present);
  if (kept.length === 0) {
    const decision = allocator.allocate(request);
    if (decision.ok) return undefined;
    allocator.release(key);
    const checks = withSetAside(decision.checks, request, setAside);
    return unserved(`${key} gets no address`, checks);
  }
  hold(concerned, kept);
  const missing = request.families.find((family) => !kept.some((address) => address.family === family));
  if (missing === undefined) return undefined;
  const decision = allocator.extend(request, missing);
  return decision.ok || !request.requireBoth
    ? undefined
    : unserved(`${key} keeps ${list(kept)} and gets no ${missing} address`, decision.checks);
}

function unserved(what: string, checks: readonly PoolCheck[]): Obstacle {
  return {
    reason: 'AllocationFailed',
    message: `${what}: ${describeRefusals(checks)}`,
    unserved: mainVerdict(checks),
  };
}

function hold({ allocator, request, key }: Case, addresses: readonly IpAddress[]): void {
  if (addresses.length === 0) allocator.release(key);
  else allocator.claim(request, addresses);
}

/** Rule S10, and what the user is told: what the status gains and loses by it, the same as often as it is decided. */
function settled(concerned: Case, obstacle: Obstacle | undefined): ServiceDecision {
  const { allocator, key, present } = concerned;
  const { addresses, pool } = allocator.allocationOf(key) ?? { addresses: [], pool: undefined };
  const events: EventNote[] = [...losses(concerned, addresses)];
  const gained = addresses.filter((address) => !includes(present.shown, address));
  if (gained.length > 0) {
    const names = gained.map((address) => `"${formatAddress(address)}"`).join(' ');
    const what = gained.length === addresses.length ? `[${names}]` : names;
    events.push({ reason: 'IPAllocated', message: `Assigned IP ${what} of pool "${pool}"` });
  }
  if (obstacle !== undefined) events.push({ reason: obstacle.reason, message: obstacle.message });
  return {
    addresses: addresses.map(formatAddress),
    pool,
    events,
    condition: obstacle === undefined && pool !== undefined ? allocated(pool) : notAllocated(events),
    unserved: obstacle?.unserved,
  };
}

/** One Event for each reason. */
function losses({ allocator, request, present, nonsense, wish, key }: Case, kept: readonly IpAddress[]): EventNote[] {
  const asked = list(wish);
  const lost = present.shown
    .filter((address) => !includes(kept, address))
    .map((address) => {
      const isUnwanted = wish.length > 0 && !includes(wish, address);
      const why = isUnwanted ? `it requests ${asked}` : whyLost(allocator, request, address, kept);
      return { text: formatAddress(address), why };
    });
  const all = [...lost, ...nonsense.map((text) => ({ text, why: 'this is not an IP address' }))];
  return [...Map.groupBy(all, ({ why }) => why)].map(([why, group]) => ({
    reason: 'ClearAssignment',
    message: `${key} loses ${group.map(({ text }) => text).join(', ')}: ${why}`,
  }));
}

function list(addresses: readonly IpAddress[]): string {
  return addresses.map(formatAddress).join(', ');
}

/** The allocator does not know of pools that are set aside; the user should. */
export function withSetAside(
  checks: readonly PoolCheck[],
  request: AllocationRequest,
  setAside: ReadonlySet<string>,
): PoolCheck[] {
  const others = checks.filter(({ pool }) => !setAside.has(pool));
  const concerned = [...setAside].filter((pool) => request.pool === undefined || request.pool === pool);
  return [...others, ...concerned.map((pool): PoolCheck => ({ pool, verdict: 'set-aside' }))];
}

function cleared(
  allocator: Allocator,
  key: string,
  events: readonly EventNote[],
  unserved: UnservedReason | undefined,
): ServiceDecision {
  allocator.release(key);
  return { addresses: [], pool: undefined, condition: notAllocated(events), events, unserved };
}
