/**
 * --probe-before-use: the network is asked for an address before we announce it (RFC 5227 §2.1.1, faster).
 * @module
 */
import type { Millis } from '../machine.ts';
import { announced } from './gratuitous.ts';
import type { Announcement, Probing } from './state.ts';
import { type Elapsed, unchanged } from './time.ts';

/** Three questions, so many milliseconds apart, and as long again for the last answer. */
const PROBES = 3;
const PROBE_INTERVAL = 150;
/** When somebody has answered, we ask again this many milliseconds later. */
const PROBE_AGAIN = 10_000;

export function probing(announcement: Announcement, now: Millis): Probing {
  return { kind: 'probing', announcement, next: now, left: PROBES };
}

/** Somebody has it. */
export function probingLater({ announcement }: Probing, now: Millis): Probing {
  return probing(announcement, now + PROBE_AGAIN);
}

export function elapseProbing(old: Probing, now: Millis): Elapsed {
  if (old.next > now) return unchanged(old);
  if (old.left === 0) return unchanged(announced(old.announcement, now));
  return { next: { ...old, next: now + PROBE_INTERVAL, left: old.left - 1 }, probes: true, asks: undefined };
}
