/**
 * Who should be there, by the API.
 * @module
 */
import { isDue, type Millis } from '../machine.ts';
import { GOSSIP_TO_ALL, send } from './dissemination.ts';
import { latest } from './local-health.ts';
import { report, setRecord } from './merge.ts';
import type { Member } from './messages.ts';
import { updateNeighbours } from './neighbours.ts';
import { ABSENT, ASSUMED, digestOf } from './records.ts';
import { Ring } from './ring.ts';
import { isKnown, type LivenessState, newPeer, PATIENCE, type Peer, type Turn } from './state.ts';

/** More are not remembered; the first to go are forgotten. */
const MAX_FORMER = 1000;

export function onMembers(turn: Turn, members: readonly Member[]): void {
  const { s, now } = turn;
  const wanted = new Map(members.filter(({ node }) => node !== s.own.node).map((member) => [member.node, member]));
  // Who is there when we start is assumed to be active until we learn better: we do not take over everything because we have just
  // started. Who comes later is not, before it says so.
  const isFirst = !s.knowsMembers;
  s.knowsMembers = true;
  for (const node of s.peers.keys()) if (!wanted.has(node)) forget(turn, node);
  const added: Peer[] = [];
  for (const [node, member] of wanted) {
    const old = s.peers.get(node);
    if (old === undefined) added.push(add(turn, member, isFirst));
    else old.member = member;
  }
  // Whoever is new to us hears from us at once, not an interval later; of very many, only those that we ping anyway.
  if (s.nextPing !== undefined && added.length <= GOSSIP_TO_ALL)
    for (const peer of added) send(turn, peer, { kind: 'ping' });
  if (isFirst && wanted.size > 0) {
    s.assumedUntil = now + s.settings.interval * PATIENCE;
    s.heardAt = now;
  }
  s.ring = new Ring([s.own.node, ...s.peers.keys()]);
  updateNeighbours(turn);
}

function add(turn: Turn, member: Member, isFirst: boolean): Peer {
  const { s } = turn;
  const peer = isFirst ? newPeer(member, ASSUMED, 'active') : newPeer(member, ABSENT, 'absent');
  Object.assign(peer, s.former.get(member.node));
  s.former.delete(member.node);
  s.peers.set(member.node, peer);
  s.digest = (s.digest ^ digestOf(peer.record)) >>> 0;
  report(turn, peer);
  return peer;
}

function forget({ s, outputs }: Turn, node: string): void {
  const { record, window, windowOf } = s.peers.get(node)!;
  s.digest = (s.digest ^ digestOf(record)) >>> 0;
  s.former.delete(node);
  s.former.set(node, { window, windowOf });
  if (s.former.size > MAX_FORMER) s.former.delete(s.former.keys().next().value!);
  for (const set of [s.piggyback, s.unsent, s.deferredDeaths]) set.delete(node);
  s.peers.delete(node);
  outputs.push({ kind: 'node-changed', node, state: 'forgotten' }, { kind: 'view-changed' });
}

/** When members that we only assume to be there become absent; not while another speaker is sending us its records. */
export function assumptionsEnd({ assumedUntil, pull }: LivenessState): Millis | undefined {
  return assumedUntil === undefined ? undefined : latest(assumedUntil, pull?.until);
}

/** A member that was assumed to be there when we started, and that nobody has heard from since, has never been there. */
export function dropAssumptions(turn: Turn): void {
  const { s, now } = turn;
  if (!isDue(assumptionsEnd(s), now)) return;
  s.assumedUntil = undefined;
  for (const peer of s.peers.values())
    if (!isKnown(peer)) setRecord(turn, peer, { ...peer.record, incarnation: ABSENT, status: 'absent' }, now);
}
