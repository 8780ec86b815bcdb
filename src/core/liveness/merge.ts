/**
 * How what others say changes what we know: updates are merged into our records, and what differs is reported to the election.
 * @module
 */
import type { SpeakerHealth } from '../election/election.ts';
import { disseminate, send } from './dissemination.ts';
import type { FitLink, MemberRecord, Update } from './messages.ts';
import { updateNeighbours } from './neighbours.ts';
import { refute } from './own-record.ts';
import { beats, digestOf, isRunning, stateOf } from './records.ts';
import { isKnown, nodeOf, PATIENCE, type Peer, type Turn } from './state.ts';

/** A death that is older than this, in milliseconds, may have been refuted meanwhile. */
const LATE_DEATH = 1000;

/** Takes an update in, if it is newer than our record. */
export function merge(turn: Turn, update: Update): void {
  const { s, now } = turn;
  if (update.node === s.own.node) {
    refute(turn, update);
    return;
  }
  const peer = s.peers.get(update.node);
  if (peer === undefined || !beats(update, peer.record)) return;
  const isLate = update.status === 'dead' && update.age > LATE_DEATH && isRunning(peer.record) && isKnown(peer);
  if (isLate) {
    // Both sides of a partition call each other dead; what was true on the other side need not be true here.
    if (peer.lateDeath !== undefined && !beats(update, peer.lateDeath.update)) return;
    peer.lateDeath = { update, until: now + s.settings.interval * s.settings.misses };
    s.lateDeaths.add(update.node);
    send(turn, peer, { kind: 'ping' });
    return;
  }
  setRecord(turn, peer, update, now - update.age);
}

export function setRecord(
  turn: Turn,
  peer: Peer,
  { node, incarnation, version, status, links, unheard }: MemberRecord,
  since: number,
): void {
  const { s } = turn;
  const before = peer.record;
  peer.record = { node, incarnation, version, status, links, unheard };
  if (status !== before.status) peer.since = since;
  peer.lateDeath = undefined;
  s.digest = (s.digest ^ digestOf(before) ^ digestOf(peer.record)) >>> 0;
  disseminate(turn, node);
  if (status === 'dead' && s.settings.fenced) s.deferredDeaths.add(node);
  if (before.status !== status) updateNeighbours(turn);
  report(turn, peer);
  if (before.unheard !== unheard || !sameLinks(before.links, links)) turn.outputs.push({ kind: 'view-changed' });
}

function sameLinks(a: readonly FitLink[], b: readonly FitLink[]): boolean {
  return a.length === b.length && a.every(({ name, mac }, i) => name === b[i]!.name && mac.join() === b[i]!.mac.join());
}

/** Tells the election about a node whose state has changed. */
export function report({ s, now, outputs }: Turn, peer: Peer): void {
  const node = nodeOf(peer);
  const isDeadToUs = s.isAlone && isRunning(peer.record);
  const state: SpeakerHealth = isDeadToUs ? 'dead' : stateOf(peer.record);
  if (state === 'dead' && s.deferredDeaths.has(node)) return;
  if (state === peer.reported) return;
  peer.reported = state;
  const silent = state === 'dead' && peer.lastHeard !== undefined ? { silentFor: now - peer.lastHeard } : {};
  outputs.push({ kind: 'node-changed', node, state, ...silent }, { kind: 'view-changed' });
}

/** Late deaths that nobody has refuted. */
export function confirmLateDeaths(turn: Turn): void {
  const { s, now } = turn;
  for (const node of s.lateDeaths) {
    const peer = s.peers.get(node);
    if (peer?.lateDeath !== undefined && now < peer.lateDeath.until) continue;
    s.lateDeaths.delete(node);
    if (peer?.lateDeath === undefined) continue;
    const { update } = peer.lateDeath;
    peer.lateDeath = undefined;
    if (beats(update, peer.record)) setRecord(turn, peer, update, now - update.age);
  }
}

/** With `fenced`, deaths take effect late: those on the smaller side of a partition have fallen silent by then. */
export function reportDeferredDeaths(turn: Turn): void {
  const { s, now } = turn;
  for (const node of s.deferredDeaths) {
    const peer = s.peers.get(node)!;
    const isOver = peer.since === undefined || now >= peer.since + s.settings.interval * PATIENCE;
    if (peer.record.status === 'dead' && !isOver) continue;
    s.deferredDeaths.delete(node);
    report(turn, peer);
  }
}
