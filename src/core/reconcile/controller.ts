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
import { resolveConfig } from '../config/resolve.ts';
import { Allocator } from '../ipam/allocator.ts';
import type { PoolUsage } from '../ipam/pool-state.ts';
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import { type IpAddress, parseAddress } from '../net/address.ts';
import { POOL_ANNOTATION } from './annotations.ts';
import { Cache, type Change } from './cache.ts';
import { type ConditionNote, isSaid } from './conditions.ts';
import { type EventNote, type EventTarget, targetOf } from './reasons.ts';
import { isOurClass } from './service-class.ts';
import {
  currentAddresses,
  decideService,
  deprecatedAnnotations,
  type ServiceDecision,
  useOf,
} from './service-decision.ts';

export const CONTROLLER_RESOURCES = ['services', 'ipaddresspools', 'l2advertisements', 'namespaces'] as const;
export type ControllerResource = (typeof CONTROLLER_RESOURCES)[number];

export interface ControllerSettings {
  /** Begin as a standby that sees everything and does nothing until it is told to lead. */
  readonly standby?: boolean;
  /** --lb-class; empty: Services without a class. */
  readonly loadBalancerClass: string;
}

export type ControllerInput =
  | Change<ControllerResource>
  | { readonly kind: 'lead' }
  /** The answer to `write-service` or `write-pool-status`. */
  | { readonly kind: 'written'; readonly resource: 'services' | 'ipaddresspools'; readonly object: KubernetesObject }
  | {
      readonly kind: 'write-failed';
      readonly resource: 'services' | 'ipaddresspools';
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
  | { readonly kind: 'write-pool-status'; readonly key: string; readonly status: PoolUsage }
  | ({ readonly kind: 'emit-event'; readonly target: EventTarget } & EventNote)
  | { readonly kind: 'configuration'; readonly config: Config; readonly problems: readonly Problem[] };

export interface ControllerState {
  readonly settings: ControllerSettings;
  readonly leading: boolean;
  readonly cache: Cache<ControllerResource>;
  readonly allocator: Allocator;
  readonly config: Config;
  readonly problems: readonly Problem[];
  /** Services to look at; filled by changes, emptied by every step once the cache is synced. */
  readonly dirty: Set<string>;
  /** Services that want an address and could not have one. */
  readonly waiting: Set<string>;
  /** The last thing told about each object; the same is not told twice. */
  readonly told: Map<string, string>;
  /** Objects with a write under way, with the resourceVersion that the write was made against. */
  readonly writing: Map<string, string | undefined>;
  /** Failed writes to be tried again. */
  readonly retries: Map<string, { readonly at: Millis; readonly attempt: number }>;
  readonly poolStatus: { readonly written: Map<string, string>; readonly dueAt: Millis | undefined };
}

/** A retry of a failed write waits this long at first and at most, in milliseconds. */
const RETRY = { first: 100, longest: 10_000 };
/** Pool counters are written this long after they changed, so that a thousand allocations cost one write. */
const POOL_STATUS_DELAY = 300;

export function initialController(settings: ControllerSettings): ControllerState {
  return {
    settings,
    leading: settings.standby !== true,
    cache: new Cache(CONTROLLER_RESOURCES),
    allocator: new Allocator(),
    config: EMPTY_CONFIG,
    problems: [],
    dirty: new Set(),
    waiting: new Set(),
    told: new Map(),
    writing: new Map(),
    retries: new Map(),
    poolStatus: { written: new Map(), dueAt: undefined },
  };
}

/** The state is owned by the machine and partly changed in place; see core/machine.ts. */
export const controllerMachine: Machine<ControllerState, ControllerInput, ControllerOutput> = {
  step(state, input, now) {
    const outputs: ControllerOutput[] = [];
    let next = takeIn(state, input, now, outputs);
    if (next.cache.synced && next.leading) {
      next = decideAll(next, now, outputs);
      next = writePoolStatus(next, now, outputs);
    }
    return { next, outputs };
  },
  nextDeadline({ retries, poolStatus }): Deadline | undefined {
    return earliest([
      ...[...retries]
        .filter(([, { at }]) => at !== Number.POSITIVE_INFINITY)
        .map(([key, { at }]) => ({ at, why: `retry of ${key}` })),
      poolStatus.dueAt === undefined ? undefined : { at: poolStatus.dueAt, why: 'pool counters' },
    ]);
  },
};

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
    case 'lead': {
      const leading = { ...state, leading: true };
      return state.cache.synced ? reconfigure(leading, now, outputs) : leading;
    }
    case 'written': {
      const key = objectKey(input.object);
      const id = `${input.resource} ${key}`;
      const against = state.writing.get(id);
      state.writing.delete(id);
      state.retries.delete(id);
      if (input.resource === 'services') {
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
      const becameSynced = !wasSynced && state.cache.synced;
      const configChanged = input.resource !== 'services' && changed.length > 0;
      return state.leading && state.cache.synced && (becameSynced || configChanged)
        ? reconfigure(state, now, outputs)
        : state;
    }
  }
}

function markRetry(state: ControllerState, key: string, now: Millis): ControllerState {
  const [resource, name] = key.split(' ') as [string, string];
  const retry = state.retries.get(key)!;
  state.retries.set(key, { ...retry, at: Number.POSITIVE_INFINITY });
  if (resource === 'services') {
    state.dirty.add(name);
    return state;
  }
  state.poolStatus.written.delete(name);
  return { ...state, poolStatus: { ...state.poolStatus, dueAt: now } };
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
  const { config, problems } = resolveConfig(
    {
      pools: cache.all('ipaddresspools'),
      l2Advertisements: cache.all('l2advertisements'),
      namespaces: cache.all('namespaces'),
    },
    state.config,
  );
  tellProblems(state, problems, outputs);
  for (const key of allocator.setPools(config.pools)) state.dirty.add(key);
  // Selection rules may have changed for anybody: look at every Service.
  for (const key of cache.keys('services')) state.dirty.add(key);
  outputs.push({ kind: 'configuration', config, problems });
  return { ...state, config, problems, poolStatus: { ...state.poolStatus, dueAt: now } };
}

function tellProblems(state: ControllerState, problems: readonly Problem[], outputs: ControllerOutput[]): void {
  const RESOURCES: Readonly<Record<string, ControllerResource>> = {
    IPAddressPool: 'ipaddresspools',
    L2Advertisement: 'l2advertisements',
  };
  const byObject = new Map<string, Problem[]>();
  for (const problem of problems) {
    const id = `${RESOURCES[problem.object.kind]} ${problem.object.namespace ?? ''}/${problem.object.name}`;
    byObject.set(id, [...(byObject.get(id) ?? []), problem]);
  }
  for (const id of [...state.told.keys()]) if (!id.startsWith('services ') && !byObject.has(id)) state.told.delete(id);
  for (const [id, found] of byObject) {
    const [resource, key] = id.split(' ') as [ControllerResource, string];
    const object = state.cache.get(resource, key);
    if (object === undefined) continue;
    const note: EventNote = { reason: 'InvalidConfiguration', message: found.map(formatFault).join('\n') };
    tell(state, id, targetOf('metallb.io/v1beta1', found[0]!.object.kind, object), [note], outputs);
  }
}

/** Those that hold addresses come first, oldest first: nobody new can take what somebody has. */
function decideAll(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  let changed = false;
  const setAside = new Set(
    state.problems.filter(({ object }) => object.kind === 'IPAddressPool').map(({ object }) => object.name),
  );
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
      else if (isOurClass(service, state.settings.loadBalancerClass)) decideOne(state, key, service, setAside, outputs);
      const after = state.allocator.allocationOf(key);
      if (before !== after) changed = true;
      // What the status still shows may go to nobody else before that is written: one address, one Service, always.
      linger(state, key, service);
    }
    // An address has become free: those who wait may want it.
    if (state.allocator.releases !== releases) for (const key of state.waiting) state.dirty.add(key);
  }
  if (!changed || state.poolStatus.dueAt !== undefined) return state;
  return { ...state, poolStatus: { ...state.poolStatus, dueAt: now + POOL_STATUS_DELAY } };
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
  state.told.delete(`services ${key}`);
  state.told.delete(`services ${key} deprecated`);
  state.retries.delete(`services ${key}`);
}

function decideOne(
  state: ControllerState,
  key: string,
  service: Service,
  setAside: ReadonlySet<string>,
  outputs: ControllerOutput[],
): void {
  const decision = decideService(service, state.allocator, setAside);
  if (decision.waiting) state.waiting.add(key);
  else state.waiting.delete(key);
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
  return sameAddresses && samePool && isSaid(service.status?.conditions ?? [], decision.condition);
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

/** Counters go into the status of each pool when they differ from what is there, some time after the last change. */
function writePoolStatus(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  const { dueAt, written } = state.poolStatus;
  if (dueAt === undefined || dueAt > now) return state;
  for (const object of state.cache.all<KubernetesObject & { status?: PoolUsage }>('ipaddresspools')) {
    const key = objectKey(object);
    const id = `ipaddresspools ${key}`;
    const retry = state.retries.get(id);
    if (!state.config.pools.some(({ name }) => name === object.metadata.name)) continue;
    if (state.writing.has(id) || (retry !== undefined && retry.at !== Number.POSITIVE_INFINITY)) continue;
    const status = state.allocator.usage(object.metadata.name);
    const text = JSON.stringify(status);
    const present = object.status && JSON.stringify(pick(object.status));
    if (written.get(key) === text || present === text) {
      written.set(key, text);
      continue;
    }
    written.set(key, text);
    state.writing.set(id, undefined);
    outputs.push({ kind: 'write-pool-status', key, status });
  }
  return { ...state, poolStatus: { written, dueAt: undefined } };
}

function pick({ assignedIPv4, assignedIPv6, availableIPv4, availableIPv6 }: PoolUsage): PoolUsage {
  return { assignedIPv4, assignedIPv6, availableIPv4, availableIPv6 };
}
