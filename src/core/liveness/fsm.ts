/**
 * Which speakers are alive. Membership comes from the API; the absence of news about the API changes nothing here.
 *
 *   watch     each speaker pings the three that follow it on a ring (ring.ts), in every interval; they answer
 *   suspect   who has missed more than two intervals is pinged back, and the others that watch it are asked
 *   judge     dead is who has been silent for three and whom another misses too, or for whom nobody vouches a quarter later
 *   tell      what is new goes to some at once and rides on every datagram for a while; two that know different things compare pages
 *   refute    who hears of its own death speaks with a higher version
 *
 * Whoever is heard by nobody, or dies and returns too often, calls itself unsteady. Whoever hears nobody judges nobody.
 * The shape follows SWIM (Das, Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2018).
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import { fitting, MAX_NEWS } from './codec.ts';
import type { FitLink, Member, MemberRecord, Message, News, NodeState, Status } from './messages.ts';
import { compare, from, isHeardOf, newsOf, notices, pull, send, spread, TELL_ALL, tellAt, tellNews } from './news.ts';
import { ABSENT, ASSUMED, beats, fingerprint, isRunning, stateOf } from './records.ts';
import { ReplayWindow } from './replay-window.ts';
import { Ring } from './ring.ts';
import {
  hasQuorum,
  type LivenessOutput,
  type LivenessState,
  LONG_AGO,
  NEVER,
  newPeer,
  type Peer,
  type Turn,
} from './state.ts';

export type LivenessInput =
  | { readonly kind: 'start' }
  /** This speaker knows the cluster and announces from now on. */
  | { readonly kind: 'ready' }
  /** This speaker is being stopped. */
  | { readonly kind: 'leave' }
  /** All speakers there should be, ourselves included or not. */
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** The whole of the links that this node can announce on. */
  | { readonly kind: 'links'; readonly links: readonly FitLink[] }
  /** No BGP router hears this node, or one does again. */
  | { readonly kind: 'unheard'; readonly unheard: boolean }
  /** An authenticated message. */
  | { readonly kind: 'received'; readonly message: Message };

/** Suspicion begins so many intervals before the verdict, and a verdict that nobody has agreed to comes so much later. */
const SUSPECT_EARLIER = 0.75;
const UNCONFIRMED_LATER = 0.25;
/** Intervals after which an isolated speaker takes itself to be the last one, and a starting one all others, unheard of, to be absent. */
const PATIENCE = 10;
/** News of a death that is older than this, in milliseconds, may have been refuted meanwhile. */
const LATE_NEWS = 1000;
/** Each step of lateness widens the windows by a half. */
const MAX_LATENESS = 4;
/** Milliseconds: how long faults are remembered, and how long the second one holds a speaker down; every further one, twice as long. */
const FAULT_MEMORY = 60_000;
const HOLD_DOWN = 2000;

export const livenessMachine: Machine<LivenessState, LivenessInput, LivenessOutput> = {
  step(state, input, now) {
    const turn: Turn = { s: state, now, outputs: [] };
    switch (input.kind) {
      case 'start':
        Object.assign(state, { nextPing: now, ownSince: now, heardAt: now, ackedAt: now });
        onTick(turn);
        break;
      case 'ready':
        // Not before we have noticed who is not there: until then we may believe that a dead node speaks for an address that is
        // ours, and those who announce it now would stop in vain.
        state.activeAt = now + state.settings.interval * (state.settings.misses + 1);
        break;
      case 'leave':
        state.isLeaving = true;
        judgeOurselves(turn);
        tellNews(turn);
        break;
      case 'members':
        onMembers(turn, input.members);
        break;
      case 'links':
        state.links = input.links;
        speak(turn, state.own.status);
        break;
      case 'unheard':
        state.unheard = input.unheard;
        speak(turn, state.own.status);
        break;
      case 'received':
        onMessage(turn, input.message);
        break;
      case 'tick':
        onTick(turn);
    }
    return { next: state, outputs: turn.outputs };
  },
  nextDeadline(state): Deadline | undefined {
    if (state.nextPing === NEVER) return undefined;
    const at = (when: Millis, why: string) => (when === NEVER ? undefined : { at: when, why });
    return earliest([
      at(state.nextPing, 'next ping'),
      at(state.activeAt, 'say that we are active'),
      at(assumedUntil(state), 'those that nobody has heard of'),
      state.fresh.size > 0 ? { at: tellAt(state), why: 'news to tell' } : undefined,
      state.isolatedSince === undefined
        ? earliest(
            state.watched.map((node) => at(judgeAt(state, state.peers.get(node)!), `${node} has to be heard from`)),
          )
        : undefined,
    ]);
  },
};

/** The interval as we take it: longer while our own timers are late. */
function stretched({ settings, lateness }: LivenessState): Millis {
  return settings.interval * (1 + lateness / 2);
}

/** The last sign of life. */
function evidence(state: LivenessState, peer: Peer): Millis {
  return Math.max(peer.lastHeard, peer.vouched, peer.watchedSince, state.graceFrom);
}

function judgeAt(state: LivenessState, peer: Peer): Millis {
  const { misses } = state.settings;
  const [count, from] = [peer.suspicion?.agreed, evidence(state, peer)];
  const intervals = count === undefined ? misses - SUSPECT_EARLIER : count > 0 ? misses : misses + UNCONFIRMED_LATER;
  return from + stretched(state) * intervals;
}

// Membership

function onMembers(turn: Turn, members: readonly Member[]): void {
  const { s, now } = turn;
  const wanted = new Map(members.filter(({ node }) => node !== s.own.node).map((member) => [member.node, member]));
  // Who is there when we come is taken to be active until we learn better: we do not take everything because we have just arrived.
  // Who comes later is not, before it says so.
  const isFirst = !s.knowsMembers;
  s.knowsMembers = true;
  const added: Peer[] = [];
  for (const [node, peer] of s.peers) {
    if (wanted.has(node)) continue;
    s.digest = (s.digest ^ fingerprint(peer.record)) >>> 0;
    for (const set of [s.rumors, s.fresh, s.held]) set.delete(node);
    s.peers.delete(node);
    turn.outputs.push({ kind: 'node-changed', node, state: 'forgotten' }, { kind: 'view-changed' });
  }
  for (const [node, member] of wanted) {
    const old = s.peers.get(node);
    if (old !== undefined) {
      old.member = member;
      continue;
    }
    const peer = isFirst ? newPeer(member, ASSUMED, 'active') : newPeer(member, ABSENT, 'absent');
    s.peers.set(node, peer);
    s.digest = (s.digest ^ fingerprint(peer.record)) >>> 0;
    retell(turn, peer);
    added.push(peer);
  }
  // Whoever is new to us hears of us at once, not an interval later; of very many, those that are ours to ping.
  if (s.nextPing !== NEVER && added.length <= TELL_ALL) for (const peer of added) send(turn, peer, { kind: 'ping' });
  if (isFirst && wanted.size > 0) {
    s.assumedUntil = now + s.settings.interval * PATIENCE;
    s.heardAt = now;
  }
  s.ring = new Ring([s.own.node, ...s.peers.keys()]);
  regroup(turn);
}

/** Who watches whom now. */
function regroup(turn: Turn): void {
  const { s, now } = turn;
  const runs = (node: string) => isRunning(s.peers.get(node)!.record);
  const watched = s.ring.neighbours(s.own.node, -1, runs);
  for (const node of watched) {
    const peer = s.peers.get(node)!;
    if (s.watched.includes(node)) continue;
    peer.watchedSince = now;
    peer.suspicion = undefined;
  }
  s.watched = watched;
  const monitors = s.ring.neighbours(s.own.node, 1, runs);
  if (!monitors.some((node) => s.monitors.includes(node))) s.monitorsSince = now;
  s.monitors = monitors;
  s.outcasts = undefined;
  const quorum = !s.settings.fenced || hasQuorum(s);
  if (quorum !== s.quorum) turn.outputs.push({ kind: 'view-changed' });
  s.quorum = quorum;
}

// Ourselves

/** Says something new of this speaker. */
function speak(turn: Turn, status: Status, above: Pick<MemberRecord, 'incarnation' | 'version'> = turn.s.own): void {
  const { s, now } = turn;
  if (status !== s.own.status) s.ownSince = now;
  s.digest = (s.digest ^ fingerprint(s.own)) >>> 0;
  const { incarnation, version } = above;
  s.own = { node: s.own.node, incarnation, version: version + 1, status, links: s.links, unheard: s.unheard };
  s.digest = (s.digest ^ fingerprint(s.own)) >>> 0;
  spread(turn, s.own.node);
}

function judgeOurselves(turn: Turn): void {
  const { s, now } = turn;
  if (now >= s.activeAt) {
    s.isReady = true;
    s.activeAt = NEVER;
  }
  const unheard = isUnheard(s, now);
  if (unheard && s.own.status === 'active') blame(turn);
  const status = ownStatus(s, unheard || now < s.holdUntil);
  if (status === s.own.status) return;
  speak(turn, status);
  turn.outputs.push({ kind: 'view-changed' });
}

function ownStatus({ isLeaving, isReady }: LivenessState, unsteady: boolean): Status {
  if (isLeaving) return 'leaving';
  if (!isReady) return 'starting';
  return unsteady ? 'unsteady' : 'active';
}

/** Nobody has answered our pings for longer than it takes to be declared dead: others have what was ours by now. */
function isUnheard(s: LivenessState, now: Millis): boolean {
  const since = Math.max(s.ackedAt, s.monitorsSince, s.graceFrom);
  return s.monitors.length > 0 && now - since >= stretched(s) * (s.settings.misses + 1);
}

/** Once may happen; who comes and goes again and again must not take its addresses along each time. */
function blame({ s, now }: Turn): void {
  const remembered = s.faults.filter((at) => now - at < FAULT_MEMORY);
  // Being unheard and being called dead are the same incident.
  if (now - (remembered.at(-1) ?? LONG_AGO) < s.settings.interval * s.settings.misses) return;
  s.faults = [...remembered, now];
  if (s.faults.length > 1) s.holdUntil = now + Math.min(FAULT_MEMORY, HOLD_DOWN * 2 ** (s.faults.length - 2));
}

// What others say

function onMessage(turn: Turn, message: Message): void {
  const { from: sender, sequence } = message;
  const peer = turn.s.peers.get(sender.node);
  if (peer === undefined) return;
  if (sender.incarnation < peer.record.incarnation) {
    // Its clock was set back, or somebody plays an old life of it: if it is there, it will say so in a new one.
    send(turn, peer, { kind: 'news' }, [peer.record]);
    return;
  }
  if (sender.incarnation !== peer.windowOf) {
    peer.window = new ReplayWindow();
    peer.windowOf = sender.incarnation;
  }
  if (!peer.window.accept(sequence)) return;
  hear(turn, peer);
  learn(turn, sender);
  for (const news of message.news) learn(turn, news);
  // It does not know what others say of it.
  if (message.kind !== 'ping' && notices(peer).length > 0) send(turn, peer, { kind: 'news' });
  compare(turn, peer, message.digest);
  answer(turn, peer, message);
}

function answer(turn: Turn, peer: Peer, message: Message): void {
  const { s, now } = turn;
  switch (message.kind) {
    case 'ping':
      send(turn, peer, { kind: 'ack', echo: message.sequence });
      return;
    case 'ack':
      s.ackedAt = now;
      if (peer.pinged?.sequence === message.echo) peer.roundTrip = now - peer.pinged.at;
      return;
    case 'ask': {
      const subject = s.peers.get(message.about);
      if (subject === undefined) return;
      const silentFor = subject.lastHeard === LONG_AGO ? undefined : now - subject.lastHeard;
      send(turn, peer, { kind: 'tell', about: message.about, silentFor });
      if (silentFor !== undefined && silentFor <= s.settings.interval) return;
      subject.askers.add(from(peer));
      send(turn, subject, { kind: 'ping' });
      return;
    }
    case 'tell':
      hearsay(turn, message.about, message.silentFor);
      return;
    case 'pull': {
      const records: News[] = [];
      for (const node of s.ring.after(message.after)) {
        const item = s.peers.get(node);
        if (item !== undefined && isHeardOf(item)) records.push(newsOf(turn, item.record, item.since));
        if (records.length > MAX_NEWS) break;
      }
      const page = fitting(records);
      const last = page.length < records.length ? page.at(-1)!.node : '';
      send(turn, peer, { kind: 'page', last }, page);
      return;
    }
    case 'page':
      if (s.pull?.from !== from(peer)) return;
      s.pull = undefined;
      if (message.last !== '') pull(turn, peer, message.last);
  }
}

/** A sign of life. */
function hear(turn: Turn, peer: Peer): void {
  const { s, now } = turn;
  peer.lastHeard = now;
  peer.suspicion = undefined;
  s.heardAt = now;
  if (s.isolatedSince !== undefined) comeBack(turn);
  const about = from(peer);
  for (const node of peer.askers) {
    const asker = s.peers.get(node);
    if (asker !== undefined) send(turn, asker, { kind: 'tell', about, silentFor: 0 });
  }
  peer.askers.clear();
}

function hearsay({ s, now }: Turn, about: string, silentFor: Millis | undefined): void {
  const subject = s.peers.get(about);
  if (subject === undefined || silentFor === undefined) return;
  if (silentFor < stretched(s) * (s.settings.misses - 1)) {
    subject.vouched = Math.max(subject.vouched, now - silentFor);
    subject.suspicion = undefined;
  } else if (subject.suspicion !== undefined) subject.suspicion.agreed++;
}

/** Takes a record in, if it says more than ours. */
function learn(turn: Turn, news: News): void {
  const { s, now } = turn;
  if (news.node === s.own.node) {
    defend(turn, news);
    return;
  }
  const peer = s.peers.get(news.node);
  if (peer === undefined || !beats(news, peer.record)) return;
  const isLate = news.status === 'dead' && news.age > LATE_NEWS && isRunning(peer.record) && isHeardOf(peer);
  if (isLate) {
    // Both sides of a partition call each other dead; what was true there need not be true here.
    if (peer.doubt !== undefined && !beats(news, peer.doubt.news)) return;
    peer.doubt = { news, until: now + s.settings.interval * s.settings.misses };
    s.doubted.add(news.node);
    send(turn, peer, { kind: 'ping' });
    return;
  }
  take(turn, peer, news, now - news.age);
}

function take(
  turn: Turn,
  peer: Peer,
  { node, incarnation, version, status, links, unheard }: MemberRecord,
  since: Millis,
): void {
  const { s } = turn;
  const before = peer.record;
  peer.record = { node, incarnation, version, status, links, unheard };
  if (status !== before.status) peer.since = since;
  peer.doubt = undefined;
  s.digest = (s.digest ^ fingerprint(before) ^ fingerprint(peer.record)) >>> 0;
  spread(turn, node);
  if (status === 'dead' && s.settings.fenced) s.held.add(node);
  if (before.status !== status) regroup(turn);
  retell(turn, peer);
  if (before.unheard !== unheard || !sameLinks(before.links, links)) turn.outputs.push({ kind: 'view-changed' });
}

function sameLinks(a: readonly FitLink[], b: readonly FitLink[]): boolean {
  return a.length === b.length && a.every(({ name, mac }, i) => name === b[i]!.name && mac.join() === b[i]!.mac.join());
}

/** Others say something of us that we have not said, or of a later life than this one. */
function defend(turn: Turn, news: News): void {
  const { s } = turn;
  // An older word has been answered, whoever says it hears the answer from us: it rides on every datagram.
  if (!beats(news, s.own)) return;
  if (news.status === 'dead' && s.own.status === 'active') blame(turn);
  // A life of ours that was later than this one, by a clock that was ahead: this one has to come after it.
  const isEarlier = news.incarnation > s.own.incarnation;
  speak(turn, s.own.status, isEarlier ? { incarnation: news.incarnation + 1n, version: 0 } : news);
  judgeOurselves(turn);
}

/** Tells the election what has become of a node, as far as it differs from before. */
function retell({ s, now, outputs }: Turn, peer: Peer): void {
  const node = from(peer);
  const isDeadToUs = s.isAlone && isRunning(peer.record);
  const state: NodeState = isDeadToUs ? 'dead' : stateOf(peer.record);
  if (state === 'dead' && s.held.has(node)) return;
  if (state === peer.told) return;
  peer.told = state;
  const silent = state === 'dead' && peer.lastHeard !== LONG_AGO ? { silentFor: now - peer.lastHeard } : {};
  outputs.push({ kind: 'node-changed', node, state, ...silent }, { kind: 'view-changed' });
}

// Time

function onTick(turn: Turn): void {
  const { s, now } = turn;
  const isPingDue = now >= s.nextPing;
  if (isPingDue) notePunctuality(s, now);
  if (now >= assumedUntil(s)) forgetAssumed(turn);
  judgeIsolation(turn);
  if (s.isolatedSince === undefined) for (const node of s.watched) judge(turn, s.peers.get(node)!);
  for (const node of s.held) release(turn, node);
  if (isPingDue) judgeDoubts(turn);
  judgeOurselves(turn);
  if (s.fresh.size > 0 && now >= tellAt(s)) tellNews(turn);
  if (!isPingDue) return;
  for (const node of s.monitors) send(turn, s.peers.get(node)!, { kind: 'ping' });
  pingOutcast(turn);
  const { interval } = s.settings;
  // A late timer does not send a burst to catch up: the next one is an interval away.
  s.nextPing = Math.max(Math.min(s.nextPing, now) + interval, now + interval / 2);
}

/** Whoever is late itself has no business to call others late (Lifeguard's local health). */
function notePunctuality(s: LivenessState, now: Millis): void {
  const late = now - s.nextPing;
  if (late > s.settings.interval) s.graceFrom = now;
  if (late > s.settings.interval / 2) s.lateness = Math.min(MAX_LATENESS, Math.floor(s.lateness) + 1);
  else s.lateness = s.lateness > 0.02 ? s.lateness - 0.02 : 0;
}

/** Not while somebody is telling us. */
function assumedUntil({ assumedUntil: until, pull: running }: LivenessState): Millis {
  return Math.max(until, running?.until ?? LONG_AGO);
}

/** Who has been taken for granted when we came, and nobody has heard of it since, has never been there. */
function forgetAssumed(turn: Turn): void {
  const { s, now } = turn;
  s.assumedUntil = NEVER;
  for (const peer of s.peers.values())
    if (!isHeardOf(peer)) take(turn, peer, { ...peer.record, incarnation: ABSENT, status: 'absent' }, now);
}

function judgeIsolation(turn: Turn): void {
  const { s, now } = turn;
  const { misses, interval } = s.settings;
  // Of two, nobody can say which one is the isolated one.
  if (s.isolatedSince === undefined && s.watched.length > 1) {
    const heardAt = Math.max(s.heardAt, s.graceFrom);
    if (now - heardAt < stretched(s) * (misses - SUSPECT_EARLIER)) return;
    s.isolatedSince = now;
    turn.outputs.push({ kind: 'isolation-changed', isolated: true });
    regroup(turn);
  }
  if (s.isolatedSince === undefined || s.isAlone || now - s.isolatedSince < interval * PATIENCE) return;
  // All the others may have died at once, and their clients are to be served. Nobody else is told: it may as well be us.
  s.isAlone = true;
  for (const peer of s.peers.values()) retell(turn, peer);
}

function comeBack(turn: Turn): void {
  const { s, now } = turn;
  s.isolatedSince = undefined;
  s.graceFrom = now;
  turn.outputs.push({ kind: 'isolation-changed', isolated: false });
  if (s.isAlone) {
    s.isAlone = false;
    for (const peer of s.peers.values()) retell(turn, peer);
  }
  regroup(turn);
}

function judge(turn: Turn, peer: Peer): void {
  const { s, now } = turn;
  if (now < judgeAt(s, peer)) return;
  if (peer.suspicion === undefined) {
    peer.suspicion = { agreed: 0 };
    send(turn, peer, { kind: 'ping' });
    const others = s.ring.neighbours(
      from(peer),
      1,
      (node) => node === s.own.node || isRunning(s.peers.get(node)!.record),
    );
    for (const node of others)
      if (node !== s.own.node) send(turn, s.peers.get(node)!, { kind: 'ask', about: from(peer) });
    return;
  }
  const verdict = isHeardOf(peer)
    ? ({ status: 'dead' } as const)
    : ({ incarnation: ABSENT, status: 'absent' } as const);
  take(turn, peer, { ...peer.record, ...verdict }, now);
}

/** `fenced`: those on the smaller side have fallen silent by now. */
function release(turn: Turn, node: string): void {
  const { s, now } = turn;
  const peer = s.peers.get(node)!;
  if (peer.record.status === 'dead' && now < peer.since + s.settings.interval * PATIENCE) return;
  s.held.delete(node);
  retell(turn, peer);
}

/** Late news of a death that nobody has refuted. */
function judgeDoubts(turn: Turn): void {
  const { s, now } = turn;
  for (const node of s.doubted) {
    const peer = s.peers.get(node);
    if (peer?.doubt !== undefined && now < peer.doubt.until) continue;
    s.doubted.delete(node);
    if (peer?.doubt === undefined) continue;
    const { news } = peer.doubt;
    peer.doubt = undefined;
    if (beats(news, peer.record)) take(turn, peer, news, now - news.age);
  }
}

/** Who counts as dead or has never come may be there again and unable to say so: after a partition. */
function pingOutcast(turn: Turn): void {
  const { s } = turn;
  s.outcasts ??= [...s.peers.values()].filter(({ record }) => !isRunning(record)).map(from);
  if (s.outcasts.length === 0) return;
  s.nextOutcast = (s.nextOutcast + 1) % s.outcasts.length;
  send(turn, s.peers.get(s.outcasts[s.nextOutcast]!)!, { kind: 'ping' });
}
