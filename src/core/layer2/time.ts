/**
 * What the passing of time does to one owned address.
 * @module
 */
import { earliestTime, type Millis } from '../machine.ts';
import type { Owned } from './state.ts';

/** `next` undefined: it is ours no longer. `asks`: the network is to be asked who has it. */
export interface Elapsed {
  readonly next: Owned | undefined;
  readonly asks: boolean;
}

export function unchanged(owned: Owned): Elapsed {
  return { next: owned, asks: false };
}

/** When the first of them wants something. */
export function dueOf(owned: ReadonlyMap<string, Owned>): Millis | undefined {
  let due: Millis | undefined;
  for (const one of owned.values()) due = earliestTime(due, nextTime(one));
  return due;
}

function nextTime(owned: Owned): Millis | undefined {
  switch (owned.kind) {
    case 'announced':
      return earliestTime(owned.burst?.next, owned.dispute?.next);
    case 'handing-over':
      return earliestTime(owned.nextProbe, owned.until);
    case 'probing':
    case 'yielded':
      return owned.next;
  }
}
