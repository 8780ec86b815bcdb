/**
 * How updates reach everybody (SWIM §4.1): a new one goes to some speakers at once, and rides on every datagram for a while.
 * @module
 */

import type { Millis } from '../machine.ts';
import { fitting, MAX_UPDATES } from './codec.ts';
import type { Content, MemberRecord, Message, Update } from './messages.ts';
import { ABSENT, ASSUMED, isLater, isRunning } from './records.ts';
import { type LivenessState, nextRandom, type Peer, type Turn } from './state.ts';

/** Among up to so many others a new update goes to all of them at once; among more, to some. */
export const GOSSIP_TO_ALL = 8;
const GOSSIP_FANOUT = 4;
const GOSSIPS_PER_INTERVAL = 10;

/** From now on every datagram carries the record of this node for a while, and some go out for its sake at once. */
export function disseminate({ s }: Turn, node: string): void {
  s.unsent.add(node);
  if (node === s.own.node) return;
  s.piggyback.delete(node);
  s.piggyback.set(node, 0);
}

/** One update goes out at once; of very many, as when all speakers start together, several go together. */
export function gossip(turn: Turn): void {
  const { s, now } = turn;
  s.gossipFrom = now + s.settings.interval / GOSSIPS_PER_INTERVAL;
  const nodes = [...s.unsent];
  s.unsent.clear();
  const targets = new Set(someRunning(s));
  // A node that is called dead gets the chance to refute it.
  for (const node of nodes) {
    const subject = s.peers.get(node);
    if (subject?.record.status === 'dead') targets.add(subject);
  }
  const records = nodes.flatMap((node) => (node === s.own.node ? [] : (s.peers.get(node)?.record ?? [])));
  for (const peer of targets) send(turn, peer, { kind: 'gossip' }, records);
}

/** All others that run, or where there are many, some of them at random. */
function someRunning(s: LivenessState): Peer[] {
  if (s.peers.size <= GOSSIP_TO_ALL) return [...s.peers.values()].filter(({ record }) => isRunning(record));
  const found: Peer[] = [];
  for (let tries = 0; tries < GOSSIP_FANOUT * 8 && found.length < GOSSIP_FANOUT; tries++) {
    const peer = s.peers.get(s.ring.at(nextRandom(s, s.ring.size)));
    if (peer !== undefined && isRunning(peer.record)) found.push(peer);
  }
  return found;
}

/**
 * How often each update is sent: enough that all have heard it with near certainty, however many they are (SWIM §4.1). When there are
 * more updates than ten datagrams hold, as when all speakers start together, push-pull brings what somebody missed.
 */
function transmitLimit({ peers, piggyback }: LivenessState): number {
  return piggyback.size > 10 * MAX_UPDATES ? GOSSIP_FANOUT : 3 * Math.ceil(Math.log2(peers.size + 2));
}

/** What is said about a node that it may have to refute. */
export function accusations({ record, lateDeath }: Peer): MemberRecord[] {
  if (lateDeath !== undefined) return [lateDeath.update];
  return record.status === 'dead' ? [record] : [];
}

export function updateOf({ now }: Turn, record: MemberRecord, since: Millis | undefined): Update {
  return { ...record, age: since === undefined ? 0 : now - since };
}

/** Every datagram carries the accusations against its receiver, what it is sent for, and the piggybacked updates that still fit. */
export function send(turn: Turn, to: Peer, content: Content, about: readonly MemberRecord[] = []): void {
  const { s, now } = turn;
  const records = [...accusations(to), ...about];
  const included = new Set(records.map(({ node }) => node));
  const room = 'addresses' in content ? 0 : MAX_UPDATES;
  for (const node of s.piggyback.keys()) {
    if (records.length >= room) break;
    if (!included.has(node)) records.push(s.peers.get(node)!.record);
  }
  const updates = fitting(records.map((record) => updateOf(turn, record, s.peers.get(record.node)?.since)));
  const limit = transmitLimit(s);
  for (const { node } of updates) {
    const times = s.piggyback.get(node);
    if (times === undefined) continue;
    // To the end of the queue: every update gets its turn.
    s.piggyback.delete(node);
    if (times + 1 < limit) s.piggyback.set(node, times + 1);
  }
  if (content.kind === 'ping') to.pinged = { sequence: s.sequence, at: now };
  emit(turn, to, content, updates, knownIncarnation(to));
}

/**
 * Answers a datagram that was not sent to this incarnation of ours. It may be one that is played back, so it counts for nothing; but if its sender
 * is there, it learns our incarnation from this, and hears what we know of a later incarnation of its own.
 */
export function introduce(turn: Turn, to: Peer, { from }: Message): void {
  const later = laterRecord(to, from.incarnation);
  emit(
    turn,
    to,
    { kind: 'gossip' },
    later.map((record) => updateOf(turn, record, to.since)),
    from.incarnation,
  );
}

/** What we know of a later incarnation of a peer than the one that it says it has. */
export function laterRecord({ record, windowOf }: Peer, incarnation: bigint): MemberRecord[] {
  if (record.incarnation > ABSENT) return isLater(record.incarnation, incarnation) ? [record] : [];
  // From before it was forgotten as a member: of what it said then, only the incarnation is left.
  return isLater(windowOf, incarnation) ? [{ ...record, incarnation: windowOf, version: 0, status: 'leaving' }] : [];
}

function emit(
  { s, now, outputs }: Turn,
  to: Peer,
  content: Content,
  updates: readonly Update[],
  receiver: bigint,
): void {
  const message: Message = {
    ...content,
    from: { ...s.own, age: s.ownSince === undefined ? 0 : now - s.ownSince },
    to: receiver,
    sequence: s.sequence++,
    digest: s.digest,
    updates,
  };
  outputs.push({ kind: 'send-message', message, to: to.member });
}

function knownIncarnation({ record }: Peer): bigint {
  return record.incarnation === ASSUMED ? ABSENT : record.incarnation;
}
