/**
 * Gratuitous packets: a burst after a takeover, and one from time to time afterwards (docs/behaviour/layer2.md#gratuitous-packets).
 * @module
 */
import type { Millis } from '../machine.ts';
import type { IpAddress } from '../net/address.ts';
import type { Announced, Announcement, Burst, Layer2Settings } from './state.ts';

/** How long after a takeover gratuitous packets go on, and how far apart they are, in milliseconds. */
export const GRATUITOUS_WINDOW = 5000;
export const GRATUITOUS_INTERVAL = 1100;

/** From now on the address is ours, and the network is told. */
export function announced(announcement: Announcement, now: Millis): Announced {
  return {
    kind: 'announced',
    announcement,
    burst: { next: now, until: now + GRATUITOUS_WINDOW },
    dispute: undefined,
  };
}

/** What follows a packet that has just been sent; undefined: no further one. */
export function nextBurst(
  { until }: Burst,
  address: IpAddress,
  { refreshInterval }: Layer2Settings,
  now: Millis,
): Burst | undefined {
  // From now on, not from when it was due: a late timer does not send two at once to catch up.
  if (now + GRATUITOUS_INTERVAL <= until) return { next: now + GRATUITOUS_INTERVAL, until };
  if (refreshInterval === 0) return undefined;
  // Each address has its own share of the quarter, which needs no randomness and stays the same from round to round.
  const share = Number(address.value % 251n) / 251;
  return { next: now + refreshInterval * (0.75 + share / 4), until };
}
