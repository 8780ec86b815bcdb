/**
 * Where time comes from: the real clock in a process, the poll loop in the wire Worker, virtual time in the simulation.
 * @module
 */
import type { Millis } from '../../core/machine.ts';

/** Cancels a timer. Does nothing once it has fired. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds; monotonic, with an arbitrary zero. */
  now(): Millis;
  /** Runs something once at `moment`, or as soon after it as possible; never before this call returns. */
  at(moment: Millis, run: () => void): Cancel;
}

/** Wall-clock time, for timestamps that people and other programs read: milliseconds since 1970. It may jump. */
export type WallClock = () => number;

export const realWallClock: WallClock = () => Date.now();

/** The longest delay of a Node timer, in milliseconds; a longer one would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** The clock of this process. With `unref`, pending timers do not keep the process alive. */
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

/** Resolves after so many milliseconds of the clock. */
export function sleep(clock: Clock, milliseconds: Millis): Promise<void> {
  return new Promise((resolve) => clock.at(clock.now() + milliseconds, resolve));
}
