/**
 * --partition-mode=fenced: which side of a partition goes on.
 * @module
 */
import { isRunning, stateOf } from './records.ts';
import type { LivenessState } from './state.ts';

/**
 * A majority of those that run or should. Of two halves, the one with the first node by name has it. Who leaves, or has never come, is not
 * counted. An isolated speaker counts only itself.
 */
export function hasQuorum(state: LivenessState): boolean {
  let running = 1;
  let all = 1;
  let first = state.own.node;
  let isFirstHere = true;
  for (const { record } of state.peers.values()) {
    const runs = isRunning(record) && state.isolatedSince === undefined;
    if (!isRunning(record) && stateOf(record) !== 'dead') continue;
    all++;
    if (runs) running++;
    if (record.node < first) {
      first = record.node;
      isFirstHere = runs;
    }
  }
  return running * 2 > all || (running * 2 === all && isFirstHere);
}
