/**
 * Timestamps in the format of the Kubernetes API.
 * @module
 */
import { realWallClock } from '../driver/clock.ts';

/** meta/v1 Time: RFC 3339 in whole seconds. `now` is in milliseconds since 1970. */
export function timestamp(now: number = realWallClock()): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}
