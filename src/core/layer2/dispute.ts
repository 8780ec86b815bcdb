/**
 * Two of our own speakers that both announce an address, because they know different things, settle it between them: the one with
 * the lower MAC claims the address again and again, and the other asks the network for it. When the claims go on, the other is
 * silent until it hears no more of them.
 * @module
 */
import type { Millis } from '../machine.ts';
import { formatMac, type MacAddress } from '../net/mac.ts';
import { announced } from './gratuitous.ts';
import type { Interface } from './messages.ts';
import type { Announced, HandingOver, Owned, Yielded } from './state.ts';
import { type Elapsed, unchanged } from './time.ts';

/** Milliseconds between the claims of the one, and between the questions of the other. */
const PROBE_INTERVAL = 250;
/** Milliseconds after which the higher MAC yields. */
const YIELD_AFTER = 500;
/** Milliseconds between the questions of one that has yielded, and how many have to go without an answer before it announces again. */
const YIELDED_PROBE_INTERVAL = 500;
const YIELDED_PROBES = 2;

/** What becomes of an address that another of our speakers claims too. */
export function contested(old: Exclude<Owned, HandingOver>, link: Interface, mac: MacAddress, now: Millis): Owned {
  switch (old.kind) {
    case 'probing':
      // The one that had it until now answers: it will stop when it hears of our claim.
      return announced(old.announcement, now);
    case 'yielded':
      return { ...old, unanswered: 0 };
    case 'announced': {
      const { announcement, dispute } = old;
      if (dispute === undefined) {
        const wins = formatMac(link.mac) < formatMac(mac);
        return { ...old, dispute: { since: now, last: now, next: now + PROBE_INTERVAL, wins } };
      }
      if (now - dispute.since < YIELD_AFTER || dispute.wins) return { ...old, dispute: { ...dispute, last: now } };
      return { kind: 'yielded', announcement, next: now + YIELDED_PROBE_INTERVAL, unanswered: 0 };
    }
  }
}

/** An address that is announced changes by time only while it is disputed: its bursts are sent elsewhere. */
export function elapseDispute(old: Announced, now: Millis): Elapsed {
  const { dispute, burst } = old;
  if (dispute === undefined || dispute.next > now) return unchanged(old);
  if (now - dispute.last > PROBE_INTERVAL * 3) return unchanged({ ...old, dispute: undefined });
  const next = { ...old, dispute: { ...dispute, next: now + PROBE_INTERVAL } };
  if (!dispute.wins) return { next, asks: true };
  return unchanged({ ...next, burst: { until: burst?.until ?? now, next: now } });
}

export function elapseYielded(old: Yielded, now: Millis): Elapsed {
  if (old.next > now) return unchanged(old);
  if (old.unanswered >= YIELDED_PROBES) return unchanged(announced(old.announcement, now));
  return { next: { ...old, next: now + YIELDED_PROBE_INTERVAL, unanswered: old.unanswered + 1 }, asks: true };
}
