/**
 * Which routers do not hear us: those that there has been no session with for a while. At a start, and when either side restarts, there is
 * none for a moment, which means nothing.
 * @module
 */
import { type Deadline, earliest, type Millis } from '../../machine.ts';

const PATIENCE: Millis = 10_000;

export interface Silence {
  /** By name of the BGPPeer: since when there has been no session. */
  readonly since: ReadonlyMap<string, Millis>;
  /** Names of those that have been silent for too long. */
  readonly peers: readonly string[];
}

export const NO_SILENCE: Silence = { since: new Map(), peers: [] };

/** `isUp` of every session, by name of the BGPPeer. */
export function nextSilence({ since: known }: Silence, isUp: ReadonlyMap<string, boolean>, now: Millis): Silence {
  const since = new Map<string, Millis>();
  for (const [peer, up] of isUp) if (!up) since.set(peer, known.get(peer) ?? now);
  return { since, peers: [...since].filter(([, from]) => now >= from + PATIENCE).map(([peer]) => peer) };
}

/** When a router becomes silent although nothing happens. */
export function silenceDeadline({ since, peers }: Silence): Deadline | undefined {
  return earliest(
    [...since].map(([peer, from]) =>
      peers.includes(peer) ? undefined : { at: from + PATIENCE, why: 'a router that may not hear us' },
    ),
  );
}
