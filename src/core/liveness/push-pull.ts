/**
 * Push-pull: two speakers whose digests differ for longer than dissemination takes compare all their records, page by page.
 * @module
 */
import type { Millis } from '../machine.ts';
import { fitting, MAX_UPDATES } from './codec.ts';
import { send, updateOf } from './dissemination.ts';
import type { Update } from './messages.ts';
import { isKnown, nodeOf, type Peer, type Turn } from './state.ts';

/** Milliseconds between two comparisons of all records. */
const PULL_INTERVAL = 5000;

/** Either side may have what the other lacks. */
export function compareDigests(turn: Turn, peer: Peer, digest: number): void {
  const { s, now } = turn;
  const { interval, misses } = s.settings;
  if (digest === s.digest) {
    peer.differsSince = undefined;
    return;
  }
  peer.differsSince ??= now;
  if (s.pull !== undefined && now < s.pull.until) return;
  const hasPaused = (pause: Millis) => s.pulledAt === undefined || now - s.pulledAt >= pause;
  const isNew = s.assumedUntil !== undefined;
  const isSettled = now - peer.differsSince >= interval * misses && hasPaused(PULL_INTERVAL);
  if (isSettled || (isNew && hasPaused(interval * misses))) pull(turn, peer, '');
}

function pull(turn: Turn, peer: Peer, after: string): void {
  const { s, now } = turn;
  s.pulledAt = now;
  s.pull = { from: nodeOf(peer), until: now + s.settings.interval * s.settings.misses };
  send(turn, peer, { kind: 'pull', after });
}

/** Answers a pull. Of members that we only assume to be there we have nothing to send. */
export function push(turn: Turn, peer: Peer, after: string): void {
  const { s } = turn;
  const updates: Update[] = [];
  for (const node of s.ring.after(after)) {
    const item = s.peers.get(node);
    if (item !== undefined && isKnown(item)) updates.push(updateOf(turn, item.record, item.since));
    if (updates.length > MAX_UPDATES) break;
  }
  const page = fitting(updates);
  const last = page.length < updates.length ? page.at(-1)!.node : '';
  send(turn, peer, { kind: 'push', last }, page);
}

/** A page has come in, and its updates have been merged; asks for the next one. */
export function onPush(turn: Turn, peer: Peer, last: string): void {
  if (turn.s.pull?.from !== nodeOf(peer)) return;
  turn.s.pull = undefined;
  if (last !== '') pull(turn, peer, last);
}
