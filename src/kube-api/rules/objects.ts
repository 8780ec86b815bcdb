/**
 * Create, update and delete with the rules that hold for every kind: preconditions, generations, finalizers.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import { invalid, type StatusCause, StatusError } from '../status.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import { withIdentity } from './identity.ts';
import { metadataFaults, wellFormed } from './metadata.ts';
import type { Registry } from './registry.ts';
import { Removal } from './removal.ts';
import { inVersion, type Resource, storeKey } from './resource.ts';

export interface WriteOptions {
  readonly subresource: string | undefined;
  readonly dryRun: boolean;
  /** Strict refuses unknown fields, Warn drops them with a warning, Ignore drops them. */
  readonly validation: string;
  readonly warn: (message: string) => void;
}

/** Options of a write by the API server itself. */
export const INTERNAL_WRITE: WriteOptions = {
  subresource: undefined,
  dryRun: false,
  validation: 'Ignore',
  warn: () => {},
};

/** meta/v1 DeleteOptions without a grace period, because no kubelet has to stop a pod. */
export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly preconditions: Preconditions;
  /** What happens to the dependents. */
  readonly propagation: 'Foreground' | 'Background' | 'Orphan';
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** Options of a deletion by the API server itself. */
export const INTERNAL_DELETION: DeleteOptions = { dryRun: false, preconditions: {}, propagation: 'Background' };

export class Objects {
  readonly #store: Store;
  readonly #removal: Removal;
  readonly #now: () => number;

  constructor(store: Store, registry: Registry, now: () => number) {
    this.#store = store;
    this.#removal = new Removal(store, registry);
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
    const named = withIdentity(resource, namespace, wellFormed(resource.kind, given), this.#store, this.#now());
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
    body: ApiObject,
    options: WriteOptions,
  ): ApiObject {
    const old = this.get(resource, namespace, name);
    const given = wellFormed(resource.kind, body);
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
    // An object that is being deleted goes when its last finalizer is removed.
    if (deletionTimestamp !== undefined && !stored.metadata.finalizers?.length)
      return this.#removal.remove(resource, stored);
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
    if (propagation === 'Orphan') this.#removal.orphan(old);
    if (propagation === 'Foreground') this.#removal.removeDependents(old);
    if (old.metadata.finalizers?.length) {
      if (old.metadata.deletionTimestamp !== undefined) return old;
      return this.#put(resource, {
        ...old,
        metadata: { ...old.metadata, deletionTimestamp: timestamp(this.#now()) },
      });
    }
    return this.#removal.remove(resource, old);
  }

  /** Objects are stored in the storage version, whatever version they were written in. */
  #put(resource: Resource, object: ApiObject): ApiObject {
    const { conversion } = resource;
    const stored = conversion === undefined ? object : conversion.convert(object, conversion.storage);
    return inVersion(resource, this.#store.put(storeKey(resource), stored));
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
    // Admission may rely on a valid structure.
    const rules = options.subresource === undefined ? resource.admit : resource.admitStatus;
    const admit = causes.length === 0 ? rules : undefined;
    const admitted = admit?.(checked.value, { store: this.#store, old, fault, warn: options.warn }) ?? checked.value;
    if (causes.length > 0) throw invalid(resource.kind, resource.group, object.metadata.name, causes);
    return admitted;
  }
}

/** A write to `status` changes only status and metadata; a write to the object changes everything but the status. */
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
