/**
 * What the API knows about one resource.
 * @module
 */
import type { StatusCause } from '../status.ts';
import type { ApiObject, Store } from '../storage/store.ts';

/** A column of `kubectl get`; priority 1 shows with `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type?: string;
  readonly priority?: number;
  readonly value: (object: ApiObject, now: number) => string | number;
}

export interface Admission {
  readonly store: Store;
  /** What the object replaces; undefined on creation. */
  readonly old: ApiObject | undefined;
  readonly fault: (field: string, message: string) => void;
  readonly warn: (message: string) => void;
}

export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly hasStatus: boolean;
  readonly columns: readonly Column[];
  /** Spec is everything but metadata and status when the kind has no `spec`. */
  readonly hasGeneration?: boolean;
  readonly deprecationWarning?: string;
  /** Unknown or mistyped fields; `value` is the object with defaults where the schema has any. */
  readonly check: (
    object: ApiObject,
    old: ApiObject | undefined,
  ) => { value: ApiObject; faults: readonly StatusCause[]; unknown: readonly string[] };
  /** Fills in what the server decides and reports what is wrong. Returns the object to store. */
  readonly admit?: (object: ApiObject, admission: Admission) => ApiObject;
  /** Reports why the object must stay. */
  readonly admitDeletion?: (object: ApiObject, admission: Admission) => void;
  /** `group/version` in which objects are stored, and the way from one version to another; absent: one version only. */
  readonly conversion?: { readonly storage: string; convert(object: ApiObject, apiVersion: string): ApiObject };
}

/** Where the objects live in the store: versions of one kind share them. */
export function storeKey(resource: Pick<Resource, 'group' | 'plural'>): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

export function groupVersion(resource: Pick<Resource, 'group' | 'version'>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** The object as this version of its kind shows it: versions of one kind share their objects. */
export function inVersion(resource: Resource, object: ApiObject): ApiObject {
  const apiVersion = groupVersion(resource);
  if (object.apiVersion === apiVersion) return object;
  return resource.conversion?.convert(object, apiVersion) ?? { ...object, apiVersion };
}
