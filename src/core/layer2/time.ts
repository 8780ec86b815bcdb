/**
 * What the passing of time does to one owned address.
 * @module
 */
import { earliestTime, type Millis } from '../machine.ts';
import type { Owned } from './state.ts';

/** Milliseconds between two questions to a speaker whether it has an address. */
export const ASK_INTERVAL = 250;
/** Milliseconds: claims to ten thousand addresses come at as many moments, and all of them are looked through at each. */
const GRID = 10;

/** The next moment at which speakers are asked. */
export function onGrid(at: Millis): Millis {
  return Math.ceil(at / GRID) * GRID;
}

/**
 * `next` undefined: it is ours no longer. `probes`: the network is asked who has it. `asks`: the speaker with this MAC is, in a sealed
 * message.
 */
export interface Elapsed {
  readonly next: Owned | undefined;
  readonly probes: boolean;
  readonly asks: string | undefined;
}

export function unchanged(owned: Owned): Elapsed {
  return { next: owned, probes: false, asks: undefined };
}

/** When the first of them wants something. */
export function dueOf(owned: ReadonlyMap<string, Owned>): Millis | undefined {
  let due: Millis | undefined;
  for (const one of owned.values()) due = earliestTime(due, nextTime(one));
  return due;
}

export function nextTime(owned: Owned): Millis | undefined {
  switch (owned.kind) {
    case 'announced':
      return earliestTime(owned.burst?.next, owned.dispute?.next);
    case 'handing-over':
      return earliestTime(owned.nextProbe, owned.until, owned.claim?.next);
    case 'probing':
    case 'yielded':
      return owned.next;
  }
}
