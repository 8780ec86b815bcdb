/**
 * The API objects that a process knows: one map per resource, updated by the changes that reflectors report.
 * @module
 */
import { ANNOTATION_PREFIX } from '../api/annotations.ts';
import { type KubernetesObject, type Node, objectKey, type Pod } from '../api/kubernetes.ts';
import { CONFIG_RESOURCES } from '../config/resolve.ts';
import { equal } from '../net/equal.ts';

/** A change of one watched resource; `R` is the set of names of the resources that the process watches. */
export type Change<R extends string> =
  | { readonly kind: 'replaced'; readonly resource: R; readonly objects: readonly KubernetesObject[] }
  | { readonly kind: 'applied'; readonly resource: R; readonly object: KubernetesObject }
  | { readonly kind: 'deleted'; readonly resource: R; readonly object: KubernetesObject };

export class Cache<R extends string> {
  readonly #resources: Readonly<Record<R, Map<string, KubernetesObject>>>;
  readonly #missing: Set<R>;

  /** `optional`: what the process may be forbidden to see, and can do without. */
  constructor(resources: readonly R[], optional: readonly R[] = []) {
    this.#resources = Object.fromEntries(resources.map((name) => [name, new Map()])) as Record<
      R,
      Map<string, KubernetesObject>
    >;
    this.#missing = new Set(resources.filter((resource) => !optional.includes(resource)));
  }

  /** True once everything that is needed has been listed. */
  get synced(): boolean {
    return this.#missing.size === 0;
  }

  /** The resources that have not been listed yet. */
  get missing(): readonly R[] {
    return [...this.#missing];
  }

  /** Applies a change; returns the keys of the objects that differ now in a part that decisions depend on. */
  apply(change: Change<R>): string[] {
    const objects = this.#resources[change.resource];
    if (change.kind === 'replaced') {
      this.#missing.delete(change.resource);
      const next = new Map(change.objects.map((object) => [objectKey(object), object]));
      const changed = [...next]
        .filter(([key, object]) => !isSame(change.resource, objects.get(key), object))
        .map(([key]) => key);
      const gone = [...objects.keys()].filter((key) => !next.has(key));
      objects.clear();
      for (const [key, object] of next) objects.set(key, object);
      return [...changed, ...gone];
    }
    const key = objectKey(change.object);
    if (change.kind === 'deleted') return objects.delete(key) ? [key] : [];
    const before = objects.get(key);
    objects.set(key, change.object);
    return isSame(change.resource, before, change.object) ? [] : [key];
  }

  get<T extends KubernetesObject>(resource: R, key: string): T | undefined {
    return this.#resources[resource].get(key) as T | undefined;
  }

  all<T extends KubernetesObject>(resource: R): T[] {
    return [...this.#resources[resource].values()] as T[];
  }

  /** All objects of these resources. */
  of<Some extends R>(resources: readonly Some[]): Record<Some, KubernetesObject[]> {
    const lists = resources.map((resource) => [resource, this.all(resource)] as const);
    return Object.fromEntries(lists) as Record<Some, KubernetesObject[]>;
  }

  keys(resource: R): string[] {
    return [...this.#resources[resource].keys()];
  }
}

/**
 * The part of an object that decisions depend on, where that is less than the whole. Nodes report their health every few
 * minutes, and the status of a pool changes with every address: neither is a reason to decide again.
 */
const SUBSTANCE: Readonly<Record<string, (object: KubernetesObject) => unknown>> = {
  nodes: ({ metadata, spec, status }: Node) => [
    metadata.labels,
    spec?.unschedulable,
    // Any of them may say where a router is (peer templates), or that the node is drained.
    metadata.annotations,
    status?.conditions?.find(({ type }) => type === 'NetworkUnavailable')?.status,
    // A pool should contain none of these.
    status?.addresses,
    spec?.podCIDRs,
  ],
  pods: ({ metadata, spec, status }: Pod) => [metadata.deletionTimestamp, spec?.nodeName, status?.podIP],
  namespaces: ({ metadata }) => metadata.labels,
  ...Object.fromEntries(
    CONFIG_RESOURCES.map((resource) => [
      resource,
      (object: KubernetesObject) => {
        const { metadata, spec } = object as KubernetesObject & { spec?: unknown };
        return [metadata.uid, metadata.labels, ours(metadata.annotations), spec];
      },
    ]),
  ),
};

/** Annotations with our prefix. Those that kubectl and others write for themselves affect no decision. */
function ours(annotations: Readonly<Record<string, string>> = {}): [string, string][] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(ANNOTATION_PREFIX));
}

function isSame(resource: string, a: KubernetesObject | undefined, b: KubernetesObject): boolean {
  if (a === undefined) return false;
  const { resourceVersion } = a.metadata;
  if (resourceVersion !== undefined && resourceVersion === b.metadata.resourceVersion) return true;
  const substance = SUBSTANCE[resource];
  return substance !== undefined && equal(substance(a), substance(b));
}
