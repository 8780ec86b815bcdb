/**
 * The controller as a machine: changes of Services, pools and namespaces in; status writes and Events out.
 *
 *   gather  the cache of watched objects
 *   decide  decideService, one Service at a time, those with addresses first
 *   act     outputs; at most one write under way per object, many objects at once
 * @module
 */
import { type Condition, type KubernetesObject, objectKey, type Service } from '../api/kubernetes.ts';
import { formatFault, type Problem } from '../api/problem.ts';
import { type Config, EMPTY_CONFIG } from '../config/config.ts';
import {
  apiVersionOf,
  CONFIG_RESOURCES,
  type ConfigResource,
  kindOf,
  resolveConfig,
  resourceOfKind,
} from '../config/resolve.ts';
import { Allocator } from '../ipam/allocator.ts';
import type { PoolUsage } from '../ipam/pool-state.ts';
import { Cache, type Change } from '../kubernetes/cache.ts';
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import { type IpAddress, parseAddress } from '../net/address.ts';
import {
  ACCEPTED_CONDITION,
  ALLOCATED_CONDITION,
  accepted,
  type ConditionNote,
  isSaid,
} from '../reasons/conditions.ts';
import { type EventNote, type EventTarget, targetOf, type UnservedReason } from '../reasons/reasons.ts';
import { POOL_ANNOTATION } from '../service/annotations.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { isOurClass } from '../service/service-class.ts';
import { decideService, deprecatedAnnotations, type ServiceDecision, useOf } from './service-decision.ts';

export const CONTROLLER_RESOURCES = ['services', ...CONFIG_RESOURCES, 'namespaces'] as const;
export type ControllerResource = (typeof CONTROLLER_RESOURCES)[number];

export interface ControllerSettings {
  /** Begin as a standby that sees everything and does nothing until it is told to lead. */
  readonly standby?: boolean;
  /** --lb-class; empty: Services without a class. */
  readonly loadBalancerClass: string;
}

/** What the controller writes to. */
export type WrittenResource = 'services' | ConfigResource;

export type ControllerInput =
  | Change<ControllerResource>
  | { readonly kind: 'lead' }
  /** The answer to `write-service` or `write-status`. */
  | { readonly kind: 'written'; readonly resource: WrittenResource; readonly object: KubernetesObject }
  | {
      readonly kind: 'write-failed';
      readonly resource: WrittenResource;
      readonly key: string;
      readonly status: number;
      readonly message: string;
    };

export type ControllerOutput =
  | {
      readonly kind: 'write-service';
      readonly key: string;
      /** The write must fail when the Service has changed since. */
      readonly resourceVersion: string;
      readonly addresses: readonly string[];
      readonly annotations: Readonly<Record<string, string | null>>;
      /** The conditions that are there, and what ours should say. */
      readonly conditions: readonly Condition[];
      readonly condition: ConditionNote | undefined;
    }
  | ({ readonly kind: 'write-status'; readonly resource: ConfigResource; readonly key: string } & StatusNote)
  | ({ readonly kind: 'emit-event'; readonly target: EventTarget } & EventNote)
  /** The write of its address has succeeded, so many milliseconds after it was first seen without one. */
  | { readonly kind: 'service-served'; readonly key: string; readonly after: Millis }
  /** The resource has to be read anew; nothing is decided until its `replaced` comes. */
  | { readonly kind: 'list-anew'; readonly resource: ControllerResource }
  | { readonly kind: 'configuration'; readonly config: Config; readonly problems: readonly Problem[] };

/** What should change in the status of a configuration object; what is absent stays as it is. */
export interface StatusNote {
  /** Counters of an IPAddressPool. */
  readonly usage?: PoolUsage;
  readonly condition?: ConditionNote;
  /** The conditions that are there. */
  readonly conditions: readonly Condition[];
}

export interface ControllerState {
  readonly settings: ControllerSettings;
  readonly leading: boolean;
  /** Not empty: we lead, and have not yet read these as they were when we began to. */
  readonly catchingUp: ReadonlySet<ControllerResource>;
  readonly cache: Cache<ControllerResource>;
  readonly allocator: Allocator;
  readonly config: Config;
  readonly problems: readonly Problem[];
  /** Services to look at; filled by changes, emptied by every step once the cache is synced. */
  readonly dirty: Set<string>;
  /** Services that want an address and could not have one, with the reason. */
  readonly waiting: Map<string, UnservedReason>;
  /** Services without an address, with the moment from which on they have waited for one. */
  readonly pendingSince: Map<string, Millis>;
  /** The last thing told about each object; the same is not told twice. */
  readonly told: Map<string, string>;
  /** Objects with a write under way, with the resourceVersion that the write was made against. */
  readonly writing: Map<string, string | undefined>;
  /** Failed writes to be tried again. */
  readonly retries: Map<string, { readonly at: Millis; readonly attempt: number }>;
  /** The statuses of configuration objects: what was written last, and when to look again. */
  readonly statuses: { readonly written: Map<string, string>; readonly dueAt: Millis | undefined };
}

/** A retry of a failed write waits this long at first and at most, in milliseconds. */
const RETRY = { first: 100, longest: 10_000 };
/** Pool counters are written this long after they changed, so that a thousand allocations cost one write. */
const STATUS_DELAY = 300;

export function initialController(settings: ControllerSettings): ControllerState {
  return {
    settings,
    leading: settings.standby !== true,
    catchingUp: new Set(),
    cache: new Cache(CONTROLLER_RESOURCES),
    allocator: new Allocator(),
    config: EMPTY_CONFIG,
    problems: [],
    dirty: new Set(),
    waiting: new Map(),
    pendingSince: new Map(),
    told: new Map(),
    writing: new Map(),
    retries: new Map(),
    statuses: { written: new Map(), dueAt: undefined },
  };
}

/** The state is owned by the machine and partly changed in place; see core/machine.ts. */
export const controllerMachine: Machine<ControllerState, ControllerInput, ControllerOutput> = {
  step(state, input, now) {
    const outputs: ControllerOutput[] = [];
    let next = takeIn(state, input, now, outputs);
    if (mayDecide(next)) {
      next = decideAll(next, now, outputs);
      next = writeStatuses(next, now, outputs);
    }
    return { next, outputs };
  },
  nextDeadline({ retries, statuses }): Deadline | undefined {
    return earliest([
      ...[...retries]
        .filter(([, { at }]) => at !== Number.POSITIVE_INFINITY)
        .map(([key, { at }]) => ({ at, why: `retry of ${key}` })),
      statuses.dueAt === undefined ? undefined : { at: statuses.dueAt, why: 'statuses' },
    ]);
  },
};

function mayDecide({ cache, leading, catchingUp }: ControllerState): boolean {
  return cache.synced && leading && catchingUp.size === 0;
}

function caughtUp(state: ControllerState, resource: ControllerResource): ControllerState {
  if (!state.catchingUp.has(resource)) return state;
  return { ...state, catchingUp: new Set([...state.catchingUp].filter((other) => other !== resource)) };
}

function takeIn(
  state: ControllerState,
  input: ControllerInput | { kind: 'tick' },
  now: Millis,
  outputs: ControllerOutput[],
): ControllerState {
  switch (input.kind) {
    case 'tick':
      for (const [key, { at }] of state.retries) if (at <= now) state = markRetry(state, key, now);
      return state;
    case 'lead':
      // Watches may be behind: an address that the last leader gave away a moment ago must not be given again, nor be
      // taken away because we have not heard of its pool yet.
      for (const resource of CONTROLLER_RESOURCES) outputs.push({ kind: 'list-anew', resource });
      return { ...state, leading: true, catchingUp: new Set(CONTROLLER_RESOURCES) };
    case 'written': {
      const key = objectKey(input.object);
      const id = `${input.resource} ${key}`;
      const against = state.writing.get(id);
      state.writing.delete(id);
      state.retries.delete(id);
      if (input.resource === 'services') {
        tellServed(state, key, input.object, now, outputs);
        // The answer is news only if the watch has not brought anything newer in the meantime.
        const cached = state.cache.get('services', key);
        if (cached !== undefined && cached.metadata.resourceVersion === against) {
          state.cache.apply({ kind: 'applied', resource: 'services', object: input.object });
        }
        state.dirty.add(key);
      }
      return state;
    }
    case 'write-failed':
      return onWriteFailed(state, input, now);
    default: {
      const wasSynced = state.cache.synced;
      const changed = state.cache.apply(input);
      if (input.resource === 'services') for (const key of changed) state.dirty.add(key);
      const next = input.kind === 'replaced' ? caughtUp(state, input.resource) : state;
      const hasCaughtUp = state.catchingUp.size > 0 && next.catchingUp.size === 0;
      const becameSynced = !wasSynced && next.cache.synced;
      const configChanged = input.resource !== 'services' && changed.length > 0;
      return mayDecide(next) && (becameSynced || configChanged || hasCaughtUp) ? reconfigure(next, now, outputs) : next;
    }
  }
}

/** The Service has its address now, for everybody to see. */
function tellServed(
  { pendingSince }: ControllerState,
  key: string,
  service: Service,
  now: Millis,
  outputs: ControllerOutput[],
): void {
  const since = pendingSince.get(key);
  if (since === undefined || currentAddresses(service).length === 0) return;
  pendingSince.delete(key);
  outputs.push({ kind: 'service-served', key, after: now - since });
}

function markRetry(state: ControllerState, key: string, now: Millis): ControllerState {
  const [resource, name] = key.split(' ') as [string, string];
  const retry = state.retries.get(key)!;
  state.retries.set(key, { ...retry, at: Number.POSITIVE_INFINITY });
  if (resource === 'services') {
    state.dirty.add(name);
    return state;
  }
  state.statuses.written.delete(key);
  return { ...state, statuses: { ...state.statuses, dueAt: now } };
}

function onWriteFailed(
  state: ControllerState,
  input: Extract<ControllerInput, { kind: 'write-failed' }>,
  now: Millis,
): ControllerState {
  const id = `${input.resource} ${input.key}`;
  state.writing.delete(id);
  // 404: the object is gone, and its deletion is on the way to us.
  if (input.status === 404) {
    state.retries.delete(id);
    return state;
  }
  // 409: somebody else was faster; their change is on the way to us, or here already.
  const attempt = input.status === 409 ? 1 : (state.retries.get(id)?.attempt ?? 0) + 1;
  state.retries.set(id, { at: now + Math.min(RETRY.first * 2 ** (attempt - 1), RETRY.longest), attempt });
  return state;
}

function reconfigure(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  const { cache, allocator } = state;
  const objects = Object.fromEntries(
    [...CONFIG_RESOURCES, 'namespaces' as const].map((resource) => [resource, cache.all(resource)]),
  );
  const { config, problems } = resolveConfig(objects, state.config);
  tellProblems(state, problems, outputs);
  for (const key of allocator.setPools(config.pools)) state.dirty.add(key);
  // Selection rules may have changed for anybody: look at every Service.
  for (const key of cache.keys('services')) state.dirty.add(key);
  outputs.push({ kind: 'configuration', config, problems });
  return { ...state, config, problems, statuses: { ...state.statuses, dueAt: now } };
}

function tellProblems(state: ControllerState, problems: readonly Problem[], outputs: ControllerOutput[]): void {
  const byObject = problemsByObject(problems);
  for (const id of [...state.told.keys()]) if (!id.startsWith('services ') && !byObject.has(id)) state.told.delete(id);
  for (const [id, found] of byObject) {
    const [resource, key] = id.split(' ') as [ConfigResource, string];
    const object = state.cache.get(resource, key);
    if (object === undefined) continue;
    const note: EventNote = { reason: 'InvalidConfiguration', message: found.map(formatFault).join('\n') };
    tell(state, id, targetOf(apiVersionOf(resource), kindOf(resource), object), [note], outputs);
  }
}

/** By `resource namespace/name`. */
function problemsByObject(problems: readonly Problem[]): Map<string, Problem[]> {
  return Map.groupBy(
    problems,
    ({ object }) => `${resourceOfKind(object.kind)} ${object.namespace ?? ''}/${object.name}`,
  );
}

/** Those that hold addresses come first, oldest first: nobody new can take what somebody has. */
function decideAll(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
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
      if (service === undefined) forget(state, key);
      else if (isOurs(state, key, service)) decideOne(state, key, service, setAside, now, outputs);
      const after = state.allocator.allocationOf(key);
      if (before !== after) changed = true;
      // What the status still shows may go to nobody else before that is written: one address, one Service, always.
      linger(state, key, service);
    }
    // An address has become free: those who wait may want it.
    if (state.allocator.releases !== releases) for (const key of state.waiting.keys()) state.dirty.add(key);
  }
  if (!changed || state.statuses.dueAt !== undefined) return state;
  return { ...state, statuses: { ...state.statuses, dueAt: now + STATUS_DELAY } };
}

/** The API server takes the class away together with the type; what the Service had from us is still ours to take back. */
function isOurs(state: ControllerState, key: string, service: Service): boolean {
  if (isOurClass(service, state.settings.loadBalancerClass)) return true;
  if (service.spec?.type === 'LoadBalancer') return false;
  const id = `services ${key}`;
  return state.allocator.allocationOf(key) !== undefined || state.writing.has(id) || state.retries.has(id);
}

/** Names of the pools that exist and are not in force, not even in an older version. */
export function poolsSetAside({ problems, allocator }: Pick<ControllerState, 'problems' | 'allocator'>): Set<string> {
  const bad = problems.filter(({ object }) => object.kind === 'IPAddressPool').map(({ object }) => object.name);
  return new Set(bad.filter((name) => !allocator.has(name)));
}

function linger({ allocator }: ControllerState, key: string, service: Service | undefined): void {
  if (service === undefined) allocator.linger(key, [], NO_USE);
  else allocator.linger(key, shownAddresses(service), useOf(service));
}

const NO_USE = { sharingKey: '', backendKey: '', ports: [] };

function shownAddresses(service: Service): IpAddress[] {
  return currentAddresses(service).flatMap((text) => parseAddress(text) ?? []);
}

function rank(service: Service | undefined): number {
  if (service === undefined) return -1;
  return -currentAddresses(service).length;
}

function compareAge(a: Service | undefined, b: Service | undefined): number {
  const [ageA, ageB] = [a?.metadata.creationTimestamp ?? '', b?.metadata.creationTimestamp ?? ''];
  return ageA < ageB ? -1 : ageA > ageB ? 1 : 0;
}

function forget(state: ControllerState, key: string): void {
  state.allocator.release(key);
  state.waiting.delete(key);
  state.pendingSince.delete(key);
  state.told.delete(`services ${key}`);
  state.told.delete(`services ${key} deprecated`);
  state.retries.delete(`services ${key}`);
}

function decideOne(
  state: ControllerState,
  key: string,
  service: Service,
  setAside: ReadonlySet<string>,
  now: Millis,
  outputs: ControllerOutput[],
): void {
  const decision = decideService(service, state.allocator, setAside);
  if (decision.unserved === undefined) state.waiting.delete(key);
  else state.waiting.set(key, decision.unserved);
  if (service.spec?.type !== 'LoadBalancer') state.pendingSince.delete(key);
  else if (currentAddresses(service).length === 0 && !state.pendingSince.has(key)) state.pendingSince.set(key, now);
  const id = `services ${key}`;
  const differs = !isWritten(service, decision);
  const target = targetOf('v1', 'Service', service);
  tell(state, id, target, decision.events, outputs);
  if (differs) tell(state, `${id} deprecated`, target, deprecatedAnnotations(service), outputs);
  if (!differs) {
    state.retries.delete(id);
    return;
  }
  const retry = state.retries.get(id);
  if (state.writing.has(id) || (retry !== undefined && retry.at !== Number.POSITIVE_INFINITY)) return;
  state.writing.set(id, service.metadata.resourceVersion);
  outputs.push({
    kind: 'write-service',
    key,
    resourceVersion: service.metadata.resourceVersion ?? '',
    addresses: decision.addresses,
    annotations: { [POOL_ANNOTATION]: decision.pool ?? null },
    conditions: service.status?.conditions ?? [],
    condition: decision.condition,
  });
}

function isWritten(service: Service, decision: ServiceDecision): boolean {
  const held = currentAddresses(service);
  const sameAddresses =
    held.length === decision.addresses.length && held.every((text, i) => text === decision.addresses[i]);
  const samePool = service.metadata.annotations?.[POOL_ANNOTATION] === decision.pool;
  return sameAddresses && samePool && isSaid(service.status?.conditions ?? [], ALLOCATED_CONDITION, decision.condition);
}

function tell(
  state: ControllerState,
  id: string,
  target: EventTarget,
  notes: readonly EventNote[],
  outputs: ControllerOutput[],
): void {
  if (notes.length === 0) return;
  const text = JSON.stringify(notes);
  if (state.told.get(id) === text) return;
  state.told.set(id, text);
  for (const note of notes) outputs.push({ kind: 'emit-event', target, ...note });
}

/** What a status should say and does not yet is written, some time after the last change. */
function writeStatuses(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  const { dueAt, written } = state.statuses;
  if (dueAt === undefined || dueAt > now) return state;
  const problems = problemsByObject(state.problems);
  for (const resource of CONFIG_RESOURCES) {
    for (const object of state.cache.all<ObjectWithStatus>(resource)) {
      const key = objectKey(object);
      const id = `${resource} ${key}`;
      const retry = state.retries.get(id);
      if (state.writing.has(id) || (retry !== undefined && retry.at !== Number.POSITIVE_INFINITY)) continue;
      const note = statusNote(state, resource, object, problems.get(id) ?? []);
      const text = JSON.stringify(note);
      // What was written and is not there has been pruned by a server with upstream's definitions: once is enough.
      if (note === undefined || written.get(id) === text) continue;
      written.set(id, text);
      state.writing.set(id, undefined);
      outputs.push({ kind: 'write-status', resource, key, ...note });
    }
  }
  return { ...state, statuses: { written, dueAt: undefined } };
}

type ObjectWithStatus = KubernetesObject & {
  readonly status?: Partial<PoolUsage> & { readonly conditions?: readonly Condition[] };
};

const COUNTERS = ['assignedIPv4', 'assignedIPv6', 'availableIPv4', 'availableIPv6'] as const;

/** Undefined when the status is as it should be. */
function statusNote(
  { config, allocator }: ControllerState,
  resource: ConfigResource,
  { metadata, status }: ObjectWithStatus,
  problems: readonly Problem[],
): StatusNote | undefined {
  const conditions = status?.conditions ?? [];
  const condition = accepted(problems);
  const says = isSaid(conditions, ACCEPTED_CONDITION, condition);
  const counts = resource === 'ipaddresspools' && config.pools.some(({ name }) => name === metadata.name);
  const usage = allocator.usage(metadata.name);
  const isCounted = COUNTERS.every((counter) => status?.[counter] === usage[counter]);
  if (says && (!counts || isCounted)) return undefined;
  return {
    // The counters of a pool are a required part of its status, also when it was set aside from the start.
    ...((counts || (resource === 'ipaddresspools' && status === undefined)) && { usage }),
    ...(!says && { condition }),
    conditions,
  };
}
