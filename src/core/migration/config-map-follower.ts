/**
 * `--config-map` as a machine: keeps the custom resources in step with a ConfigMap in the format before 0.13.
 * @module
 */
import { type KubernetesObject, objectKey } from '../api/kubernetes.ts';
import { formatFault, type Problem } from '../api/problem.ts';
import { CONFIG_RESOURCES, type ConfigResource } from '../config/resolve.ts';
import { Cache, type Change } from '../kubernetes/cache.ts';
import type { Desired } from '../kubernetes/writer/messages.ts';
import type { Machine } from '../machine.ts';
import { type EventNote, type EventTarget, eventTarget } from '../reasons/reasons.ts';
import { type ConfigMapPlan, isFrom, planConfigMap } from './config-map.ts';

export type ConfigMap = KubernetesObject & { readonly data?: { readonly config?: string } };

/** The content of the ConfigMap, parsed as YAML; `fault` says why it cannot be parsed. */
export type ConfigDocument =
  | { readonly kind: 'read'; readonly value: unknown }
  | { readonly kind: 'absent' }
  | { readonly kind: 'fault'; readonly fault: string };

export type ConfigMapInput =
  | Change<ConfigResource>
  | { readonly kind: 'config-map'; readonly configMap: ConfigMap; readonly document: ConfigDocument }
  | { readonly kind: 'config-map-gone' };

export type ConfigMapOutput =
  | {
      readonly kind: 'set';
      readonly resource: ConfigResource;
      readonly name: string;
      readonly desired: Desired | undefined;
    }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }
  | { readonly kind: 'emit-event'; readonly target: EventTarget; readonly note: EventNote }
  | { readonly kind: 'config-map-missing' };

/** Owned by the machine and changed in place. */
export interface ConfigMapState {
  readonly name: string;
  readonly namespace: string;
  readonly cache: Cache<ConfigResource>;
  source: { readonly configMap: ConfigMap; readonly document: ConfigDocument } | undefined;
  /** The objects that the ConfigMap asks for, and whether an object of that name exists that was not made from it. */
  wanted: Map<string, { readonly resource: ConfigResource; readonly name: string; isTaken: boolean }>;
  /** The last Event with its object, as text. */
  told: string;
}

type Outputs = ConfigMapOutput[];

export function initialConfigMap(name: string, namespace: string): ConfigMapState {
  return { name, namespace, cache: new Cache(CONFIG_RESOURCES), source: undefined, wanted: new Map(), told: '' };
}

export const configMapMachine: Machine<ConfigMapState, ConfigMapInput, ConfigMapOutput> = {
  step(state, input) {
    const outputs: Outputs = [];
    switch (input.kind) {
      case 'tick':
        break;
      case 'config-map-gone':
        outputs.push({ kind: 'config-map-missing' });
        break;
      case 'config-map':
        state.source = { configMap: input.configMap, document: input.document };
        if (state.cache.synced) follow(state, outputs);
        break;
      default:
        if (isNews(state, input)) follow(state, outputs);
    }
    return { next: state, outputs };
  },
  nextDeadline: () => undefined,
};

/** Applies a change of the resources. True when it may change the plan: a name was freed, or taken. */
function isNews({ cache, wanted, name }: ConfigMapState, change: Change<ConfigResource>): boolean {
  const wasSynced = cache.synced;
  const keys = cache.apply(change);
  if (!wasSynced) return cache.synced;
  return keys.some((key) => {
    const entry = wanted.get(`${change.resource} ${key.slice(key.indexOf('/') + 1)}`);
    const object = cache.get(change.resource, key);
    return entry !== undefined && entry.isTaken !== (object !== undefined && !isFrom(object, name));
  });
}

function follow(state: ConfigMapState, outputs: Outputs): void {
  const { source, wanted } = state;
  if (source === undefined) return;
  const { configMap } = source;
  const plan = planOf(state, source.document);
  outputs.push({ kind: 'problems', problems: plan.problems });
  tell(state, configMap, plan, outputs);
  if (!plan.isInForce) return;
  state.wanted = new Map();
  for (const { resource, object } of plan.writes) {
    const { name, labels = {} } = object.metadata;
    state.wanted.set(`${resource} ${name}`, { resource, name, isTaken: false });
    const desired = { resource, object: { ...object, metadata: { name, labels } } };
    outputs.push({ kind: 'set', resource, name, desired });
  }
  for (const { resource, name } of plan.taken)
    state.wanted.set(`${resource} ${name}`, { resource, name, isTaken: true });
  // Objects of the previous plan may not be in the cache yet.
  const dropped = [...wanted.values()].filter(
    ({ resource, name }) => state.wanted.get(`${resource} ${name}`)?.isTaken !== false,
  );
  for (const { resource, name } of [...plan.removals, ...dropped])
    outputs.push({ kind: 'set', resource, name, desired: undefined });
}

function planOf({ name, namespace, cache }: ConfigMapState, document: ConfigDocument): ConfigMapPlan {
  const refused = (message: string, cure: string): ConfigMapPlan => {
    const object = { kind: 'ConfigMap', namespace, name };
    const consequence = 'until then the last good version stays in force';
    const problem = { object, field: 'data.config', value: '', message, cure, consequence };
    return { isInForce: false, writes: [], taken: [], removals: [], problems: [problem] };
  };
  switch (document.kind) {
    case 'absent':
      return refused(
        'the ConfigMap has no key config',
        'put the configuration there, in the format of MetalLB before 0.13',
      );
    case 'fault':
      return refused(`this is not YAML: ${document.fault}`, 'fix it');
    case 'read': {
      const present = Object.fromEntries(
        CONFIG_RESOURCES.map((resource) => [
          resource,
          cache.all(resource).filter((object) => objectKey(object).startsWith(`${namespace}/`)),
        ]),
      );
      return planConfigMap(document.value, name, namespace, present);
    }
  }
}

/** Emits an Event, unless it is the same as the last one. */
function tell(
  state: ConfigMapState,
  configMap: ConfigMap,
  { problems, writes }: ConfigMapPlan,
  outputs: Outputs,
): void {
  const note: EventNote =
    problems.length > 0
      ? { reason: 'InvalidConfiguration', message: problems.map(formatFault).join('\n') }
      : { reason: 'ConfigurationConverted', message: `${writes.length} resources match this ConfigMap` };
  const text = JSON.stringify([configMap.metadata.uid, note]);
  if (text === state.told) return;
  state.told = text;
  outputs.push({ kind: 'emit-event', target: eventTarget('v1', 'ConfigMap', configMap), note });
}
