/**
 * From what a Service gets to what its status should hold and what its users are told.
 * @module
 */
import { POOL_ANNOTATION } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';
import { quoted } from '../api/text.ts';
import type { Allocator } from '../ipam/allocator.ts';
import type { AllocationRequest } from '../ipam/request.ts';
import { distinctAddresses, formatAddress, type IpAddress, includesAddress, parseAddress } from '../net/address.ts';
import type { UnservedReason } from '../reasons/allocation.ts';
import { ALLOCATED_CONDITION, allocated, type ConditionNote, notAllocated } from '../reasons/conditions.ts';
import { type EventNote, noted, type Said, said, type Words, wordsOf } from '../reasons/reasons.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { listed, type Present, whyLost } from './kept-addresses.ts';
import type { ServiceRecord } from './service-records.ts';

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
  /** What it lost and why, in words, until it has all that it wants. */
  readonly lost: Said | undefined;
  /** Those of its addresses that the configuration does not allow: they stay, because the change that does may be on its way. */
  readonly waiting: readonly string[];
}

/** What a decision depends on besides the Service. */
export interface DecisionFacts {
  readonly allocator: Allocator;
  /** Names of pools that exist but are invalid; addresses from them are left as they are. */
  readonly setAside: ReadonlySet<string>;
  /** Where pools are read; undefined: it is not known. */
  readonly namespace: string | undefined;
  /** --keep-address-until-served: a wish takes nothing away before it can be met. */
  readonly keepUntilServed: boolean;
  /** This address may stay for now though the configuration does not allow it any more (--pool-change-grace). */
  readonly mayWait: (address: IpAddress) => boolean;
  /** What is known of the Service from earlier decisions. */
  readonly last: Pick<ServiceRecord, 'served' | 'asked' | 'lost' | 'write'>;
}

/** One Service while it is decided about. */
export interface Case extends DecisionFacts {
  readonly service: Service;
  readonly key: string;
  readonly request: AllocationRequest;
  readonly present: Present;
  /** What it held before this decision, whether the status shows it yet or not. */
  readonly held: readonly IpAddress[];
  /** Texts that the status shows as addresses and that are none. */
  readonly nonsense: readonly string[];
  /** The addresses that the user asks for; empty: any. */
  readonly wish: readonly IpAddress[];
}

/** Why a Service does not get all that it wants. */
export interface Obstacle {
  readonly reason: 'AllocationFailed' | 'LoadBalancerFailed';
  readonly words: Words;
  readonly unserved: UnservedReason;
}

export type Outcome =
  /** It has all that it wants: the allocator says what. `without`: why it has no address of the other family, which it could do with. */
  | { readonly kind: 'served'; readonly without?: Words }
  | { readonly kind: 'unserved'; readonly obstacle: Obstacle }
  /** Nothing happens for now: what it holds stays, though the configuration does not allow these of it. */
  | { readonly kind: 'waits'; readonly waiting: readonly IpAddress[] };

/** What the status gains and loses goes by what it shows now, so that it is told the same however often it is decided before it is written. */
export function decided(concerned: Case, outcome: Outcome): ServiceDecision {
  const { allocator, key, present, last, service } = concerned;
  const { addresses, pool } = allocator.allocationOf(key) ?? { addresses: [], pool: undefined };
  const { namespace } = concerned.request;
  const losses = lossesOf(concerned, addresses);
  const events = [
    ...foreignStatus(service),
    ...losses.map((loss) => noted('ClearAssignment', namespace, (reader) => `${key} loses ${loss(reader)}`)),
  ];
  if (outcome.kind === 'waits') {
    const decision = asItIs(service, last, addresses.map(formatAddress));
    return { ...decision, events, pool: decision.pool ?? pool, waiting: outcome.waiting.map(formatAddress) };
  }
  const gained = addresses.filter((address) => !includesAddress(present.shown, address));
  if (gained.length > 0) {
    const names = gained.map((address) => `"${formatAddress(address)}"`).join(' ');
    const what = gained.length === addresses.length ? `[${names}]` : names;
    events.push({ reason: 'IPAllocated', message: `Assigned IP ${what} of pool "${pool}"` });
  }
  const common = { addresses: addresses.map(formatAddress), pool, waiting: [] };
  if (outcome.kind === 'served') {
    if (outcome.without !== undefined) events.push(noted('AdditionalAssignFailed', namespace, outcome.without));
    const condition = pool === undefined ? undefined : allocated(pool);
    return { ...common, events, condition, unserved: undefined, lost: undefined };
  }
  const { reason, words, unserved } = outcome.obstacle;
  const now: Words = (reader) => losses.map((loss) => loss(reader)).join('; ');
  const lost = losses.length > 0 ? said(namespace, now) : last.lost;
  const suffix: Words = lost === undefined ? () => '' : (reader) => ` (it has lost ${wordsOf(lost)(reader)})`;
  events.push(noted(reason, namespace, (reader) => words(reader) + suffix(reader)));
  return { ...common, events, condition: notAllocated(events), unserved, lost };
}

/** The status stays, with what is said beside it. */
export function asItIs(
  service: Service,
  { lost }: DecisionFacts['last'],
  addresses: readonly string[],
): ServiceDecision {
  const present = service.status?.conditions?.find(({ type }) => type === ALLOCATED_CONDITION);
  return {
    addresses,
    pool: service.metadata.annotations?.[POOL_ANNOTATION],
    events: [],
    condition: present && ({ ...present, type: ALLOCATED_CONDITION } as ConditionNote),
    unserved: undefined,
    lost,
    waiting: [],
  };
}

/** The Service is to have nothing. */
export function cleared(
  allocator: Allocator,
  key: string,
  events: readonly EventNote[],
  unserved: UnservedReason | undefined,
): ServiceDecision {
  allocator.release(key);
  const condition = notAllocated(events);
  return { addresses: [], pool: undefined, condition, events, unserved, lost: undefined, waiting: [] };
}

/** A status that we have not written so. */
function foreignStatus(service: Service): EventNote[] {
  const texts = currentAddresses(service);
  const families = texts.map((text) => parseAddress(text)?.family);
  if (texts.length === 0 || (!families.includes(undefined) && new Set(families).size === texts.length)) return [];
  const shown = texts.map((text, i) => (families[i] === undefined ? quoted(text) : text)).join(', ');
  const message = `the addresses in the status [${shown}] are neither one address nor one of each IP family; each family keeps one at most`;
  return [{ reason: 'nolbIPsIPFamily', message }];
}

/** One text for each reason. */
function lossesOf(concerned: Case, kept: readonly IpAddress[]): Words[] {
  const { request, present, held, nonsense, wish } = concerned;
  // What was given a moment ago may be on its way into the status.
  const lost = distinctAddresses([...present.shown, ...held])
    .filter((address) => !includesAddress(kept, address))
    .map((address) => {
      const isUnwanted = wish.length > 0 && !includesAddress(wish, address);
      const why: Words = isUnwanted ? () => `it requests ${listed(wish)}` : whyLost(concerned, address, kept);
      return { text: formatAddress(address), why };
    });
  const all = [...lost, ...nonsense.map((text) => ({ text: quoted(text), why: () => 'this is not an IP address' }))];
  return [...Map.groupBy(all, ({ why }) => why(request)).values()].map(
    (group): Words =>
      (reader) =>
        `${group.map(({ text }) => text).join(', ')}: ${group[0]!.why(reader)}`,
  );
}
