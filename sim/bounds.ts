/**
 * How soon things have to be right on a network that loses a share `p` of the liveness messages. A bound that always holds would be none:
 * any number of messages in a row may be lost. So each stands for a chance of 1e-9 that a run breaks it although nothing is wrong.
 * @module
 */
import { HAND_OVER_GRACE } from '../src/core/layer2/hand-over.ts';
import { LIVENESS } from './processes.ts';

const CHANCE = 1e-9;
/** What the steps in between take, in milliseconds: a request of the wire to the main thread and back, frames on their way. */
const STEPS = 100;

/** So many times in a row happens what has the chance `p`, but for CHANCE: p^n < 1e-9. */
function inARow(p: number): number {
  return p === 0 ? 0 : Math.ceil(Math.log(CHANCE) / Math.log(p));
}

/**
 * Milliseconds from the death of an owner until another node answers. Those who watch it miss its pings (3 intervals) and ask each other for
 * one more; loss does not make that longer, for silence is what they wait for. The successor has to hear the verdict, of which one message
 * at least comes to it in every interval: it has it but for a chance of p^n after n intervals.
 */
export function failoverBound(loss: number): number {
  return LIVENESS.interval * (LIVENESS.misses + 1 + inARow(loss)) + STEPS;
}

/**
 * Milliseconds within which there is exactly one owner again, at rest: 0 where nothing is lost. Losses in a row make the living count as dead
 * now and then. The one that is accused hears of it and refutes: a message each way, lost with q = 1 - (1 - p)^2, tried in every interval.
 * Then the address moves back, for which its holder waits HAND_OVER_GRACE at most.
 */
export function disputeBound(loss: number): number {
  if (loss === 0) return 0;
  return LIVENESS.interval * inARow(1 - (1 - loss) ** 2) + HAND_OVER_GRACE + STEPS;
}
