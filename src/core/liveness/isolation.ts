/**
 * A speaker that hears nobody judges nobody: it may be the one that is cut off.
 * @module
 */
import { latest, stretchedInterval } from './local-health.ts';
import { report } from './merge.ts';
import { updateNeighbours } from './neighbours.ts';
import { PATIENCE, SUSPECT_EARLIER, type Turn } from './state.ts';

export function checkIsolation(turn: Turn): void {
  const { s, now } = turn;
  const { misses, interval } = s.settings;
  // Of two, nobody can say which one is the isolated one.
  if (s.isolatedSince === undefined && s.watched.length > 1) {
    const since = latest(s.heardAt, s.graceFrom);
    if (since === undefined || now - since < stretchedInterval(s) * (misses - SUSPECT_EARLIER)) return;
    s.isolatedSince = now;
    turn.outputs.push({ kind: 'isolation-changed', isolated: true });
    updateNeighbours(turn);
  }
  if (s.isolatedSince === undefined || s.isAlone || now - s.isolatedSince < interval * PATIENCE) return;
  // All the others may have died at once, and their clients are to be served. Nobody else is told: it may as well be us.
  s.isAlone = true;
  for (const peer of s.peers.values()) report(turn, peer);
}

/** Somebody is heard again. */
export function endIsolation(turn: Turn): void {
  const { s, now } = turn;
  if (s.isolatedSince === undefined) return;
  s.isolatedSince = undefined;
  s.graceFrom = now;
  turn.outputs.push({ kind: 'isolation-changed', isolated: false });
  if (s.isAlone) {
    s.isAlone = false;
    for (const peer of s.peers.values()) report(turn, peer);
  }
  updateNeighbours(turn);
}
