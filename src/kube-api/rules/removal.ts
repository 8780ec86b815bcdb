/**
 * What goes away together: the content of a namespace, the objects of a CustomResourceDefinition, dependents by owner reference.
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

  /** Removes an object with all that belongs to it: the content of a namespace, the objects of a CRD, dependents by owner reference. */
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

  /** Removes what the object owns, and leaves the object itself. */
  removeDependents(owner: ApiObject): void {
    this.#removeAll((_, candidate) => isOwnedBy(candidate, owner), [owner.metadata.uid]);
  }

  /** Leaves what the object owns without an owner. */
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

  /** Those on the trail go anyway: owners may stand in a circle. */
  #removeAll(
    isDoomed: (resource: Resource, object: ApiObject) => boolean,
    trail: readonly (string | undefined)[],
  ): void {
    for (const [resource, object] of this.#every()) {
      const { namespace = '', name, uid } = object.metadata;
      if (!isDoomed(resource, object) || trail.includes(uid)) continue;
      // It may have gone with another one.
      if (this.#store.get(storeKey(resource), namespace, name) !== undefined) this.remove(resource, object, trail);
    }
  }

  /** Every object in the store, with one of the versions of its resource. */
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
