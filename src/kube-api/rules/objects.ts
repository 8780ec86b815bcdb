/**
 * Create, update and delete with the rules that hold for every kind: names, namespaces, preconditions, generations,
 * finalizers, and what goes away together.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import { invalid, type StatusCause, StatusError } from '../status.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import { metadataFaults } from './metadata.ts';
import type { Registry } from './registry.ts';
import { inVersion, type Resource, storeKey } from './resource.ts';

export interface WriteOptions {
  readonly subresource: string | undefined;
  readonly dryRun: boolean;
  /** Strict refuses unknown fields, Warn drops them with a warning, Ignore drops them. */
  readonly validation: string;
  readonly warn: (message: string) => void;
}

/** Options of a write that the API server makes by itself. */
export const INTERNAL_WRITE: WriteOptions = {
  subresource: undefined,
  dryRun: false,
  validation: 'Ignore',
  warn: () => {},
};

/** meta/v1 DeleteOptions. There is no grace period: no kubelet has a pod to end. */
export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly preconditions: Preconditions;
  /** What becomes of the objects that this one owns. */
  readonly propagation: 'Foreground' | 'Background' | 'Orphan';
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** Options of a deletion that the API server makes by itself. */
export const INTERNAL_DELETION: DeleteOptions = { dryRun: false, preconditions: {}, propagation: 'Background' };

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const SERVICE_NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;

export class Objects {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #now: () => number;

  constructor(store: Store, registry: Registry, now: () => number) {
    this.#store = store;
    this.#registry = registry;
    this.#now = now;
  }

  find(resource: Resource, namespace: string | undefined, name: string): ApiObject | undefined {
    const stored = this.#store.get(storeKey(resource), namespace ?? '', name);
    return stored && inVersion(resource, stored);
  }

  get(resource: Resource, namespace: string | undefined, name: string): ApiObject {
    const object = this.find(resource, namespace, name);
    if (object === undefined) throw notFound(resource, name);
    return object;
  }

  create(resource: Resource, namespace: string | undefined, given: ApiObject, options: WriteOptions): ApiObject {
    const named = this.#withIdentity(resource, namespace, given);
    const { name } = named.metadata;
    if (this.find(resource, namespace, name) !== undefined) {
      const message = `${storeKey(resource)} "${name}" already exists`;
      throw new StatusError(409, message, { name, group: resource.group, kind: resource.plural }, 'AlreadyExists');
    }
    const { status: _status, ...withoutStatus } = named;
    const object = this.#check(resource, resource.hasStatus ? (withoutStatus as ApiObject) : named, undefined, options);
    return options.dryRun ? object : this.#put(resource, object);
  }

  update(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    given: ApiObject,
    options: WriteOptions,
  ): ApiObject {
    const old = this.get(resource, namespace, name);
    checkPreconditions(resource, old, given.metadata);
    const { uid, creationTimestamp, generation, resourceVersion, deletionTimestamp } = old.metadata;
    const metadata: ApiObject['metadata'] = {
      ...given.metadata,
      name,
      ...(old.metadata.namespace !== undefined && { namespace: old.metadata.namespace }),
      ...(uid !== undefined && { uid }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
      ...(generation !== undefined && { generation }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    };
    const merged = combine(resource, old, { ...given, metadata }, options.subresource);
    const object = this.#check(resource, merged, old, options);
    if (isDeepStrictEqual(object, old)) return old;
    const stored =
      resource.hasGeneration && specChanged(old, object) ? withGeneration(object, (generation ?? 0) + 1) : object;
    if (options.dryRun) return stored;
    // An object that waits for its finalizers goes with the last of them.
    if (deletionTimestamp !== undefined && !stored.metadata.finalizers?.length) return this.#remove(resource, stored);
    return this.#put(resource, stored);
  }

  delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    { dryRun, preconditions, propagation }: DeleteOptions,
  ): ApiObject {
    const old = this.get(resource, namespace, name);
    checkPreconditions(resource, old, preconditions);
    const causes: StatusCause[] = [];
    const fault = (field: string, message: string) => void causes.push({ field, message });
    resource.admitDeletion?.(old, { store: this.#store, old, fault, warn: () => {} });
    if (causes.length > 0) throw invalid(resource.kind, resource.group, name, causes);
    if (dryRun) return old;
    if (propagation === 'Orphan') this.#orphan(old);
    if (propagation === 'Foreground') this.#removeAll((_, candidate) => isOwnedBy(candidate, old), [old.metadata.uid]);
    if (old.metadata.finalizers?.length) {
      if (old.metadata.deletionTimestamp !== undefined) return old;
      return this.#put(resource, {
        ...old,
        metadata: { ...old.metadata, deletionTimestamp: timestamp(this.#now()) },
      });
    }
    return this.#remove(resource, old);
  }

  /** Objects are stored in one version, whatever version they came in. */
  #put(resource: Resource, object: ApiObject): ApiObject {
    const { conversion } = resource;
    const stored = conversion === undefined ? object : conversion.convert(object, conversion.storage);
    return inVersion(resource, this.#store.put(storeKey(resource), stored));
  }

  /** Removes an object with all that belongs to it: the content of a namespace, the objects of a CRD, dependents by owner reference. */
  #remove(resource: Resource, object: ApiObject, trail: readonly (string | undefined)[] = []): ApiObject {
    const key = storeKey(resource);
    const belongs = (other: Resource, candidate: ApiObject): boolean => {
      if (key === 'namespaces') return candidate.metadata.namespace === object.metadata.name;
      if (key === 'customresourcedefinitions.apiextensions.k8s.io') return storeKey(other) === object.metadata.name;
      return isOwnedBy(candidate, object);
    };
    this.#removeAll(belongs, [...trail, object.metadata.uid]);
    return this.#store.remove(key, object);
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
      if (this.#store.get(storeKey(resource), namespace, name) !== undefined) this.#remove(resource, object, trail);
    }
  }

  /** Leaves what the object owns without an owner. */
  #orphan(owner: ApiObject): void {
    for (const [resource, { metadata, ...object }] of this.#every()) {
      const references = metadata.ownerReferences?.filter(({ uid }) => uid !== owner.metadata.uid);
      if (references?.length === metadata.ownerReferences?.length) continue;
      this.#store.put(storeKey(resource), {
        ...object,
        metadata: { ...metadata, ownerReferences: references },
      } as ApiObject);
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

  #withIdentity(resource: Resource, namespace: string | undefined, given: ApiObject): ApiObject {
    const { generateName } = given.metadata;
    const name = given.metadata.name || (generateName ? `${generateName}${randomUUID().slice(0, 5)}` : '');
    const causes: StatusCause[] = [];
    if (name === '')
      causes.push({ field: 'metadata.name', message: 'Required value: name or generateName is required' });
    else if (!NAME.test(name))
      causes.push({
        field: 'metadata.name',
        message: `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'`,
      });
    else if (resource.plural === 'services' && !SERVICE_NAME.test(name)) {
      causes.push({
        field: 'metadata.name',
        message: `Invalid value: ${JSON.stringify(name)}: a DNS-1035 label must consist of lower case alphanumeric characters or '-', and start with a letter`,
      });
    }
    if (causes.length > 0) throw invalid(resource.kind, resource.group, name, causes);
    if (resource.namespaced) this.#checkNamespace(namespace, given.metadata.namespace);
    const metadata: ApiObject['metadata'] = {
      ...given.metadata,
      name,
      uid: randomUUID(),
      creationTimestamp: timestamp(this.#now()),
      ...(resource.namespaced && namespace !== undefined && { namespace }),
      ...(resource.hasGeneration && { generation: 1 }),
    };
    delete metadata.resourceVersion;
    if (!resource.namespaced) delete metadata.namespace;
    return { ...given, metadata };
  }

  #checkNamespace(namespace: string | undefined, inBody: string | undefined): void {
    if (namespace === undefined)
      throw new StatusError(400, 'an object of this kind is created in a namespace: name it in the path');
    if (inBody !== undefined && inBody !== namespace) {
      throw new StatusError(
        400,
        `the namespace of the provided object does not match the namespace sent on the request: ${inBody}, ${namespace}`,
      );
    }
    if (this.#store.get('namespaces', '', namespace) === undefined) {
      throw new StatusError(404, `namespaces "${namespace}" not found`, { name: namespace, kind: 'namespaces' });
    }
  }

  #check(resource: Resource, object: ApiObject, old: ApiObject | undefined, options: WriteOptions): ApiObject {
    const checked = resource.check(object, old);
    if (checked.unknown.length > 0) {
      const list = checked.unknown.map((path) => `unknown field "${path}"`);
      if (options.validation === 'Strict')
        throw new StatusError(
          400,
          `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${list.join(', ')}`,
        );
      if (options.validation === 'Warn') for (const message of list) options.warn(message);
    }
    const causes: StatusCause[] = [...checked.faults];
    const fault = (field: string, message: string) => void causes.push({ field, message });
    metadataFaults(object.metadata, resource.isCustom === true, fault);
    // Admission would only trip over what is already known to be wrong.
    const rules = options.subresource === undefined ? resource.admit : resource.admitStatus;
    const admit = causes.length === 0 ? rules : undefined;
    const admitted = admit?.(checked.value, { store: this.#store, old, fault, warn: options.warn }) ?? checked.value;
    if (causes.length > 0) throw invalid(resource.kind, resource.group, object.metadata.name, causes);
    return admitted;
  }
}

/** A write to `status` changes the status and metadata, a write to the object everything but the status. */
function combine(resource: Resource, old: ApiObject, given: ApiObject, subresource: string | undefined): ApiObject {
  if (subresource === 'status') {
    return { ...old, metadata: given.metadata, ...(given.status !== undefined ? { status: given.status } : {}) };
  }
  if (!resource.hasStatus) return given;
  const { status: _status, ...rest } = given;
  return old.status === undefined ? (rest as ApiObject) : { ...(rest as ApiObject), status: old.status };
}

function specChanged(old: ApiObject, object: ApiObject): boolean {
  const strip = ({ metadata: _m, status: _s, ...rest }: ApiObject) => rest;
  return !isDeepStrictEqual(strip(old), strip(object));
}

function withGeneration(object: ApiObject, generation: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, generation } };
}

function isOwnedBy(object: ApiObject, owner: ApiObject): boolean {
  return object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) ?? false;
}

function checkPreconditions(resource: Resource, old: ApiObject, wanted: Preconditions): void {
  const stale =
    wanted.resourceVersion !== undefined &&
    wanted.resourceVersion !== '' &&
    wanted.resourceVersion !== old.metadata.resourceVersion;
  const other = wanted.uid !== undefined && wanted.uid !== old.metadata.uid;
  if (!stale && !other) return;
  const why = other
    ? `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${old.metadata.uid}`
    : 'the object has been modified; please apply your changes to the latest version and try again';
  const message = `Operation cannot be fulfilled on ${storeKey(resource)} "${old.metadata.name}": ${why}`;
  throw new StatusError(409, message, { name: old.metadata.name, group: resource.group, kind: resource.plural });
}

function notFound(resource: Resource, name: string): StatusError {
  return new StatusError(404, `${storeKey(resource)} "${name}" not found`, {
    name,
    group: resource.group,
    kind: resource.plural,
  });
}
