/**
 * What this speaker says about itself: its status, refutations of what others say, and holding itself down when it flaps.
 * @module
 */
import { isDue, type Millis } from '../machine.ts';
import { wireLinks } from './codec.ts';
import { disseminate } from './dissemination.ts';
import { latest, stretchedInterval } from './local-health.ts';
import type { MemberRecord, Status, Update } from './messages.ts';
import { beats, contradicts, digestOf, incarnationAfter, isLater, versionAfter } from './records.ts';
import { type LivenessState, PATIENCE, type Turn } from './state.ts';

/** Milliseconds: how long flaps are remembered, and how long the second one holds a speaker down; every further one, twice as long. */
const FLAP_MEMORY = 60_000;
const HOLD_DOWN = 2000;

/** How many of our incarnations since the start others may still take for the last one. */
const KEPT_INCARNATIONS = 8;

/** Datagrams of one incarnation: long before the sequence number is spent, the next incarnation begins. */
const DATAGRAMS = 2 ** 31;

/** Makes a new version of our own record, one above `base`. */
export function renewOwnRecord(
  turn: Turn,
  status: Status = turn.s.own.status,
  base: Pick<MemberRecord, 'incarnation' | 'version'> = turn.s.own,
): void {
  const { s, now } = turn;
  if (status !== s.own.status) s.ownSince = now;
  s.digest = (s.digest ^ digestOf(s.own)) >>> 0;
  s.own = { node: s.own.node, ...versionAfter(base), status, links: wireLinks(s.links), unheard: s.unheard };
  s.digest = (s.digest ^ digestOf(s.own)) >>> 0;
  if (s.own.incarnation !== s.ownIncarnations.at(-1)) {
    s.ownIncarnations = [...s.ownIncarnations, s.own.incarnation].slice(-KEPT_INCARNATIONS);
    s.renewedAt = now;
  }
  disseminate(turn, s.own.node);
}

/**
 * Others count our datagrams by incarnation: after so many of them a new one begins, in which they begin at 0. So it does as long as nobody is heard:
 * they may not be listening, because somebody else has used up the numbers of this one.
 */
export function renewIncarnation(turn: Turn): void {
  const { s, now } = turn;
  const since = latest(s.heardAt, s.renewedAt);
  const isSilent = s.peers.size > 0 && since !== undefined && now - since >= s.settings.interval * PATIENCE;
  const isSpent = s.sequence >= DATAGRAMS;
  if (!isSilent && !isSpent) return;
  if (isSpent) s.sequence = 0;
  renewOwnRecord(turn, s.own.status, incarnationAfter(s.own.incarnation));
}

export function updateOwnStatus(turn: Turn): void {
  const { s, now } = turn;
  if (isDue(s.activeAt, now)) {
    s.isReady = true;
    s.activeAt = undefined;
  }
  const isUnsteady = isUnacknowledged(s, now);
  if (isUnsteady && s.own.status === 'active') noteFlap(turn);
  const isHeldDown = s.holdUntil !== undefined && now < s.holdUntil;
  const status = ownStatus(s, isUnsteady || isHeldDown);
  if (status === s.own.status) return;
  // Nobody acknowledges us: they may not be listening, because somebody else has used up the sequence numbers of this incarnation.
  renewOwnRecord(turn, status, isUnsteady ? incarnationAfter(s.own.incarnation) : s.own);
  turn.outputs.push({ kind: 'view-changed' });
}

function ownStatus({ isLeaving, isReady }: LivenessState, isUnsteady: boolean): Status {
  if (isLeaving) return 'leaving';
  if (!isReady) return 'starting';
  return isUnsteady ? 'unsteady' : 'active';
}

/** Nobody has acknowledged our pings for longer than it takes to be declared dead: others have what was ours by now. */
function isUnacknowledged(s: LivenessState, now: Millis): boolean {
  const since = latest(s.ackedAt, s.monitorsSince, s.graceFrom);
  if (since === undefined || s.monitors.length === 0) return false;
  return now - since >= stretchedInterval(s) * (s.settings.misses + 1);
}

/** Once may happen; a speaker that comes and goes again and again must not take its addresses along each time. */
function noteFlap({ s, now }: Turn): void {
  const remembered = s.flaps.filter((at) => now - at < FLAP_MEMORY);
  const last = remembered.at(-1);
  // Being unacknowledged and being called dead are the same incident.
  if (last !== undefined && now - last < s.settings.interval * s.settings.misses) return;
  s.flaps = [...remembered, now];
  if (s.flaps.length > 1) s.holdUntil = now + Math.min(FLAP_MEMORY, HOLD_DOWN * 2 ** (s.flaps.length - 2));
}

/** Others say something about us that we have not said, or that belongs to a later incarnation than this one. */
export function refute(turn: Turn, update: Update): void {
  const { s } = turn;
  // An older claim has been refuted already: whoever repeats it hears so from us, for our record is in every datagram.
  if (!beats(update, s.own) && !contradicts(update, s.own)) return;
  if (update.status === 'dead' && s.own.status === 'active') noteFlap(turn);
  // The clock was ahead in an earlier life of ours: this incarnation has to come after that one. And who was told that we are dead may have
  // been told sequence numbers of ours as well that are still far away: those of a new incarnation begin anew.
  const isRenewed = update.status === 'dead' || isLater(update.incarnation, s.own.incarnation);
  renewOwnRecord(turn, s.own.status, isRenewed ? incarnationAfter(update.incarnation) : update);
  updateOwnStatus(turn);
}
