/**
 * Statuses that somebody else writes into again and again: two controllers that both think a Service theirs. Ours puts its status right, at a rate
 * that harms neither the API server nor the other Services.
 * @module
 */
import type { Millis } from '../machine.ts';

/** How often a status has been put right lately, and when for the last time. */
export interface Mends {
  readonly count: number;
  readonly last: Millis;
}

export const NO_MENDS: Mends = { count: 0, last: 0 };

/** The pause after the first mend, and the longest one; each is twice as long as the last. */
const PAUSE = { first: 100, longest: 10_000 };
/** After so long without a mend the next one is the first again. */
const QUIET = 60_000;

/** When the next mend may be. */
export function nextMendAt({ count, last }: Mends): Millis {
  return count === 0 ? last : last + Math.min(PAUSE.first * 2 ** (count - 1), PAUSE.longest);
}

export function mended({ count, last }: Mends, now: Millis): Mends {
  return { count: now - last > QUIET ? 1 : count + 1, last: now };
}
