/**
 * Suspects a peer that is silent, sends ping-reqs about it, and declares it dead when they bring nothing (SWIM §3.1, Lifeguard §4).
 * @module
 */
import { isDue, type Millis } from '../machine.ts';
import { send } from './dissemination.ts';
import { latest, stretchedInterval } from './local-health.ts';
import { setRecord } from './merge.ts';
import { ABSENT, isRunning } from './records.ts';
import { isKnown, type LivenessState, nodeOf, type Peer, SUSPECT_EARLIER, type Turn } from './state.ts';

/** A death that nobody has confirmed is declared so many intervals later. */
const UNCONFIRMED_LATER = 0.25;

/** When a peer that we watch becomes suspect, or dead, if nothing is heard from it. */
export function failsAt(state: LivenessState, peer: Peer): Millis | undefined {
  const { misses } = state.settings;
  const alive = latest(peer.lastHeard, peer.indirectlyHeard, peer.watchedSince, state.graceFrom);
  if (alive === undefined) return undefined;
  const confirmations = peer.suspicion?.confirmations;
  const untilDead = confirmations === 0 ? misses + UNCONFIRMED_LATER : misses;
  return alive + stretchedInterval(state) * (confirmations === undefined ? misses - SUSPECT_EARLIER : untilDead);
}

export function checkPeer(turn: Turn, peer: Peer): void {
  if (!isDue(failsAt(turn.s, peer), turn.now)) return;
  if (peer.suspicion === undefined) suspect(turn, peer);
  else declareDead(turn, peer);
}

function suspect(turn: Turn, peer: Peer): void {
  const { s } = turn;
  const about = nodeOf(peer);
  peer.suspicion = { confirmations: 0 };
  send(turn, peer, { kind: 'ping' });
  const runs = (node: string) => node === s.own.node || isRunning(s.peers.get(node)!.record);
  for (const node of s.ring.neighbours(about, 1, runs))
    if (node !== s.own.node) send(turn, s.peers.get(node)!, { kind: 'ping-req', about });
}

/** Who has never been heard from cannot have died. */
function declareDead(turn: Turn, peer: Peer): void {
  const record = isKnown(peer)
    ? ({ ...peer.record, status: 'dead' } as const)
    : ({ ...peer.record, incarnation: ABSENT, status: 'absent' } as const);
  setRecord(turn, peer, record, turn.now);
}

export function onPingReq(turn: Turn, requester: Peer, about: string): void {
  const { s, now } = turn;
  const subject = s.peers.get(about);
  if (subject === undefined) return;
  const silentFor = subject.lastHeard === undefined ? undefined : now - subject.lastHeard;
  send(turn, requester, { kind: 'indirect-ack', about, silentFor });
  if (silentFor !== undefined && silentFor <= s.settings.interval) return;
  subject.requesters.add(nodeOf(requester));
  send(turn, subject, { kind: 'ping' });
}

/** Another speaker has heard from it, or confirms that it is silent. */
export function onIndirectAck({ s, now }: Turn, about: string, silentFor: Millis | undefined): void {
  const subject = s.peers.get(about);
  if (subject === undefined || silentFor === undefined) return;
  if (silentFor < stretchedInterval(s) * (s.settings.misses - 1)) {
    subject.indirectlyHeard = latest(subject.indirectlyHeard, now - silentFor);
    subject.suspicion = undefined;
  } else if (subject.suspicion !== undefined) subject.suspicion.confirmations++;
}

/** A member that counts as dead, or has never come, may be there again and unable to say so: after a partition. */
export function pingNotRunning(turn: Turn): void {
  const { s } = turn;
  s.notRunning ??= [...s.peers.values()].filter(({ record }) => !isRunning(record)).map(nodeOf);
  if (s.notRunning.length === 0) return;
  s.nextNotRunning = (s.nextNotRunning + 1) % s.notRunning.length;
  send(turn, s.peers.get(s.notRunning[s.nextNotRunning]!)!, { kind: 'ping' });
}
