/**
 * Silent peers: those without a session for some time. Short gaps, at startup or when either side restarts, do not count.
 * @module
 */
import { type Deadline, earliest, type Millis } from '../../machine.ts';

/** How long a peer must be without a session to count as silent. */
const PATIENCE: Millis = 10_000;

export interface Silence {
  /** Since when there has been no session, by name of the BGPPeer. */
  readonly since: ReadonlyMap<string, Millis>;
  /** Names of the silent peers. */
  readonly peers: readonly string[];
}

export const NO_SILENCE: Silence = { since: new Map(), peers: [] };

/** `isUp`: whether each session is Established, by name of the BGPPeer. */
export function nextSilence({ since: known }: Silence, isUp: ReadonlyMap<string, boolean>, now: Millis): Silence {
  const since = new Map<string, Millis>();
  for (const [peer, up] of isUp) if (!up) since.set(peer, known.get(peer) ?? now);
  return { since, peers: [...since].filter(([, from]) => now >= from + PATIENCE).map(([peer]) => peer) };
}

/** When the next peer becomes silent if nothing changes. */
export function silenceDeadline({ since, peers }: Silence): Deadline | undefined {
  return earliest(
    [...since].map(([peer, from]) =>
      peers.includes(peer) ? undefined : { at: from + PATIENCE, why: 'a peer becomes silent' },
    ),
  );
}
