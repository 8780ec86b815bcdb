/**
 * Decides about the Services that have changed, those with addresses first, and writes what their status should say.
 * @module
 */
import { POOL_ANNOTATION } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';
import type { ServiceKey } from '../ipam/request.ts';
import type { Millis } from '../machine.ts';
import { formatAddress, type IpAddress, parseAddress } from '../net/address.ts';
import { equal } from '../net/equal.ts';
import { annotationNotes } from '../reasons/annotations.ts';
import { ALLOCATED_CONDITION, areSaid, type ConditionWish, SERVICE_CONDITIONS } from '../reasons/conditions.ts';
import { type EventNote, eventTarget } from '../reasons/reasons.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { isOurClass } from '../service/service-class.ts';
import type { ServiceDecision } from './decided.ts';
import { mended, nextMendAt } from './mending.ts';
import { decideService } from './service-decision.ts';
import type { Graces, ServiceRecord } from './service-records.ts';
import { askedOf, useOf } from './service-request.ts';
import type { ControllerOutput, ControllerState } from './state.ts';
import { remarks } from './surroundings.ts';
import { begun, postponed, settled, type WriteState } from './write-state.ts';

/** Pool counters are written this long after they changed, in milliseconds: a thousand allocations cost one write. */
const STATUS_DELAY = 300;

/** Services with addresses come first, oldest first, so that a new Service cannot take an address in use. */
export function decideServices(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  let changed = false;
  const setAside = poolsSetAside(state);
  while (state.dirty.size > 0) {
    const batch = [...state.dirty].map((key) => ({ key, service: state.cache.get<Service>('services', key) }));
    state.dirty.clear();
    batch.sort(
      (a, b) => rank(a.service) - rank(b.service) || compareAge(a.service, b.service) || (a.key < b.key ? -1 : 1),
    );
    const releases = state.allocator.releases;
    // Whatever a status shows is spoken for before anything is given away: a wish must not be met with an address
    // whose holder merely comes later in this batch, which after a restart is everybody.
    for (const { key, service } of batch) linger(state, key, service);
    for (const { key, service } of batch) {
      const before = state.allocator.allocationOf(key);
      if (service !== undefined && isOurs(state, service)) decideOne(state, key, service, setAside, now, outputs);
      else forget(state, key);
      const after = state.allocator.allocationOf(key);
      if (before !== after) changed = true;
      // What the status still shows may go to nobody else before that is written: one address, one Service, always.
      linger(state, key, service);
    }
    // An address has become free; a waiting Service may want it.
    if (state.allocator.releases !== releases) for (const key of state.services.unserved) state.dirty.add(key);
  }
  if (!changed || state.statusesDueAt !== undefined) return state;
  return { ...state, statusesDueAt: now + STATUS_DELAY };
}

/**
 * The API server removes the class together with the type, and it may do so while no controller looks: a Service that is no LoadBalancer is
 * ours to tidy up as long as it bears something that we wrote.
 */
function isOurs({ settings }: ControllerState, service: Service): boolean {
  const { metadata, spec, status } = service;
  if (isOurClass(service, settings.loadBalancerClass)) return true;
  if (spec?.type === 'LoadBalancer') return false;
  return (
    POOL_ANNOTATION in (metadata.annotations ?? {}) ||
    (status?.conditions ?? []).some(({ type }) => SERVICE_CONDITIONS.includes(type))
  );
}

/** Names of the pools that exist but are not in force, not even in an older version. */
export function poolsSetAside({ problems, allocator }: Pick<ControllerState, 'problems' | 'allocator'>): Set<string> {
  const bad = problems.filter(({ object }) => object.kind === 'IPAddressPool').map(({ object }) => object.name);
  return new Set(bad.filter((name) => !allocator.has(name)));
}

function linger({ allocator }: ControllerState, key: ServiceKey, service: Service | undefined): void {
  if (service === undefined) allocator.linger(key, [], NO_USE);
  else allocator.linger(key, shownAddresses(service), useOf(service));
}

const NO_USE = { sharingKey: '', backendKey: '', ports: [] };

function shownAddresses(service: Service): IpAddress[] {
  return currentAddresses(service).flatMap((text) => parseAddress(text) ?? []);
}

/** A deleted Service ranks with those that hold an address, so that the rest can use what it held. */
function rank(service: Service | undefined): number {
  return service === undefined || currentAddresses(service).length > 0 ? -1 : 0;
}

function compareAge(a: Service | undefined, b: Service | undefined): number {
  const [ageA, ageB] = [a?.metadata.creationTimestamp ?? '', b?.metadata.creationTimestamp ?? ''];
  return ageA < ageB ? -1 : ageA > ageB ? 1 : 0;
}

function forget({ allocator, services }: ControllerState, key: ServiceKey): void {
  allocator.release(key);
  services.forget(key);
}

function decideOne(
  state: ControllerState,
  key: ServiceKey,
  service: Service,
  setAside: ReadonlySet<string>,
  now: Millis,
  outputs: ControllerOutput[],
): void {
  const { services, allocator, settings } = state;
  const { poolChangeGrace = 0, keepUntilServed = false } = settings;
  const record = services.get(key);
  const decision = decideService(service, {
    allocator,
    setAside,
    namespace: settings.namespace,
    keepUntilServed,
    mayWait: (address) => poolChangeGrace > 0 && record.graces.get(formatAddress(address))?.kind !== 'over',
    last: record,
  });
  const remarked = remarks(state.surroundings, service, decision.addresses, decision.pool);
  const wishes: ConditionWish[] = [{ type: ALLOCATED_CONDITION, note: decision.condition }, ...remarked.wishes];
  const differs = !isWritten(service, decision, wishes);
  const isMend = differs && isIntruded(service, decision, record);
  const isPostponed = isMend && now < nextMendAt(record.mends);
  const isNext = differs && !isPostponed && isFree(record.write);
  const annotations = service.spec?.type === 'LoadBalancer' ? annotationNotes(service) : [];
  // What stood there before this controller came is told when something changes: a restart tells nothing again.
  const tellsAnnotations = differs || (record.annotations !== undefined && !equal(record.annotations, annotations));
  services.change(key, {
    unserved: decision.unserved,
    hasAddress: decision.addresses.length > 0,
    served: differs ? record.served : decision.addresses,
    asked: differs || decision.waiting.length > 0 ? record.asked : askedOf(service),
    lost: decision.lost,
    graces: gracesAfter(decision, differs, record.graces, now + poolChangeGrace),
    pendingSince: pendingSince(service, record, now),
    annotations,
    told: {
      address: tell(service, record.told.address, decision.events, outputs),
      annotations: tell(service, record.told.annotations, tellsAnnotations ? annotations : [], outputs),
      surroundings: tellSurroundings(service, record.told.surroundings, remarked.events, outputs),
    },
    write: isNext
      ? begun(record.write, service.metadata.resourceVersion)
      : isPostponed && isFree(record.write)
        ? postponed(nextMendAt(record.mends))
        : differs
          ? record.write
          : settled(record.write),
    mends: isNext && isMend ? mended(record.mends, now) : record.mends,
  });
  if (!isNext) return;
  outputs.push({
    kind: 'write-service',
    key,
    resourceVersion: service.metadata.resourceVersion ?? '',
    addresses: decision.addresses,
    annotations: { [POOL_ANNOTATION]: decision.pool ?? null },
    conditions: service.status?.conditions ?? [],
    wishes,
  });
}

/** The status was as it should be, and somebody else has written other addresses into it. */
function isIntruded(service: Service, { addresses }: ServiceDecision, { served }: ServiceRecord): boolean {
  return served.length > 0 && equal(served, addresses) && !equal(served, currentAddresses(service));
}

/** A write that was only postponed waits for nothing else. */
function isFree({ kind, failures }: WriteState): boolean {
  return kind === 'idle' || (kind === 'backing-off' && failures === 0);
}

/** Each address has its own: one that has waited for long takes nothing from another that has just begun to. */
function gracesAfter({ waiting }: ServiceDecision, differs: boolean, before: Graces, until: Millis): Graces {
  const over = differs ? [...before].filter(([, { kind }]) => kind === 'over') : [];
  const begun = { kind: 'running', until } as const;
  return new Map([...over, ...waiting.map((address) => [address, before.get(address) ?? begun] as const)]);
}

function pendingSince(service: Service, record: ServiceRecord, now: Millis): Millis | undefined {
  if (service.spec?.type !== 'LoadBalancer') return undefined;
  return record.pendingSince ?? (currentAddresses(service).length === 0 ? now : undefined);
}

function isWritten(service: Service, { addresses, pool }: ServiceDecision, wishes: readonly ConditionWish[]): boolean {
  // What names no address, like the host name that another load balancer left, does not belong there either.
  const entries = service.status?.loadBalancer?.ingress?.length ?? 0;
  return (
    entries === addresses.length &&
    equal(currentAddresses(service), addresses) &&
    service.metadata.annotations?.[POOL_ANNOTATION] === pool &&
    areSaid(service.status?.conditions ?? [], wishes)
  );
}

/** What has passed is forgotten, so that it is told again when it comes back. */
function tellSurroundings(
  service: Service,
  told: readonly EventNote[],
  notes: readonly EventNote[],
  outputs: ControllerOutput[],
): readonly EventNote[] {
  return notes.length === 0 ? notes : tell(service, told, notes, outputs);
}

/** Emits those Events that were not among the last ones. Returns what to remember. */
function tell(
  service: Service,
  told: readonly EventNote[],
  notes: readonly EventNote[],
  outputs: ControllerOutput[],
): readonly EventNote[] {
  const news = notes.filter((note) => !told.some((last) => isSame(last, note)));
  const target = eventTarget('v1', 'Service', service);
  for (const note of news) outputs.push({ kind: 'emit-event', target, ...note });
  return news.length === 0 ? told : notes;
}

/** What readers of the Event see of it decides: more in the log is no reason to emit it again. */
function isSame(a: EventNote, b: EventNote): boolean {
  return a.reason === b.reason && a.message === b.message;
}
