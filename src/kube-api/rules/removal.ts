/**
 * Cascading deletion: the content of a namespace, the objects of a CustomResourceDefinition, dependents by owner reference.
 * @module
 */
import type { ApiObject, Store } from '../storage/store.ts';
import type { Registry } from './registry.ts';
import { type Resource, storeKey } from './resource.ts';

export class Removal {
  readonly #store: Store;
  readonly #registry: Registry;

  constructor(store: Store, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
  }

  /** Removes an object and everything that is deleted with it. */
  remove(resource: Resource, object: ApiObject, trail: readonly (string | undefined)[] = []): ApiObject {
    const key = storeKey(resource);
    const belongs = (other: Resource, candidate: ApiObject): boolean => {
      if (key === 'namespaces') return candidate.metadata.namespace === object.metadata.name;
      if (key === 'customresourcedefinitions.apiextensions.k8s.io') return storeKey(other) === object.metadata.name;
      return isOwnedBy(candidate, object);
    };
    this.#removeAll(belongs, [...trail, object.metadata.uid]);
    return this.#store.remove(key, object);
  }

  /** Removes the dependents of an object, but not the object itself. */
  removeDependents(owner: ApiObject): void {
    this.#removeAll((_, candidate) => isOwnedBy(candidate, owner), [owner.metadata.uid]);
  }

  /** Removes the owner references of the object's dependents. */
  orphan(owner: ApiObject): void {
    for (const [resource, { metadata, ...object }] of this.#every()) {
      const references = metadata.ownerReferences?.filter(({ uid }) => uid !== owner.metadata.uid);
      if (references?.length === metadata.ownerReferences?.length) continue;
      this.#store.put(storeKey(resource), {
        ...object,
        metadata: { ...metadata, ownerReferences: references },
      } as ApiObject);
    }
  }

  /** `trail`: uids of objects that are being removed already, because owner references may form a cycle. */
  #removeAll(
    isDoomed: (resource: Resource, object: ApiObject) => boolean,
    trail: readonly (string | undefined)[],
  ): void {
    for (const [resource, object] of this.#every()) {
      const { namespace = '', name, uid } = object.metadata;
      if (!isDoomed(resource, object) || trail.includes(uid)) continue;
      // It may have been removed with another object.
      if (this.#store.get(storeKey(resource), namespace, name) !== undefined) this.remove(resource, object, trail);
    }
  }

  /** Every object in the store, with its resource in any one version. */
  *#every(): Iterable<readonly [Resource, ApiObject]> {
    const seen = new Set<string>();
    for (const resource of this.#registry.all()) {
      if (seen.has(storeKey(resource))) continue;
      seen.add(storeKey(resource));
      for (const object of this.#store.list(storeKey(resource))) yield [resource, object];
    }
  }
}

function isOwnedBy(object: ApiObject, owner: ApiObject): boolean {
  return object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) ?? false;
}
