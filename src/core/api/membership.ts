/**
 * Is a text in a list? Lists of objects never change, and may be long.
 * @module
 */

const sets = new WeakMap<readonly string[], ReadonlySet<string>>();

/** Lists up to this length are scanned: that is faster than to make a set of them. */
const SHORT = 16;

/** Like `list.includes(value)`, but a long list that is asked more than once is not read again. */
export function isIn(list: readonly string[], value: string): boolean {
  if (list.length <= SHORT) return list.includes(value);
  let set = sets.get(list);
  if (set === undefined) {
    set = new Set(list);
    sets.set(list, set);
  }
  return set.has(value);
}
