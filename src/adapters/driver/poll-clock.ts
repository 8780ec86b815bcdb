/**
 * The clock of a loop that waits by itself, as on poll(2): what is due runs when the loop says so. It listens first and judges afterwards,
 * so that nobody who has just spoken is declared dead because the loop was late.
 * @module
 */
import type { Millis } from '../../core/machine.ts';
import type { Cancel, Clock } from './clock.ts';

interface Timer {
  readonly at: Millis;
  readonly run: () => void;
}

export class PollClock implements Clock {
  readonly #timers = new Set<Timer>();

  now(): Millis {
    return performance.now();
  }

  at(moment: Millis, run: () => void): Cancel {
    const timer = { at: moment, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Whole milliseconds until something is due; -1: nothing will be. */
  get timeout(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#timers) next = Math.min(next, at);
    return next === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(next - this.now()));
  }

  /** Runs what is due, the earliest first. What that asks for waits for the next time, however early it is due. */
  runDue(): void {
    const now = this.now();
    const due = [...this.#timers].filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
    for (const timer of due) if (this.#timers.delete(timer)) timer.run();
  }
}
