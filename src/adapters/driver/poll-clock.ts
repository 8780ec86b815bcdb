/**
 * The clock of a loop that does its own waiting, as on poll(2): timers run when the loop says so. The loop reads its sockets first,
 * so that a peer whose message has arrived is not declared dead because the loop was late.
 * @module
 */
import { earliestTime, type Millis } from '../../core/machine.ts';
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

  /** Whole milliseconds until the next timer is due; -1: there is none. */
  get timeout(): number {
    let next: Millis | undefined;
    for (const { at } of this.#timers) next = earliestTime(next, at);
    return next === undefined ? -1 : Math.max(0, Math.ceil(next - this.now()));
  }

  /** Runs the timers that are due, earliest first. Timers that they start wait for the next call, even if due already. */
  runDue(): void {
    const now = this.now();
    const due = [...this.#timers].filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
    for (const timer of due) if (this.#timers.delete(timer)) timer.run();
  }
}
