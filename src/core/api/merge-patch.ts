/**
 * JSON Merge Patch (RFC 7396).
 * @module
 */
import { isObject, type JsonObject, own, setOwn } from './json.ts';

/** The target as the patch makes it; both are left as they are. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else setOwn(merged, key, mergePatch(own(merged, key), value));
  }
  return merged;
}
