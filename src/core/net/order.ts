/**
 * Order of texts, by code unit and the same everywhere.
 * @module
 */

/** Negative: `a` comes first. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
