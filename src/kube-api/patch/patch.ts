/**
 * The patch formats of the Kubernetes API, except server-side apply and the merge patch (RFC 7396, core/api).
 * @module
 */
import { isObject, type JsonObject, own, setOwn } from '../../core/api/json.ts';
import { StatusError } from '../status.ts';
import type { ApiObject } from '../storage/store.ts';
import { isSetList, keyedItems, mergeKey } from './merge-keys.ts';

type Json = unknown;

/** Kubernetes' strategic merge patch, with its directives. Throws 400 if it is not an object. */
export function applyStrategicMergePatch(target: ApiObject, patch: Json): ApiObject {
  if (!isObject(patch)) throw new StatusError(400, 'a strategic merge patch is an object');
  return mergeObject(target.kind, target, patch, []) as ApiObject;
}

function mergeObject(kind: string, target: Json, patch: JsonObject, path: readonly string[]): Json {
  const { $patch: directive, $retainKeys: retained, ...rest } = patch;
  if (directive === 'replace') return stripDirectives(rest);
  const result: JsonObject = isObject(target) ? { ...target } : {};
  if (Array.isArray(retained)) for (const key of Object.keys(result)) if (!retained.includes(key)) delete result[key];
  for (const [key, value] of Object.entries(rest)) {
    const [, operation, field] = /^\$(setElementOrder|deleteFromPrimitiveList)\/(.+)$/.exec(key) ?? [];
    if (operation === 'deleteFromPrimitiveList') {
      const doomed = listOf(value);
      const old = listOf(own(result, field!));
      setOwn(
        result,
        field!,
        old.filter((item) => !doomed.includes(item)),
      );
    } else if (operation === undefined) {
      mergeField(kind, result, key, value, [...path, key], own(rest, `$setElementOrder/${key}`));
    }
  }
  return result;
}

function mergeField(
  kind: string,
  result: JsonObject,
  key: string,
  value: Json,
  path: readonly string[],
  order: Json,
): void {
  if (value === null) {
    delete result[key];
  } else if (isObject(value)) {
    if (value.$patch === 'delete') delete result[key];
    else setOwn(result, key, mergeObject(kind, own(result, key), value, path));
  } else if (Array.isArray(value)) {
    const by = mergeKey(kind, path);
    const old = listOf(own(result, key));
    if (by !== undefined) setOwn(result, key, mergeList(kind, old, value, by, path, order));
    else setOwn(result, key, isSetList(key) ? [...new Set([...old, ...value])] : value);
  } else {
    setOwn(result, key, value);
  }
}

/** What is no list has no items to merge with. */
function listOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function mergeList(
  kind: string,
  old: readonly Json[],
  patch: readonly Json[],
  by: string,
  path: readonly string[],
  order: Json,
): Json[] {
  const items = keyedItems(patch, path);
  const plain = items.filter((item) => item.$patch !== 'replace');
  if (plain.length < items.length) return plain.map(stripDirectives);
  let result = keyedItems(old, path);
  for (const item of items) {
    const at = result.findIndex((candidate) => candidate[by] === item[by]);
    if (item.$patch === 'delete') result = result.filter((candidate) => candidate[by] !== item[by]);
    else if (at < 0) result = [...result, stripDirectives(item) as JsonObject];
    else result = result.with(at, mergeObject(kind, result[at], item, path) as JsonObject);
  }
  if (!Array.isArray(order)) return [...result];
  const wanted = keyedItems(order, path).map((item) => item[by]);
  const rank = (item: JsonObject) => (wanted.includes(item[by]) ? wanted.indexOf(item[by]) : wanted.length);
  return [...result].sort((a, b) => rank(a) - rank(b));
}

function stripDirectives(value: Json): Json {
  if (Array.isArray(value)) return value.map(stripDirectives);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key, child]) => !key.startsWith('$') && child !== null);
  return Object.fromEntries(kept.map(([key, child]) => [key, stripDirectives(child)]));
}
