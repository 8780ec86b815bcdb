/**
 * What a process knows of the API: one map per resource, kept by the changes that reflectors report.
 * @module
 */
import { type KubernetesObject, objectKey } from '../api/kubernetes.ts';

/** A change of one watched resource; `R` is the set of names of the resources that the process watches. */
export type Change<R extends string> =
  | { readonly kind: 'replaced'; readonly resource: R; readonly objects: readonly KubernetesObject[] }
  | { readonly kind: 'applied'; readonly resource: R; readonly object: KubernetesObject }
  | { readonly kind: 'deleted'; readonly resource: R; readonly object: KubernetesObject };

export class Cache<R extends string> {
  readonly #resources: Readonly<Record<R, Map<string, KubernetesObject>>>;
  readonly #missing: Set<R>;

  constructor(resources: readonly R[]) {
    this.#resources = Object.fromEntries(resources.map((name) => [name, new Map()])) as Record<
      R,
      Map<string, KubernetesObject>
    >;
    this.#missing = new Set(resources);
  }

  /** True once every resource has been listed. */
  get synced(): boolean {
    return this.#missing.size === 0;
  }

  /** Takes a change in and returns the keys of the objects that differ now. */
  apply(change: Change<R>): string[] {
    const objects = this.#resources[change.resource];
    if (change.kind === 'replaced') {
      this.#missing.delete(change.resource);
      const next = new Map(change.objects.map((object) => [objectKey(object), object]));
      const changed = [...next].filter(([key, object]) => !sameVersion(objects.get(key), object)).map(([key]) => key);
      const gone = [...objects.keys()].filter((key) => !next.has(key));
      objects.clear();
      for (const [key, object] of next) objects.set(key, object);
      return [...changed, ...gone];
    }
    const key = objectKey(change.object);
    if (change.kind === 'deleted') return objects.delete(key) ? [key] : [];
    if (sameVersion(objects.get(key), change.object)) return [];
    objects.set(key, change.object);
    return [key];
  }

  get<T extends KubernetesObject>(resource: R, key: string): T | undefined {
    return this.#resources[resource].get(key) as T | undefined;
  }

  all<T extends KubernetesObject>(resource: R): T[] {
    return [...this.#resources[resource].values()] as T[];
  }

  keys(resource: R): string[] {
    return [...this.#resources[resource].keys()];
  }
}

function sameVersion(a: KubernetesObject | undefined, b: KubernetesObject): boolean {
  return (
    a !== undefined &&
    a.metadata.resourceVersion !== undefined &&
    a.metadata.resourceVersion === b.metadata.resourceVersion
  );
}
