/**
 * Moments as the Kubernetes API writes them.
 * @module
 */

/** meta/v1 Time: RFC 3339 in whole seconds. `now` is in milliseconds since 1970. */
export function timestamp(now: number = Date.now()): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}
