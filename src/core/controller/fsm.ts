/**
 * The controller as a machine: changes of Services, pools and namespaces in; status writes and Events out.
 *
 *   gather  the cache of watched objects
 *   decide  decideService, one Service at a time, those with addresses first
 *   act     outputs; at most one write under way per object, many objects at once
 * @module
 */
import { objectKey, type Service } from '../api/kubernetes.ts';
import { CONFIG_RESOURCES, resolveConfig } from '../config/resolve.ts';
import type { ServiceKey } from '../ipam/request.ts';
import { type Deadline, earliest, type Machine, type Millis, type Tick } from '../machine.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { changeConfigRecord, configRecord, forgetDeleted, tellProblems, writeStatuses } from './config-objects.ts';
import { lookAround, surroundingsChanged } from './look-around.ts';
import { decideServices } from './services.ts';
import {
  type ControllerInput,
  type ControllerOutput,
  type ControllerResource,
  type ControllerState,
  NEEDED_RESOURCES,
  OPTIONAL_RESOURCES,
} from './state.ts';
import { failed, NO_WRITE, resumed } from './write-state.ts';

/** The state is owned by the machine and partly changed in place; see core/machine.ts. */
export const controllerMachine: Machine<ControllerState, ControllerInput, ControllerOutput> = {
  step(state, input, now) {
    const outputs: ControllerOutput[] = [];
    let next = takeIn(state, input, now, outputs);
    if (mayDecide(next)) {
      next = lookAround(next, now);
      next = decideServices(next, now, outputs);
      next = writeStatuses(next, now, outputs);
    }
    return { next, outputs };
  },
  nextDeadline: (state) => earliest(deadlines(state)),
};

function* deadlines(state: ControllerState): Iterable<Deadline> {
  const { services, configRecords, statusesDueAt, surroundingsDueAt } = state;
  for (const { key, at } of services.retries()) yield { at, why: `retry of services ${key}` };
  for (const { key, address, at } of services.graces())
    yield { at, why: `address ${address} of services ${key} waits` };
  for (const { resource, key, write } of configRecords.values())
    if (write.kind === 'backing-off') yield { at: write.until, why: `retry of ${resource} ${key}` };
  // What is due while nothing may be decided is done with the first decision.
  if (!mayDecide(state)) return;
  if (statusesDueAt !== undefined) yield { at: statusesDueAt, why: 'statuses' };
  if (surroundingsDueAt !== undefined) yield { at: surroundingsDueAt, why: 'surroundings' };
}

function mayDecide({ cache, leading, catchingUp }: ControllerState): boolean {
  return cache.synced && leading && catchingUp.size === 0;
}

function caughtUp(state: ControllerState, resource: ControllerResource): ControllerState {
  if (!state.catchingUp.has(resource)) return state;
  return { ...state, catchingUp: new Set([...state.catchingUp].filter((other) => other !== resource)) };
}

function takeIn(
  state: ControllerState,
  input: ControllerInput | Tick,
  now: Millis,
  outputs: ControllerOutput[],
): ControllerState {
  switch (input.kind) {
    case 'tick':
      endGraces(state, now);
      return resumeWrites(state, now);
    case 'lead':
      // Watches may be behind: an address that the last leader gave away a moment ago must not be given again, nor be
      // taken away because we have not seen its pool yet.
      for (const resource of NEEDED_RESOURCES) outputs.push({ kind: 'relist', resource });
      return { ...state, leading: true, catchingUp: new Set(NEEDED_RESOURCES) };
    case 'interrupted':
      if (OPTIONAL_RESOURCES.includes(input.resource)) return state;
      return { ...state, catchingUp: new Set([...state.catchingUp, input.resource]) };
    case 'written':
      return onWritten(state, input, now, outputs);
    case 'write-failed':
      return onWriteFailed(state, input, now);
    default: {
      const wasSynced = state.cache.synced;
      const changed = state.cache.apply(input);
      if (input.resource === 'services') for (const key of changed) state.dirty.add(key);
      const next = input.kind === 'replaced' ? caughtUp(state, input.resource) : state;
      const hasCaughtUp = state.catchingUp.size > 0 && next.catchingUp.size === 0;
      const becameSynced = !wasSynced && next.cache.synced;
      // Nodes have no part in allocation.
      if (input.resource === 'nodes') return changed.length > 0 ? surroundingsChanged(next, now) : next;
      const configChanged = input.resource !== 'services' && changed.length > 0;
      return mayDecide(next) && (becameSynced || configChanged || hasCaughtUp) ? reconfigure(next, now, outputs) : next;
    }
  }
}

function endGraces({ services, dirty }: ControllerState, now: Millis): void {
  for (const { key, address, at } of [...services.graces()]) {
    if (at > now) continue;
    services.change(key, { graces: new Map(services.get(key).graces).set(address, { kind: 'over' }) });
    dirty.add(key);
  }
}

function resumeWrites(state: ControllerState, now: Millis): ControllerState {
  for (const { key, at } of [...state.services.retries()]) {
    if (at > now) continue;
    state.services.change(key, { write: resumed(state.services.get(key).write) });
    state.dirty.add(key);
  }
  let next = state;
  for (const { resource, key, write } of [...state.configRecords.values()]) {
    if (write.kind !== 'backing-off' || write.until > now) continue;
    changeConfigRecord(state, resource, key, { write: resumed(write), written: undefined });
    next = { ...next, statusesDueAt: now };
  }
  return next;
}

function onWritten(
  state: ControllerState,
  { resource, object }: Extract<ControllerInput, { kind: 'written' }>,
  now: Millis,
  outputs: ControllerOutput[],
): ControllerState {
  const key = objectKey(object);
  if (resource !== 'services') {
    const { isOverdue } = configRecord(state, resource, key);
    changeConfigRecord(state, resource, key, { write: NO_WRITE, isOverdue: false });
    forgetDeleted(state);
    return isOverdue ? { ...state, statusesDueAt: now } : state;
  }
  const { write } = state.services.get(key);
  state.services.change(key, { write: NO_WRITE });
  tellServed(state, key, object, now, outputs);
  // The watch may already have brought a newer version.
  const cached = state.cache.get('services', key);
  if (cached !== undefined && write.kind === 'under-way' && cached.metadata.resourceVersion === write.against)
    state.cache.apply({ kind: 'applied', resource, object });
  state.dirty.add(key);
  return state;
}

/** The Service's status shows its address now. */
function tellServed(
  { services }: ControllerState,
  key: ServiceKey,
  service: Service,
  now: Millis,
  outputs: ControllerOutput[],
): void {
  const { pendingSince } = services.get(key);
  if (pendingSince === undefined || currentAddresses(service).length === 0) return;
  services.change(key, { pendingSince: undefined });
  outputs.push({ kind: 'service-served', key, after: now - pendingSince });
}

function onWriteFailed(
  state: ControllerState,
  { resource, key, status }: Extract<ControllerInput, { kind: 'write-failed' }>,
  now: Millis,
): ControllerState {
  if (resource === 'services') {
    state.services.change(key, { write: failed(state.services.get(key).write, status, now) });
    if (state.cache.get(resource, key) === undefined) state.services.forget(key);
    return state;
  }
  const { write } = configRecord(state, resource, key);
  changeConfigRecord(state, resource, key, { write: failed(write, status, now), isOverdue: false });
  forgetDeleted(state);
  return state;
}

function reconfigure(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  const { cache, allocator } = state;
  const objects = cache.of([...CONFIG_RESOURCES, 'namespaces']);
  const { config, problems } = resolveConfig(objects, state.config, { engine: state.settings.bgpEngine });
  forgetDeleted(state);
  tellProblems(state, problems, outputs);
  allocator.setPools(config.pools);
  // Selection rules may have changed for any Service: look at all of them.
  for (const key of cache.keys('services')) state.dirty.add(key);
  outputs.push({ kind: 'configuration', config, problems });
  return { ...surroundingsChanged(state, now), config, problems, statusesDueAt: now };
}
