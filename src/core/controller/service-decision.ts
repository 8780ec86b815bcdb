/**
 * Decides about one Service: rules S1 to S10 of docs/behaviour/allocation.md as one function. It changes the allocator
 * and nothing else, and returns everything users should be told.
 * @module
 */
import { annotation, POOL_ANNOTATION } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';
import { objectKey } from '../api/kubernetes.ts';
import type { AllocationRequest, ClaimRefusal, PoolCheck } from '../ipam/request.ts';
import {
  areSameAddresses,
  distinctAddresses,
  type IpAddress,
  type IpFamily,
  includesAddress,
  parseAddress,
} from '../net/address.ts';
import { equal } from '../net/equal.ts';
import { describeRefusal, describeRefusals, familyName, mainVerdict } from '../reasons/allocation.ts';
import type { EventNote, Words } from '../reasons/reasons.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import {
  asItIs,
  type Case,
  cleared,
  type DecisionFacts,
  decided,
  type Obstacle,
  type Outcome,
  type ServiceDecision,
} from './decided.ts';
import { type Kept, keptAddresses, listed, type Present } from './kept-addresses.ts';
import { askedOf, clusterFamilies, requestOf, wishedAddresses } from './service-request.ts';

const SERVED: Outcome = { kind: 'served' };

export function decideService(service: Service, facts: DecisionFacts): ServiceDecision {
  const { allocator, setAside, last } = facts;
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
  const wish = wished.ok ? wished.addresses : [];
  const texts = currentAddresses(service);
  const shown = distinctAddresses(texts.flatMap((text) => parseAddress(text) ?? []));
  const held = allocator.allocationOf(key)?.addresses ?? [];
  const served = last.served.flatMap((text) => parseAddress(text) ?? []);
  const own = distinctAddresses([...held, ...served]);
  const owner = service.metadata.annotations?.[POOL_ANNOTATION];
  const request = requestOf(service, families);
  // A controller that has just begun goes by the annotation: what it stands beside we gave.
  const present: Present = {
    shown,
    own: own.length === 0 && owner !== undefined ? shown : own,
    known: [...shown, ...served, ...(last.write.kind === 'under-way' ? held : [])],
  };
  const nonsense = texts.filter((text) => parseAddress(text) === undefined);
  const concerned: Case = { ...facts, service, key, request, present, held, nonsense, wish };

  const asksForOthers = wish.length > 0 && !areSameAddresses(wish, shown);
  const isInNoPool = (address: IpAddress) => allocator.refusal(request, [address])?.kind === 'not-in-a-pool';
  if (owner !== undefined && setAside.has(owner) && !asksForOthers && shown.some(isInNoPool))
    return leave(concerned, texts);

  if (!wished.ok) return decided(concerned, keepAll(concerned, wished.message));
  return decided(concerned, wish.length > 0 ? giveWish(concerned) : giveAny(concerned));
}

/** A request that nobody understands changes nothing. */
function keepAll(concerned: Case, message: string): Outcome {
  const kept = keep(concerned);
  const what = kept.addresses.length === 0 ? '' : ` (it keeps ${listed(kept.addresses)} until then)`;
  return settle(concerned, kept, {
    reason: 'LoadBalancerFailed',
    words: () => message + what,
    unserved: 'bad-request',
  });
}

/** The addresses that are asked for; if it cannot have them all, those that it has of them. */
function giveWish(concerned: Case): Outcome {
  const { allocator, request, present, wish, keepUntilServed, mayWait, setAside } = concerned;
  const [asked, needed] = [wish.map(({ family }) => family), request.families];
  const isFit = asked.length === needed.length && asked.every((family) => needed.includes(family));
  const claim = isFit ? allocator.claim(request, wish) : undefined;
  if (claim?.ok) return SERVED;
  const isWished = (address: IpAddress) => includesAddress(wish, address);
  const wished = { ...present, shown: present.shown.filter(isWished), own: present.own.filter(isWished) };
  const [among, all] = [keep({ ...concerned, present: wished }), keepOfAnyPool(concerned)];
  // Part of the wish is there already: the pool may be about to follow with the rest.
  const rest = all.addresses.filter((address) => !includesAddress(among.addresses, address));
  const isPart = among.addresses.length > 0 && rest.length > 0;
  if (isPart && rest.every(mayWait) && claim !== undefined && OF_POOLS.has(claim.refusal.kind))
    return wait(concerned, { addresses: all.addresses, waiting: distinctAddresses([...rest, ...all.waiting]) });
  const why: Words = (reader) =>
    claim === undefined ? describeRequestedFamilies(asked, needed) : describeRefusal(claim.refusal, setAside, reader);
  const kept = keepUntilServed ? all : among;
  const then = keepUntilServed ? UNTIL_SERVED : 'and gets no other address';
  return settle(concerned, kept, obstacle(concerned, kept, then, why, claim?.refusal.kind ?? 'requested-families'));
}

function describeRequestedFamilies(requested: readonly IpFamily[], needed: readonly IpFamily[]): string {
  const [has, needs] = [requested, needed].map((families) => families.map(familyName).join(' and '));
  const what = `it requests an address of ${has}, but its cluster IPs are ${needs}`;
  if (needed.length > requested.length)
    return `${what}; request one of each with the annotation ${annotation('loadBalancerIPs')}, or set ipFamilyPolicy SingleStack`;
  return `${what}; request ${needs} only${needed.length < requested.length ? ', or set ipFamilyPolicy PreferDualStack' : ''}`;
}

/** What the Service has stays as far as it can; what is missing then is found for it. */
function giveAny(concerned: Case): Outcome {
  const { allocator, request, setAside, keepUntilServed } = concerned;
  const kept = keep(concerned);
  if (kept.addresses.length === 0) {
    const decision = allocator.allocate(request);
    if (decision.ok) return SERVED;
    const checks = withSetAside(decision.checks, request, setAside);
    const still = keepUntilServed ? keepOfAnyPool(concerned) : kept;
    return settle(concerned, still, obstacleOf(concerned, still, UNTIL_SERVED, checks));
  }
  const missing = request.families.find((family) => !kept.addresses.some((address) => address.family === family));
  const outcome = settle(concerned, kept);
  if (kept.waiting.length > 0 || missing === undefined) return outcome;
  const decision = allocator.extend(request, missing);
  if (decision.ok) return SERVED;
  const rest = `and gets no ${familyName(missing)} address`;
  const found = obstacleOf(concerned, kept, rest, decision.checks);
  // Under PreferDualStack one family is what it asked for, if need be.
  return request.requireBoth ? { kind: 'unserved', obstacle: found } : { kind: 'served', without: found.words };
}

const UNTIL_SERVED = 'until it can have what it asks for';

function obstacleOf(concerned: Case, kept: Kept, rest: string, checks: readonly PoolCheck[]): Obstacle {
  const why: Words = (reader) => describeRefusals(checks, concerned.namespace, reader);
  return obstacle(concerned, kept, rest, why, mainVerdict(checks));
}

/** `rest`: what follows upon that the Service keeps something. */
function obstacle(
  { key }: Case,
  { addresses }: Kept,
  rest: string,
  why: Words,
  unserved: Obstacle['unserved'],
): Obstacle {
  const what = addresses.length === 0 ? 'gets no address' : `keeps ${listed(addresses)} ${rest}`;
  return { reason: 'AllocationFailed', words: (reader) => `${key} ${what}: ${why(reader)}`, unserved };
}

/** The Service holds from now on what it keeps. */
function settle(concerned: Case, kept: Kept, obstacle?: Obstacle): Outcome {
  const { allocator, request, key } = concerned;
  const { addresses, waiting } = kept;
  if (waiting.length > 0) return wait(concerned, kept);
  if (addresses.length === 0) allocator.release(key);
  else allocator.claim(ofAnyPool(request), addresses);
  return obstacle === undefined ? SERVED : { kind: 'unserved', obstacle };
}

/** Nobody else gets what waits, whatever somebody writes into the status meanwhile. */
function wait({ allocator, request, service }: Case, { addresses, waiting }: Kept): Outcome {
  allocator.retain(request, addresses, service.metadata.annotations?.[POOL_ANNOTATION]);
  return { kind: 'waits', waiting };
}

/** Its pool is there and cannot be understood: what is of it stays as it is, and nobody else gets it. */
function leave({ allocator, request, present, service, last }: Case, texts: readonly string[]): ServiceDecision {
  const own = present.shown.filter((address) => includesAddress(present.own, address));
  const retained = own.filter((address) => allocator.clash(request, [address]) === undefined);
  if (retained.length > 0) allocator.retain(request, retained, service.metadata.annotations?.[POOL_ANNOTATION]);
  return asItIs(service, last, texts);
}

/** What the configuration alone can have against an address. */
const OF_POOLS: ReadonlySet<ClaimRefusal['kind']> = new Set(['not-in-a-pool', 'buggy', 'different-pools']);
/** What it can have against an address because of what the Service says of itself. */
const OF_SERVICES: ReadonlySet<ClaimRefusal['kind']> = new Set(['not-selected', 'other-pool']);

function keep({ allocator, request, present, mayWait, last, service }: Case): Kept {
  const isUnchanged = last.asked === undefined || equal(last.asked, askedOf(service));
  return keptAddresses(
    allocator,
    request,
    present,
    ({ kind }, addresses) =>
      (OF_POOLS.has(kind) || (isUnchanged && OF_SERVICES.has(kind))) &&
      addresses.every(
        (address) =>
          includesAddress(present.own, address) && includesAddress(present.known, address) && mayWait(address),
      ),
  );
}

/** Also what is of another pool than the one that is asked for. */
function keepOfAnyPool(concerned: Case): Kept {
  return keep({ ...concerned, request: ofAnyPool(concerned.request) });
}

function ofAnyPool({ pool: _, ...request }: AllocationRequest): AllocationRequest {
  return request;
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
