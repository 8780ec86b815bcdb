/**
 * Make before break: an address that goes to another node is answered for until that node claims it, so that clients notice nothing.
 * @module
 */
import type { Millis } from '../machine.ts';
import type { Announced, HandingOver, Layer2State, Outcome, Owned } from './state.ts';
import { dueOf, type Elapsed, unchanged } from './time.ts';

/** No longer than so many milliseconds. */
export const HAND_OVER_GRACE = 1500;
/** How often the network is asked meanwhile whether the other node has the address already, in milliseconds. */
const PROBE_INTERVAL = 250;

/** Undefined: nothing to hand over, for nobody is answered. */
export function handingOver(old: Owned, now: Millis): HandingOver | undefined {
  switch (old.kind) {
    case 'handing-over':
      return old;
    case 'announced':
      return { kind: 'handing-over', announcement: old.announcement, nextProbe: now, until: now + HAND_OVER_GRACE };
    case 'probing':
    case 'yielded':
      return undefined;
  }
}

export function elapseHandOver(old: HandingOver, now: Millis): Elapsed {
  if (old.until <= now) return { next: undefined, asks: false };
  if (old.nextProbe > now) return unchanged(old);
  return { next: { ...old, nextProbe: now + PROBE_INTERVAL }, asks: true };
}

/** Its new owner has claimed it. */
export function handedOver(state: Layer2State, address: string): Outcome {
  const owned = new Map(state.owned);
  owned.delete(address);
  const isLast = state.leaving && owned.size === 0;
  return { next: { ...state, owned, due: dueOf(owned) }, outputs: isLast ? [{ kind: 'all-handed-over' }] : [] };
}

/**
 * The speaker is being stopped: what is answered for goes on until somebody else claims it. It is claimed no more, which would
 * take back what a successor has just taken.
 */
export function leave(state: Layer2State): Outcome {
  const owned = new Map<string, Announced>();
  for (const [key, { kind, announcement }] of state.owned)
    if (kind === 'announced' || kind === 'handing-over')
      owned.set(key, { kind: 'announced', announcement, burst: undefined, dispute: undefined });
  return {
    next: { ...state, leaving: true, owned, due: undefined },
    outputs: owned.size === 0 ? [{ kind: 'all-handed-over' }] : [],
  };
}
