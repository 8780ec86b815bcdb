/**
 * How speakers come to know the same: what is new goes to some at once and rides on every datagram for a while, and two that know
 * different things compare pages.
 * @module
 */
import type { Millis } from '../machine.ts';
import { fitting, MAX_NEWS } from './codec.ts';
import type { Content, MemberRecord, Message, News } from './messages.ts';
import { ASSUMED, isRunning } from './records.ts';
import { type LivenessState, LONG_AGO, NEVER, nextRandom, type Peer, type Turn } from './state.ts';

/** Up to so many others everything new goes to all of them at once; with more, to some. */
export const TELL_ALL = 8;
const TELL_SOME = 4;
/** So many times in an interval at most. */
const TELL_SHARE = 10;
/** Milliseconds between comparisons of all that is known. */
const PULL_INTERVAL = 5000;

export function from({ member }: Peer): string {
  return member.node;
}

/** Of those that we only assume to be there we know nothing that we could tell. */
export function isHeardOf({ record }: Peer): boolean {
  return record.incarnation !== ASSUMED;
}

/** From now on every datagram tells it for a while, and some go out for its sake at once. */
export function spread({ s }: Turn, node: string): void {
  s.fresh.add(node);
  if (node === s.own.node) return;
  s.rumors.delete(node);
  s.rumors.set(node, 0);
}

/** One piece of news goes out at once; of very many, as when all start together, several go together. */
export function tellAt({ toldAt, settings }: LivenessState): Millis {
  return toldAt + settings.interval / TELL_SHARE;
}

export function tellNews(turn: Turn): void {
  const { s, now } = turn;
  s.toldAt = now;
  const fresh = [...s.fresh];
  s.fresh.clear();
  const targets = new Set(someRunning(s));
  // Who is called dead has the right to hear it.
  for (const node of fresh) {
    const subject = s.peers.get(node);
    if (subject?.record.status === 'dead') targets.add(subject);
  }
  const records = fresh.flatMap((node) => (node === s.own.node ? [] : (s.peers.get(node)?.record ?? [])));
  for (const peer of targets) send(turn, peer, { kind: 'news' }, records);
}

/** All others that run, or some of them by chance where there are many. */
function someRunning(s: LivenessState): Peer[] {
  if (s.peers.size <= TELL_ALL) return [...s.peers.values()].filter(({ record }) => isRunning(record));
  const found: Peer[] = [];
  for (let tries = 0; tries < TELL_SOME * 8 && found.length < TELL_SOME; tries++) {
    const peer = s.peers.get(s.ring.at(nextRandom(s, s.ring.size)));
    if (peer !== undefined && isRunning(peer.record)) found.push(peer);
  }
  return found;
}

/**
 * How often each piece of news is told: enough that all have heard it with near certainty, whatever their number (SWIM §4.1). When
 * there is more of it than ten datagrams hold, as when all start together, whoever misses some compares pages.
 */
function repetitions({ peers, rumors }: LivenessState): number {
  return rumors.size > 10 * MAX_NEWS ? TELL_SOME : 3 * Math.ceil(Math.log2(peers.size + 2));
}

/** What is said of a node behind its back. */
export function notices({ record, doubt }: Peer): MemberRecord[] {
  if (doubt !== undefined) return [doubt.news];
  return record.status === 'dead' ? [record] : [];
}

export function newsOf({ now }: Turn, record: MemberRecord, since: Millis = LONG_AGO): News {
  return { ...record, age: since === LONG_AGO ? 0 : now - since };
}

/** Every datagram carries what is said of its receiver, what it is sent for, and the rumors that still fit. */
export function send(turn: Turn, to: Peer, content: Content, about: readonly MemberRecord[] = []): void {
  const { s, now, outputs } = turn;
  const first = [...notices(to), ...about];
  const told = new Set(first.map(({ node }) => node));
  const records = [...first];
  for (const node of s.rumors.keys()) {
    if (records.length >= MAX_NEWS) break;
    if (!told.has(node)) records.push(s.peers.get(node)!.record);
  }
  const news = fitting(records.map((record) => newsOf(turn, record, s.peers.get(record.node)?.since)));
  const enough = repetitions(s);
  for (const { node } of news) {
    const times = s.rumors.get(node);
    if (times === undefined) continue;
    // At the end again: all get their turn.
    s.rumors.delete(node);
    if (times + 1 < enough) s.rumors.set(node, times + 1);
  }
  if (content.kind === 'ping') to.pinged = { sequence: s.sequence, at: now };
  const message: Message = {
    ...content,
    from: newsOf(turn, s.own, s.ownSince),
    sequence: s.sequence++,
    digest: s.digest,
    news,
  };
  outputs.push({ kind: 'send-message', message, to: to.member });
}

/** Two that know different things for longer than news takes to travel: ours may be what is missing, or theirs. */
export function compare(turn: Turn, peer: Peer, digest: number): void {
  const { s, now } = turn;
  const { interval, misses } = s.settings;
  if (digest === s.digest) {
    peer.differsSince = undefined;
    return;
  }
  peer.differsSince ??= now;
  if (s.pull !== undefined && now < s.pull.until) return;
  const isNew = s.assumedUntil !== NEVER;
  const isSettled = now - peer.differsSince >= interval * misses && now - s.pulledAt >= PULL_INTERVAL;
  if (isSettled || (isNew && now - s.pulledAt >= interval * misses)) pull(turn, peer, '');
}

export function pull(turn: Turn, peer: Peer, after: string): void {
  const { s, now } = turn;
  s.pulledAt = now;
  s.pull = { from: from(peer), until: now + s.settings.interval * s.settings.misses };
  send(turn, peer, { kind: 'pull', after });
}
