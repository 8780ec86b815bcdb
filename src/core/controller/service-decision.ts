/**
 * Decides about one Service: rules S1 to S10 of docs/behaviour/allocation.md as one function. It changes the allocator
 * and nothing else, and returns everything users should be told.
 * @module
 */
import { POOL_ANNOTATION } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';
import { objectKey } from '../api/kubernetes.ts';
import type { Allocator } from '../ipam/allocator.ts';
import type { AddressUse, AllocationRequest, PoolCheck } from '../ipam/request.ts';
import { formatAddress, type IpAddress, type IpFamily, parseAddress } from '../net/address.ts';
import { allocated, type ConditionNote, notAllocated } from '../reasons/conditions.ts';
import {
  describeRefusal,
  describeRefusals,
  type EventNote,
  mainVerdict,
  type UnservedReason,
} from '../reasons/reasons.ts';
import { annotationKey, userAnnotation } from '../service/annotations.ts';
import { currentAddresses } from '../service/current-addresses.ts';

export interface ServiceDecision {
  /** What status.loadBalancer.ingress should hold. */
  readonly addresses: readonly string[];
  /** What the annotation that names the owning pool should hold; undefined: it should not be there. */
  readonly pool: string | undefined;
  readonly events: readonly EventNote[];
  /** What the condition on the Service should say; undefined: it should not be there. */
  readonly condition: ConditionNote | undefined;
  /** Why the Service has no address although it wants one; undefined: it has one, or wants none. */
  readonly unserved: UnservedReason | undefined;
}

/** `setAside`: names of pools that exist but are invalid; addresses from them are left as they are. */
export function decideService(service: Service, allocator: Allocator, setAside: ReadonlySet<string>): ServiceDecision {
  const key = objectKey(service);
  if (service.spec?.type !== 'LoadBalancer') return cleared(allocator, key, [], undefined);

  const events: EventNote[] = [];
  const families = clusterFamilies(service);
  if (!Array.isArray(families)) return cleared(allocator, key, [families as EventNote], 'cluster-ips');
  const policy = service.spec.ipFamilyPolicy ?? 'SingleStack';
  if (policy === 'RequireDualStack' && families.length < 2) {
    const held = service.spec.clusterIPs?.join(', ') ?? '';
    const message = `ipFamilyPolicy RequireDualStack needs two cluster IPs, the Service has [${held}]; change the policy or the cluster`;
    return cleared(allocator, key, [{ reason: 'not enough clusterips', message }], 'not-enough-cluster-ips');
  }

  const request = requestOf(service, families, policy);
  const wished = wishedAddresses(service);
  // A wish that differs from what is there decides before the present addresses are claimed again: claiming and giving
  // back in turn would look to others as if something became free.
  const current = currentOf(service, allocator);
  const moves =
    wished.ok &&
    wished.addresses.length > 0 &&
    current.length > 0 &&
    !sameMembers(current, wished.addresses.map(formatAddress));
  if (moves) {
    allocator.release(key);
    const asked = wished.addresses.map(formatAddress).join(', ');
    events.push({ reason: 'ClearAssignment', message: `${key} loses ${current.join(', ')}: it requests ${asked}` });
  }
  const kept = moves ? false : keepCurrent(service, request, current, policy, allocator, setAside, events);
  if (kept === 'untouched') {
    const owner = service.metadata.annotations?.[POOL_ANNOTATION];
    return {
      addresses: currentAddresses(service),
      pool: owner,
      condition: allocated(owner ?? ''),
      events,
      unserved: undefined,
    };
  }
  if (!wished.ok) {
    events.push({ reason: 'LoadBalancerFailed', message: wished.message });
    return kept ? granted(allocator, key, events) : cleared(allocator, key, events, 'bad-request');
  }

  if (allocator.allocationOf(key) !== undefined) {
    addMissingFamily(request, policy, allocator, events);
    return granted(allocator, key, events);
  }
  return allocateAnew(request, wished.addresses, allocator, setAside, events);
}

/** Families of the cluster IPs, primary first; an event when they cannot be determined. */
function clusterFamilies(service: Service): IpFamily[] | EventNote {
  const texts = service.spec?.clusterIPs?.length ? service.spec.clusterIPs : [service.spec?.clusterIP ?? ''];
  const families = texts.map((text) => parseAddress(text)?.family);
  if (texts.length > 2 || families.includes(undefined) || (families.length === 2 && families[0] === families[1])) {
    const message = `cluster IPs [${texts.join(', ')}] are neither one address nor one of each IP family`;
    return { reason: 'noclusterIPsIPFamily', message };
  }
  return families as IpFamily[];
}

/** How the Service uses an address (docs/behaviour/allocation.md#sharing). */
export function useOf(service: Service): AddressUse {
  const { selector = {}, ports = [], externalTrafficPolicy } = service.spec ?? {};
  const pairs = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  return {
    sharingKey: userAnnotation(service, 'allow-shared-ip') ?? '',
    backendKey: externalTrafficPolicy === 'Local' ? pairs.sort().join(',') : '',
    ports: ports.map(({ protocol = 'TCP', port }) => `${protocol}/${port}`),
  };
}

/** What the Service asks of the pools; undefined when its cluster IPs are invalid. */
export function requestOfService(service: Service): AllocationRequest | undefined {
  const families = clusterFamilies(service);
  if (!Array.isArray(families)) return undefined;
  const wish = wishedAddresses(service);
  const request = requestOf(service, families, service.spec?.ipFamilyPolicy ?? 'SingleStack');
  return wish.ok ? { ...request, wished: wish.addresses } : request;
}

function requestOf(service: Service, families: readonly IpFamily[], policy: string): AllocationRequest {
  const pool = userAnnotation(service, 'address-pool');
  return {
    use: useOf(service),
    service: objectKey(service),
    namespace: service.metadata.namespace ?? '',
    labels: service.metadata.labels ?? {},
    families,
    requireBoth: policy !== 'PreferDualStack',
    ...(pool ? { pool } : {}),
  };
}

/** What the status shows; while our write is in flight, what we have assigned. */
function currentOf(service: Service, allocator: Allocator): string[] {
  const shown = currentAddresses(service);
  return shown.length > 0 ? shown : (allocator.allocationOf(objectKey(service))?.addresses ?? []).map(formatAddress);
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text) => b.includes(text));
}

/** Rules S5 and S6: what the status says is claimed again, which also rebuilds ownership after a restart. */
function keepCurrent(
  service: Service,
  request: AllocationRequest,
  current: readonly string[],
  policy: string,
  allocator: Allocator,
  setAside: ReadonlySet<string>,
  events: EventNote[],
): boolean | 'untouched' {
  if (current.length === 0) return false;
  const addresses = current.map(parseAddress);
  const drop = (why: string): false => {
    allocator.release(request.service);
    events.push({ reason: 'ClearAssignment', message: `${request.service} loses ${current.join(', ')}: ${why}` });
    return false;
  };
  const owner = service.metadata.annotations?.[POOL_ANNOTATION];
  const valid = addresses.filter((address) => address !== undefined);
  if (valid.length < addresses.length) return drop('the status holds something that is not an IP address');
  const families = valid.map(({ family }) => family);
  const fits =
    sameMembers(families, request.families) ||
    (families.length === 1 && policy === 'PreferDualStack' && request.families.length === 2);
  if (!fits) return drop(`its IP family is ${families.join('+')}, but the Service needs ${request.families.join('+')}`);
  const claim = allocator.claim(request, valid);
  if (!claim.ok) {
    if (claim.refusal.kind === 'not-in-a-pool' && owner !== undefined && setAside.has(owner)) return 'untouched';
    return drop(describeRefusal(claim.refusal));
  }
  return true;
}

type Wish =
  | { readonly ok: true; readonly addresses: readonly IpAddress[] }
  | { readonly ok: false; readonly message: string };

/** The addresses that the user asks for by annotation or by spec.loadBalancerIP. */
function wishedAddresses(service: Service): Wish {
  const annotation = userAnnotation(service, 'loadBalancerIPs');
  const field = service.spec?.loadBalancerIP;
  const where = annotation ? `annotation ${annotationKey(service, 'loadBalancerIPs')}` : 'spec.loadBalancerIP';
  if (annotation && field) {
    return { ok: false, message: `${where} and spec.loadBalancerIP are both set; remove one of them` };
  }
  const texts = annotation ? annotation.split(',').map((text) => text.trim()) : field ? [field] : [];
  const addresses: IpAddress[] = [];
  for (const text of texts) {
    const address = parseAddress(text);
    if (address === undefined)
      return { ok: false, message: `${where}: ${JSON.stringify(text)} is not an IP address; write one from a pool` };
    if (addresses.some(({ family }) => family === address.family)) {
      return {
        ok: false,
        message: `${where}: more than one ${address.family} address; request at most one of each family`,
      };
    }
    addresses.push(address);
  }
  return { ok: true, addresses };
}

/** Adds the second family for Services whose cluster IPs really are dual-stack (docs/behaviour/allocation.md, rule S8). */
function addMissingFamily(request: AllocationRequest, policy: string, allocator: Allocator, events: EventNote[]): void {
  const { families } = request;
  const held = allocator.allocationOf(request.service)!;
  if (policy !== 'PreferDualStack' || families.length < 2 || held.addresses.length !== 1) return;
  const missing = families.find((family) => family !== held.addresses[0]!.family)!;
  const extended = allocator.extend(request, missing);
  if (extended === undefined) return;
  const added = extended.addresses.find(({ family }) => family === missing)!;
  events.push({ reason: 'IPAllocated', message: `Assigned IP "${formatAddress(added)}" of pool "${extended.pool}"` });
}

/** Rule S9. */
function allocateAnew(
  request: AllocationRequest,
  wished: readonly IpAddress[],
  allocator: Allocator,
  setAside: ReadonlySet<string>,
  events: EventNote[],
): ServiceDecision {
  const fail = (message: string, unserved: UnservedReason): ServiceDecision => {
    events.push({ reason: 'AllocationFailed', message: `${request.service} gets no address: ${message}` });
    return cleared(allocator, request.service, events, unserved);
  };
  if (wished.length > 0) {
    const families = wished.map(({ family }) => family);
    if (!sameMembers(families, request.families)) {
      const message = `it requests ${families.join('+')}, but its cluster IPs are ${request.families.join('+')}`;
      return fail(message, 'wrong-family');
    }
    const claim = allocator.claim(request, wished);
    if (!claim.ok) return fail(describeRefusal(claim.refusal), claim.refusal.kind);
  } else {
    const decision = allocator.allocate(request);
    if (!decision.ok) {
      const checks = withSetAside(decision.checks, request, setAside);
      return fail(describeRefusals(checks), mainVerdict(checks));
    }
  }
  const { addresses, pool } = allocator.allocationOf(request.service)!;
  const list = addresses.map((address) => `"${formatAddress(address)}"`).join(' ');
  events.push({ reason: 'IPAllocated', message: `Assigned IP [${list}] of pool "${pool}"` });
  return granted(allocator, request.service, events);
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

function granted(allocator: Allocator, key: string, events: readonly EventNote[]): ServiceDecision {
  const { addresses, pool } = allocator.allocationOf(key)!;
  return { addresses: addresses.map(formatAddress), pool, condition: allocated(pool), events, unserved: undefined };
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
