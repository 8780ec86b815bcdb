/**
 * Who watches whom, whenever membership or somebody's status has changed.
 * @module
 */

import { hasQuorum } from './quorum.ts';
import { isRunning } from './records.ts';
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
  s.monitors = monitors;
  s.notRunning = undefined;
  const quorum = !s.settings.fenced || hasQuorum(s);
  if (quorum !== s.quorum) turn.outputs.push({ kind: 'view-changed' });
  s.quorum = quorum;
}
