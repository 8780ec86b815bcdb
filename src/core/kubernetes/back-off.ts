/**
 * Pauses between attempts at the API server.
 * @module
 */
import type { Millis } from '../machine.ts';
import { fractionOf } from '../random.ts';

export interface BackOff {
  readonly first: Millis;
  readonly longest: Millis;
}

/**
 * The pause after that many failures before this one: twice as long each time, and between half and the whole of that by chance, so that
 * those who lost the server together do not come back to it together.
 */
export function pauseAfter({ first, longest }: BackOff, failures: number, random: number): Millis {
  return Math.min(first * 2 ** failures, longest) * (0.5 + fractionOf(random) / 2);
}
