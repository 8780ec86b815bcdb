/**
 * Make before break: an address that goes to another node is answered for until that node says that it has it, so that clients notice nothing.
 * @module
 */
import { isDue, type Millis } from '../machine.ts';
import type { Announced, HandingOver, Layer2State, Outcome, Owned } from './state.ts';
import { ASK_INTERVAL, dueOf, type Elapsed, onGrid } from './time.ts';

/** No longer than so many milliseconds. */
export const HAND_OVER_GRACE = 1500;
/** How often the network is asked meanwhile whether the other node has the address already, in milliseconds. */
const PROBE_INTERVAL = 250;

/** Undefined: nothing to hand over, for nobody is answered. */
export function handingOver(old: Owned, now: Millis): HandingOver | undefined {
  switch (old.kind) {
    case 'handing-over':
      return old;
    case 'announced': {
      const { announcement, dispute } = old;
      // The successor may have been faster than the news of it.
      const claim = dispute && { mac: dispute.mac, next: dispute.next };
      return { kind: 'handing-over', announcement, nextProbe: now, until: now + HAND_OVER_GRACE, claim };
    }
    case 'probing':
    case 'yielded':
      return undefined;
  }
}

/** Somebody with this MAC claims it: the speaker with that MAC is to be asked. */
export function claimedByAnother(old: HandingOver, mac: string, now: Millis): HandingOver {
  return old.claim?.mac === mac ? old : { ...old, claim: { mac, next: onGrid(now) } };
}

export function elapseHandOver(old: HandingOver, now: Millis): Elapsed {
  if (old.until <= now) return { next: undefined, probes: false, asks: undefined };
  const { claim, nextProbe } = old;
  const probes = nextProbe <= now;
  const asks = isDue(claim?.next, now) ? claim?.mac : undefined;
  const next = {
    ...old,
    nextProbe: probes ? now + PROBE_INTERVAL : nextProbe,
    claim: asks === undefined ? claim : { mac: asks, next: onGrid(now + ASK_INTERVAL) },
  };
  return { next, probes, asks };
}

/** Their new owner has them. */
export function handedOver(state: Layer2State, addresses: readonly string[]): Outcome {
  if (addresses.length === 0) return { next: state, outputs: [] };
  const owned = new Map(state.owned);
  for (const address of addresses) owned.delete(address);
  const isLast = state.leaving && owned.size === 0;
  return { next: { ...state, owned, due: dueOf(owned) }, outputs: isLast ? [{ kind: 'all-handed-over' }] : [] };
}

/**
 * The speaker is being stopped: what is answered for goes on until another speaker has it. It is claimed no more, which would
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
