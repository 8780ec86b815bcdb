/**
 * Where time comes from: the real clock in a process, the poll loop in the wire Worker, virtual time in the simulation.
 * @module
 */
import type { Millis } from '../../core/machine.ts';

/** Takes back what was asked of a clock. Does nothing once it has run. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds; monotonic, with a zero that means nothing. */
  now(): Millis;
  /** Runs something once, at a moment of this clock or as soon after it as possible; never before this call returns. */
  at(moment: Millis, run: () => void): Cancel;
}

/** Everybody's time, for what people and other programs read: milliseconds since 1970. It may jump. */
export type WallClock = () => number;

/** The longest delay that a timer of Node takes, in milliseconds; a longer one would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** The clock of this process. A timer that is all that is left does not keep the process alive where `unref` is set. */
export function realClock({ unref = false }: { readonly unref?: boolean } = {}): Clock {
  const now = () => performance.now();
  return {
    now,
    at: (moment, run) => {
      let timer: NodeJS.Timeout;
      const arm = () => {
        const delay = Math.max(0, Math.ceil(moment - now()));
        timer = delay > LONGEST_DELAY ? setTimeout(arm, LONGEST_DELAY) : setTimeout(run, delay);
        if (unref) timer.unref();
      };
      arm();
      return () => clearTimeout(timer);
    },
  };
}
