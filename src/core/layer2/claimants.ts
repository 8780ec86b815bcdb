/**
 * Who claims our addresses. Whoever is on the link can claim all of them with any number of MACs: what is kept of it is bounded, and so is
 * the work for one claim.
 * @module
 */
import type { Millis } from '../machine.ts';

/** So many stations are told apart for one address; all others count as one more. */
export const MOST_CLAIMANTS = 8;
const OTHERS = '';

/** Owned by the machine of layer 2 and changed in place. */
export interface Conflicts {
  /** By address. */
  readonly claims: Map<string, Claims>;
  /** No conflict has ended before this moment; undefined: there is none. */
  due: Millis | undefined;
  /** What was reported since then. */
  reports: { readonly since: Millis; readonly count: number };
}

/** `told`: when it was reported last. */
export interface Claims {
  readonly claimants: Map<string, Claimant>;
  last: Millis;
  told: Millis | undefined;
}

export interface Claimant {
  mac: string;
  readonly since: Millis;
  last: Millis;
}

export function noConflicts(): Conflicts {
  return { claims: new Map(), due: undefined, reports: { since: 0, count: 0 } };
}

/** The entry for the station; a claim that was not repeated within `memory` is a new one. */
export function claimantOf({ claimants }: Claims, mac: string, now: Millis, memory: Millis): Claimant {
  const key = claimants.has(mac) || makeRoom(claimants, now, memory) ? mac : OTHERS;
  const known = claimants.get(key);
  if (known !== undefined && now - known.last < memory) {
    known.last = now;
    known.mac = mac;
    return known;
  }
  const claimant: Claimant = { mac, since: now, last: now };
  claimants.set(key, claimant);
  return claimant;
}

function makeRoom(claimants: Map<string, Claimant>, now: Millis, memory: Millis): boolean {
  const isFull = () => claimants.size - (claimants.has(OTHERS) ? 1 : 0) >= MOST_CLAIMANTS;
  if (!isFull()) return true;
  for (const [mac, { last }] of claimants) if (now - last >= memory) claimants.delete(mac);
  return !isFull();
}
