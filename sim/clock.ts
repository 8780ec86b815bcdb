/**
 * Virtual time: a queue of events, in order. Nothing really waits.
 * @module
 */
import type { Cancel, Clock } from '../src/adapters/driver/clock.ts';
import type { Millis } from '../src/core/machine.ts';

interface Entry {
  readonly at: Millis;
  readonly order: number;
  /** Undefined: canceled. */
  run: (() => void) | undefined;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  /** A binary heap, earliest first. */
  readonly #heap: Entry[] = [];

  now(): Millis {
    return this.#now;
  }

  /** Breaks ties: events of the same moment run in the order they were scheduled. */
  at(moment: Millis, run: () => void): Cancel {
    const entry: Entry = { at: Math.max(this.#now, moment), order: this.#order++, run };
    let i = this.#heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if (!isBefore(entry, this.#heap[parent]!)) break;
      this.#heap[i] = this.#heap[parent]!;
      i = parent;
    }
    this.#heap[i] = entry;
    return () => {
      entry.run = undefined;
    };
  }

  /** Runs something after a delay in milliseconds. */
  after(delay: Millis, run: () => void): void {
    this.at(this.#now + delay, run);
  }

  /** Lets time pass up to a moment; `between` is called after every event. */
  runUntil(end: Millis, between: () => void): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const { at, run } = this.#take();
      if (run === undefined) continue;
      this.#now = at;
      run();
      between();
    }
    this.#now = end;
  }

  #take(): Entry {
    const first = this.#heap[0]!;
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && isBefore(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      if (!isBefore(this.#heap[child]!, last)) break;
      this.#heap[i] = this.#heap[child]!;
      i = child;
    }
    this.#heap[i] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
