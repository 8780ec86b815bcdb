/**
 * Which routers do not hear us: those that there has been no session with for a while. At a start, and when either side restarts, there is
 * none for a moment, which means nothing.
 * @module
 */
import type { Deadline, Millis } from '../../machine.ts';

const PATIENCE: Millis = 10_000;

export interface Silence {
  /** By name of the BGPPeer: since when there has been no session. */
  readonly since: ReadonlyMap<string, Millis>;
  /** Names of those that have been silent for too long. */
  readonly peers: readonly string[];
}

export const NO_SILENCE: Silence = { since: new Map(), peers: [] };

/** `isUp` of every session, by name of the BGPPeer. */
export function listen({ since: known }: Silence, isUp: ReadonlyMap<string, boolean>, now: Millis): Silence {
  const since = new Map<string, Millis>();
  for (const [peer, up] of isUp) if (!up) since.set(peer, known.get(peer) ?? now);
  return { since, peers: [...since].filter(([, from]) => now >= from + PATIENCE).map(([peer]) => peer) };
}

/** When to listen again although nothing has happened. */
export function listenAgain({ since, peers }: Silence): Deadline | undefined {
  const waiting = [...since].filter(([peer]) => !peers.includes(peer)).map(([, from]) => from + PATIENCE);
  return waiting.length === 0 ? undefined : { at: Math.min(...waiting), why: 'a router that may not hear us' };
}
