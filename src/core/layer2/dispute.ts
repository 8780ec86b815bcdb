/**
 * Two of our own speakers that both announce an address, because they know different things, settle it between them. A claim on the wire
 * only raises the question, for anybody on the link can make it with any MAC: the speaker whose MAC it carries is asked in a sealed
 * message whether it has the address. When it goes on to say so, the one whose node comes first by name claims the address again and
 * again, and the other is silent until the first says so no more.
 * @module
 */
import type { Millis } from '../machine.ts';
import { announced } from './gratuitous.ts';
import { claimedByAnother } from './hand-over.ts';
import type { Announced, Confirmed, Owned, Yielded } from './state.ts';
import { ASK_INTERVAL, type Elapsed, onGrid, unchanged } from './time.ts';

/** Milliseconds after which it counts as a dispute, and one of the two yields. */
const YIELD_AFTER = 500;
/** So many questions of one that has yielded have to go without an answer before it announces again. */
const YIELDED_QUESTIONS = 4;
/** After so many questions without an answer a claim is nobody's of ours. */
const ENOUGH_QUESTIONS = 4;
/** It takes some more where it was confirmed: one that lets go does not answer either, and then the claims end. */
const CONFIRMED = -2;

const NO_CLAIM = { claimed: undefined, link: '', asked: 0 };

/** What becomes of an address that somebody with the MAC of another of our speakers claims on this link. */
export function contested(old: Owned, mac: string, link: string, now: Millis): Owned {
  switch (old.kind) {
    case 'probing':
      // The one that had it until now answers: it will stop when it hears of our claim.
      return announced(old.announcement, now);
    case 'yielded':
      return old;
    case 'handing-over':
      return claimedByAnother(old, mac, now);
    case 'announced': {
      const dispute = old.dispute ?? { since: now, next: onGrid(now), rival: undefined, asked: 0 };
      return { ...old, dispute: { ...dispute, mac, link, claimed: now, last: now } };
    }
  }
}

/** The speaker of that node, which has these MACs, has the address as well. `isFirst`: it is the one that keeps it. */
export function confirmed(
  old: Announced | Yielded,
  { node, macs, isFirst }: Pick<Confirmed, 'node' | 'macs' | 'isFirst'>,
  now: Millis,
): Owned {
  if (old.kind === 'yielded') return old.rival === node ? { ...old, unanswered: 0 } : old;
  const { announcement, dispute } = old;
  if (dispute === undefined) return old;
  const isLong = now - dispute.since >= YIELD_AFTER;
  if (!isLong || !isFirst) {
    const rival = isLong ? node : dispute.rival;
    return { ...old, dispute: { ...dispute, claimed: now, last: now, rival, asked: CONFIRMED } };
  }
  const mac = macs.has(dispute.mac) ? dispute.mac : ([...macs][0] ?? dispute.mac);
  return { kind: 'yielded', announcement, mac, rival: node, next: onGrid(now + ASK_INTERVAL), unanswered: 0 };
}

/** The speaker of that node has yielded to this one, and still takes itself to be the owner. */
export function yieldedTo(old: Announced, node: string, mac: string, now: Millis): Announced {
  const dispute = old.dispute ?? { ...NO_CLAIM, since: now, next: onGrid(now + ASK_INTERVAL), mac };
  return { ...old, dispute: { ...dispute, last: now, rival: node } };
}

/** An address that is announced changes by time only while it is disputed: its bursts are sent elsewhere. */
export function elapseDispute(old: Announced, now: Millis): Elapsed {
  const { dispute, burst } = old;
  if (dispute === undefined || dispute.next > now) return unchanged(old);
  if (!isRecent(dispute.last, now)) return unchanged({ ...old, dispute: undefined });
  const later = { ...dispute, next: onGrid(now + ASK_INTERVAL) };
  if (!isRecent(dispute.claimed, now)) return unchanged({ ...old, dispute: later });
  const next = { ...old, dispute: { ...later, asked: dispute.asked + 1 } };
  const claimsAgain = dispute.rival !== undefined;
  return {
    next: claimsAgain ? { ...next, burst: { until: burst?.until ?? now, next: now } } : next,
    probes: false,
    asks: dispute.mac,
  };
}

function isRecent(at: Millis | undefined, now: Millis): boolean {
  return at !== undefined && now - at <= ASK_INTERVAL * 3;
}

export function elapseYielded(old: Yielded, now: Millis): Elapsed {
  if (old.next > now) return unchanged(old);
  if (old.unanswered >= YIELDED_QUESTIONS) return unchanged(announced(old.announcement, now));
  const next = { ...old, next: onGrid(now + ASK_INTERVAL), unanswered: old.unanswered + 1 };
  return { next, probes: false, asks: old.mac };
}

/** Whose claim it is that no speaker has confirmed, though it was asked for most of a second. */
export function unconfirmed(owned: Owned | undefined): { readonly link: string; readonly mac: string } | undefined {
  const dispute = owned?.kind === 'announced' ? owned.dispute : undefined;
  return dispute !== undefined && dispute.asked >= ENOUGH_QUESTIONS ? dispute : undefined;
}

/** The other speaker that announces the address too, once that is no address on its way, and who of the two is silent. */
export function rivalOf(owned: Owned | undefined): { readonly node: string; readonly yielded: boolean } | undefined {
  if (owned?.kind === 'yielded') return { node: owned.rival, yielded: true };
  const rival = owned?.kind === 'announced' ? owned.dispute?.rival : undefined;
  return rival === undefined ? undefined : { node: rival, yielded: false };
}
