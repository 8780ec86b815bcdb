/**
 * Exponential back-off between requests to the API server.
 * @module
 */
import type { Millis } from '../machine.ts';
import { fractionOf } from '../random.ts';

export interface BackOff {
  readonly first: Millis;
  readonly longest: Millis;
}

/**
 * The pause after a failure that `failures` others came before: doubled by each of them up to `longest`, then multiplied by a random factor
 * between 0.5 and 1, so that clients that lost the server together do not come back together.
 */
export function pauseAfter({ first, longest }: BackOff, failures: number, random: number): Millis {
  return Math.min(first * 2 ** failures, longest) * (0.5 + fractionOf(random) / 2);
}
