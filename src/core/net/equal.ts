/**
 * Deep equality of plain data.
 * @module
 */

/**
 * Deep equality of primitives, bytes, arrays and plain objects. A property that is undefined counts as absent. Maps, Sets and instances of
 * classes are equal to themselves alone.
 */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((part, i) => equal(part, b[i]));
  if (a instanceof Uint8Array)
    return b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i]);
  if (!isPlain(a) || !isPlain(b)) return false;
  // A key may be `constructor`, which the other object has, too, if not as its own.
  for (const key in a) if (!equal(a[key], Object.hasOwn(b, key) ? b[key] : undefined)) return false;
  for (const key in b) if (b[key] !== undefined && !Object.hasOwn(a, key)) return false;
  return true;
}

function isPlain(value: object): value is Record<string, unknown> {
  return Object.getPrototypeOf(value) === Object.prototype;
}
