/**
 * Configuration is read from one namespace, the controller's. Elsewhere it does nothing, without a word from anybody.
 * @module
 */
import { referenceTo } from '../api/kind.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { CONFIG_RESOURCES, type ConfigObjects, kindOf } from './resolve.ts';

/** Says that an object is where nobody looks. */
export function elsewhere(kind: string, object: KubernetesObject, namespace: string): Problem {
  return {
    object: referenceTo(kind, object),
    field: 'metadata.namespace',
    value: object.metadata.namespace ?? '',
    message: 'configuration is read from one namespace only',
    cure: `create it in the namespace ${namespace}`,
  };
}

export interface OneNamespace<T> {
  /** Undefined: it cannot be told, and everything counts. */
  readonly namespace: string | undefined;
  /** What was given, without the configuration of other namespaces. */
  readonly objects: T;
  /** One for each object that was left out. */
  readonly problems: readonly Problem[];
}

/** Where manifests install us. */
const USUAL = 'metallb-system';

/**
 * Leaves the configuration of one namespace: `given`, else that in which the controller writes its ConfigurationState, else the usual
 * one. A pool elsewhere that has counters shows that this controller reads all namespaces, as `metallb standalone` does.
 */
export function inOneNamespace<
  T extends ConfigObjects & { readonly configurationstates?: readonly KubernetesObject[] },
>(objects: T, given?: string): OneNamespace<T> {
  const used = new Set(CONFIG_RESOURCES.flatMap((resource) => (objects[resource] ?? []).map(namespaceOf)));
  const speaking = objects.configurationstates?.find(({ metadata }) => metadata.name === 'controller');
  const guessed = (speaking && namespaceOf(speaking)) ?? (used.has(USUAL) ? USUAL : undefined);
  const readsAll = objects.ipaddresspools?.some((pool) => namespaceOf(pool) !== guessed && isCounted(pool));
  const namespace = given ?? (readsAll ? undefined : guessed);
  if (namespace === undefined) return { namespace, objects, problems: [] };
  const problems: Problem[] = [];
  const kept = CONFIG_RESOURCES.map((resource) => {
    const [here, there] = partition(objects[resource] ?? [], (object) => namespaceOf(object) === namespace);
    problems.push(...there.map((object) => elsewhere(kindOf(resource), object, namespace)));
    return [resource, here];
  });
  return { namespace, objects: { ...objects, ...Object.fromEntries(kept) }, problems };
}

function isCounted(pool: KubernetesObject & { readonly status?: { readonly assignedIPv4?: number } }): boolean {
  return pool.status?.assignedIPv4 !== undefined;
}

function namespaceOf({ metadata }: KubernetesObject): string {
  return metadata.namespace ?? '';
}

function partition<V>(values: readonly V[], belongs: (value: V) => boolean): [V[], V[]] {
  return [values.filter(belongs), values.filter((value) => !belongs(value))];
}
