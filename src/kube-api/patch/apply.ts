/**
 * A simple form of server-side apply: fields have managers, a field that its manager no longer applies is removed, and
 * two managers that apply different values conflict unless one forces it. Ownership is kept in metadata.managedFields
 * in the FieldsV1 format. Unlike on a real API server, only apply takes ownership; other writes leave it alone.
 * @module
 */
import { isObject, type JsonObject, own, setOwn } from '../../core/api/json.ts';
import { StatusError } from '../status.ts';
import type { ApiObject } from '../storage/store.ts';
import { keyedItems, mergeKey } from './merge-keys.ts';

/** Keys are `f:name` for fields and `k:{"type":"Ready"}` for items of list-maps; an empty set owns the value itself. */
type FieldSet = { [key: string]: FieldSet };

interface ManagedFields {
  readonly manager: string;
  readonly operation: 'Apply';
  readonly apiVersion: string;
  readonly time: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldSet;
  readonly subresource?: string;
}

export interface ApplyOptions {
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: string | undefined;
  readonly time: string;
}

/** Fields that every object has and no manager owns. */
const UNOWNED: readonly string[] = [
  'apiVersion',
  'kind',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'metadata.resourceVersion',
];

/** Merges an applied configuration into the stored object. Throws 409 that lists every field in conflict with another manager. */
export function applyConfiguration(current: ApiObject, applied: ApiObject, options: ApplyOptions): ApiObject {
  const entries = (current.metadata.managedFields ?? []) as ManagedFields[];
  const isMine = (entry: ManagedFields) =>
    entry.manager === options.manager && entry.subresource === options.subresource;
  const mine = entries.find(isMine);
  const { managedFields: _ignored, ...metadata } = applied.metadata;
  const wanted: ApiObject = { ...applied, metadata };
  const owned = fieldsOf(applied.kind, wanted, []);

  const others = entries.filter((entry) => !isMine(entry));
  const conflicts: string[] = [];
  const remaining = others.flatMap((entry): ManagedFields[] => {
    const clashes = overlap(entry.fieldsV1, owned).filter((path) => !sameAt(current, wanted, path));
    if (clashes.length === 0) return [entry];
    if (!options.force) conflicts.push(...clashes.map((path) => `conflict with "${entry.manager}": ${showPath(path)}`));
    const left = clashes.reduce((set, path) => without(set, path), entry.fieldsV1);
    return [{ ...entry, fieldsV1: left }];
  });
  if (conflicts.length > 0) {
    const text = `Apply failed with ${conflicts.length} conflict${conflicts.length > 1 ? 's' : ''}: ${conflicts.join(', ')}`;
    throw new StatusError(409, text, { name: current.metadata.name, kind: current.kind });
  }

  const givenUp = mine === undefined ? [] : leaves(mine.fieldsV1).filter((path) => !has(owned, path));
  const kept = givenUp
    .filter((path) => !remaining.some(({ fieldsV1 }) => has(fieldsV1, path)))
    .reduce(removeAt, current as JsonObject);
  const merged = merge(applied.kind, kept, wanted, []) as ApiObject;
  const entry: ManagedFields = {
    manager: options.manager,
    operation: 'Apply',
    apiVersion: applied.apiVersion,
    time: options.time,
    fieldsType: 'FieldsV1',
    fieldsV1: owned,
    ...(options.subresource !== undefined && { subresource: options.subresource }),
  };
  // An entry without a change keeps its time, so that applying the same configuration again is a no-op.
  const same = mine !== undefined && JSON.stringify(mine.fieldsV1) === JSON.stringify(owned);
  const managedFields = [...remaining, same ? mine : entry];
  return { ...merged, metadata: { ...merged.metadata, managedFields } };
}

function fieldsOf(kind: string, value: JsonObject, path: readonly string[]): FieldSet {
  const fields: FieldSet = {};
  for (const [key, child] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const here = [...path, key];
    if (UNOWNED.includes(here.join('.')) || child === null || child === undefined) continue;
    const by = Array.isArray(child) ? mergeKey(kind, here) : undefined;
    if (by !== undefined) {
      const items = keyedItems(child as unknown[], here).map(
        (item) => [itemKey(by, item), fieldsOf(kind, item, here)] as const,
      );
      fields[`f:${key}`] = Object.fromEntries(items);
    } else {
      const set = isObject(child) ? fieldsOf(kind, child, here) : {};
      // A configuration whose metadata only identifies the object owns no metadata.
      if (here.length > 1 || key !== 'metadata' || Object.keys(set).length > 0) fields[`f:${key}`] = set;
    }
  }
  return fields;
}

function itemKey(by: string, item: JsonObject): string {
  return `k:${JSON.stringify({ [by]: item[by] })}`;
}

function leaves(fields: FieldSet, path: readonly string[] = []): (readonly string[])[] {
  return Object.entries(fields).flatMap(([key, child]) =>
    Object.keys(child).length === 0 ? [[...path, key]] : leaves(child, [...path, key]),
  );
}

function has(fields: FieldSet, path: readonly string[]): boolean {
  let set: FieldSet | undefined = fields;
  for (const key of path) {
    set = own(set, key);
    if (set === undefined) return false;
  }
  return true;
}

function overlap(a: FieldSet, b: FieldSet): (readonly string[])[] {
  return leaves(a).filter((path) => has(b, path));
}

function without(fields: FieldSet, path: readonly string[]): FieldSet {
  const [key, ...rest] = path;
  const { [key!]: child, ...others } = fields;
  if (child === undefined || rest.length === 0) return others;
  const left = without(child, rest);
  return Object.keys(left).length === 0 ? others : { ...others, [key!]: left };
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) {
    if (key.startsWith('f:')) value = own(value as JsonObject | undefined, key.slice(2));
    else value = (value as JsonObject[] | undefined)?.find((item) => itemMatches(key, item));
  }
  return value;
}

function itemMatches(key: string, item: JsonObject): boolean {
  return Object.entries(JSON.parse(key.slice(2)) as JsonObject).every(([field, value]) => own(item, field) === value);
}

function sameAt(a: unknown, b: unknown, path: readonly string[]): boolean {
  return JSON.stringify(valueAt(a, path)) === JSON.stringify(valueAt(b, path));
}

function removeAt(root: JsonObject, path: readonly string[]): JsonObject {
  const copy = structuredClone(root);
  const parent = valueAt(copy, path.slice(0, -1));
  const key = path.at(-1)!;
  if (Array.isArray(parent))
    parent.splice(
      parent.findIndex((item) => itemMatches(key, item)),
      1,
    );
  else if (isObject(parent)) delete parent[key.slice(2)];
  return copy;
}

function merge(kind: string, target: unknown, patch: unknown, path: readonly string[]): unknown {
  if (Array.isArray(patch)) {
    const by = mergeKey(kind, path);
    if (by === undefined || !Array.isArray(target)) return patch;
    const list = [...keyedItems(target, path)];
    for (const item of keyedItems(patch, path)) {
      const at = list.findIndex((candidate) => candidate[by] === item[by]);
      if (at < 0) list.push(item);
      else list[at] = merge(kind, list[at], item, path) as JsonObject;
    }
    return list;
  }
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch))
    setOwn(result, key, merge(kind, own(result, key), value, [...path, key]));
  return result;
}

function showPath(path: readonly string[]): string {
  return path.map((key) => (key.startsWith('f:') ? `.${key.slice(2)}` : `[${key.slice(2)}]`)).join('');
}
