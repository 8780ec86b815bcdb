/**
 * The description of one resource, by which the API serves it.
 * @module
 */
import type { StatusCause } from '../status.ts';
import type { ApiObject, Store } from '../storage/store.ts';

/** A column of `kubectl get`; priority 1 is shown with `-o wide` only. `now` is in milliseconds since 1970. */
export interface Column {
  readonly name: string;
  readonly type?: string;
  readonly priority?: number;
  readonly value: (object: ApiObject, now: number) => string | number;
}

/** What the admission of an object may look at and answer. */
export interface AdmissionContext {
  readonly store: Store;
  /** The object before the change; undefined on creation. */
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
  /** Whether metadata.generation counts changes to anything but metadata and status. */
  readonly hasGeneration?: boolean;
  /** Made by a CustomResourceDefinition. */
  readonly isCustom?: boolean;
  readonly deprecationWarning?: string;
  /** Checks against the schema; `value` is the object with the schema's defaults and without the fields in `unknown`. */
  readonly check: (
    object: ApiObject,
    old: ApiObject | undefined,
  ) => { value: ApiObject; faults: readonly StatusCause[]; unknown: readonly string[] };
  /** Fills in what the server decides and reports faults. Returns the object to store. */
  readonly admit?: (object: ApiObject, context: AdmissionContext) => ApiObject;
  /** The same for a write to the status. */
  readonly admitStatus?: (object: ApiObject, context: AdmissionContext) => ApiObject;
  /** Reports why the object must not be deleted. */
  readonly admitDeletion?: (object: ApiObject, context: AdmissionContext) => void;
  /** The `group/version` in which objects are stored, and conversion between versions; absent: there is only one version. */
  readonly conversion?: { readonly storage: string; convert(object: ApiObject, apiVersion: string): ApiObject };
}

/** The key of the resource in the store; all versions of a kind share it. */
export function storeKey(resource: Pick<Resource, 'group' | 'plural'>): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

export function groupVersion(resource: Pick<Resource, 'group' | 'version'>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** The object in the version of this resource, whatever version it is stored in. */
export function inVersion(resource: Resource, object: ApiObject): ApiObject {
  const apiVersion = groupVersion(resource);
  if (object.apiVersion === apiVersion) return object;
  return resource.conversion?.convert(object, apiVersion) ?? { ...object, apiVersion };
}
