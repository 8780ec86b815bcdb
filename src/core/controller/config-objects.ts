/**
 * What users are told on their configuration objects: an Event for what is wrong with one, and its status.
 * @module
 */
import { type Condition, type KubernetesObject, objectKey } from '../api/kubernetes.ts';
import { formatFault, type Problem } from '../api/problem.ts';
import { apiVersionOf, CONFIG_RESOURCES, type ConfigResource, kindOf, resourceOfKind } from '../config/resolve.ts';
import type { PoolUsage } from '../ipam/pool-state.ts';
import type { Millis } from '../machine.ts';
import { equal } from '../net/equal.ts';
import {
  ACCEPTED_CONDITION,
  accepted,
  areSaid,
  type ConditionWish,
  EFFECTIVE_CONDITION,
  effective,
} from '../reasons/conditions.ts';
import { type EventNote, eventTarget } from '../reasons/reasons.ts';
import type { ConfigRecord, ControllerOutput, ControllerState, StatusNote } from './state.ts';
import { begun, NO_WRITE } from './write-state.ts';

export function configRecord({ configRecords }: ControllerState, resource: ConfigResource, key: string): ConfigRecord {
  return (
    configRecords.get(idOf(resource, key)) ?? {
      resource,
      key,
      told: undefined,
      written: undefined,
      write: NO_WRITE,
      isOverdue: false,
    }
  );
}

export function changeConfigRecord(
  state: ControllerState,
  resource: ConfigResource,
  key: string,
  change: Partial<ConfigRecord>,
): void {
  state.configRecords.set(idOf(resource, key), { ...configRecord(state, resource, key), ...change });
}

function idOf(resource: ConfigResource | undefined, key: string): string {
  return `${resource} ${key}`;
}

/** Forgets deleted objects: a new one with the same name starts without a history. */
export function forgetDeleted({ cache, configRecords }: ControllerState): void {
  for (const [id, { resource, key, write }] of configRecords)
    if (cache.get(resource, key) === undefined && write.kind !== 'under-way') configRecords.delete(id);
}

/** Emits one Event for each faulty object, and does not repeat it for the same faults. */
export function tellProblems(state: ControllerState, problems: readonly Problem[], outputs: ControllerOutput[]): void {
  const byObject = problemsByObject(problems);
  for (const record of [...state.configRecords.values()])
    if (record.told !== undefined && !byObject.has(idOf(record.resource, record.key)))
      changeConfigRecord(state, record.resource, record.key, { told: undefined });
  for (const resource of CONFIG_RESOURCES) {
    for (const object of state.cache.all(resource)) {
      const key = objectKey(object);
      const found = byObject.get(idOf(resource, key));
      if (found === undefined) continue;
      const note: EventNote = { reason: 'InvalidConfiguration', message: found.map(formatFault).join('\n') };
      if (equal(configRecord(state, resource, key).told, note)) continue;
      changeConfigRecord(state, resource, key, { told: note });
      const target = eventTarget(apiVersionOf(resource), kindOf(resource), object);
      outputs.push({ kind: 'emit-event', target, ...note });
    }
  }
}

function problemsByObject(problems: readonly Problem[]): Map<string, Problem[]> {
  return Map.groupBy(problems, ({ object: { kind, namespace = '', name } }) =>
    idOf(resourceOfKind(kind), `${namespace}/${name}`),
  );
}

/** What a status should say and does not yet is written, some time after the last change. */
export function writeStatuses(state: ControllerState, now: Millis, outputs: ControllerOutput[]): ControllerState {
  const { statusesDueAt } = state;
  if (statusesDueAt === undefined || statusesDueAt > now) return state;
  const problems = problemsByObject(state.problems);
  const { unmatched } = state.surroundings;
  const unmatchedById = unmatched && problemsByObject(unmatched);
  for (const resource of CONFIG_RESOURCES) {
    for (const object of state.cache.all<ObjectWithStatus>(resource)) {
      const key = objectKey(object);
      const { write, written } = configRecord(state, resource, key);
      if (write.kind === 'under-way') changeConfigRecord(state, resource, key, { isOverdue: true });
      if (write.kind !== 'idle') continue;
      const id = idOf(resource, key);
      const note = statusNote(
        state,
        resource,
        object,
        problems.get(id) ?? [],
        unmatchedById && (unmatchedById.get(id) ?? []),
      );
      // What was written and is not there has been pruned by a server with upstream's definitions: once is enough.
      if (note === undefined || equal(written, note)) continue;
      changeConfigRecord(state, resource, key, { written: note, write: begun(write, undefined) });
      outputs.push({ kind: 'write-status', resource, key, ...note });
    }
  }
  return { ...state, statusesDueAt: undefined };
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
  unmatched: readonly Problem[] | undefined,
): StatusNote | undefined {
  const conditions = status?.conditions ?? [];
  const effect = problems.length === 0 ? unmatched && effective(unmatched) : undefined;
  const wishes: ConditionWish[] = [
    { type: ACCEPTED_CONDITION, note: accepted(problems) },
    // Before anybody has looked, what the last controller saw may stand.
    ...(problems.length > 0 || effect !== undefined ? [{ type: EFFECTIVE_CONDITION, note: effect } as const] : []),
  ];
  const says = areSaid(conditions, wishes);
  const counts = resource === 'ipaddresspools' && config.pools.some(({ name }) => name === metadata.name);
  const usage = allocator.usage(metadata.name);
  const isCounted = COUNTERS.every((counter) => status?.[counter] === usage[counter]);
  if (says && (!counts || isCounted)) return undefined;
  return {
    // The counters of a pool are a required part of its status, also when it was set aside from the start.
    ...((counts || (resource === 'ipaddresspools' && status === undefined)) && { usage }),
    conditions,
    wishes: says ? [] : wishes,
  };
}
