/**
 * Who watches whom, whenever membership or somebody's status has changed.
 * @module
 */

import { renewOwnRecord } from './own-record.ts';
import { hasQuorum } from './quorum.ts';
import { incarnationAfter, isRunning } from './records.ts';
import type { Turn } from './state.ts';

export function updateNeighbours(turn: Turn): void {
  const { s, now } = turn;
  const runs = (node: string) => isRunning(s.peers.get(node)!.record);
  const watched = s.ring.neighbours(s.own.node, -1, runs);
  for (const node of watched) {
    if (s.watched.includes(node)) continue;
    const peer = s.peers.get(node)!;
    peer.watchedSince = now;
    peer.suspicion = undefined;
  }
  s.watched = watched;
  const monitors = s.ring.neighbours(s.own.node, 1, runs);
  if (!monitors.some((node) => s.monitors.includes(node))) s.monitorsSince = now;
  // Nobody left that could tell us whether we are heard: see updateOwnStatus.
  if (monitors.length === 0 && s.monitors.length > 0)
    renewOwnRecord(turn, s.own.status, incarnationAfter(s.own.incarnation));
  s.monitors = monitors;
  s.notRunning = undefined;
  const quorum = !s.settings.fenced || hasQuorum(s);
  if (quorum !== s.quorum) turn.outputs.push({ kind: 'view-changed' });
  s.quorum = quorum;
}
