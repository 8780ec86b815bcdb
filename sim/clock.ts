/**
 * Virtual time: what is to happen, in order. Nothing here waits for anything.
 * @module
 */
import type { Machine, Tick } from '../src/core/machine.ts';

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualClock {
  now = 0;
  #order = 0;
  /** A binary heap, earliest first. */
  readonly #heap: Entry[] = [];

  /** Runs something after a delay in milliseconds; at one moment, in the order of asking. */
  after(delay: number, run: () => void): void {
    const entry = { at: this.now + Math.max(0, delay), order: this.#order++, run };
    let i = this.#heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if (!isBefore(entry, this.#heap[parent]!)) break;
      this.#heap[i] = this.#heap[parent]!;
      i = parent;
    }
    this.#heap[i] = entry;
  }

  /** Lets time pass up to a moment; `between` is called after every happening. */
  runUntil(end: number, between: () => void): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const entry = this.#take();
      this.now = entry.at;
      entry.run();
      between();
    }
    this.now = end;
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

/** Lets a process do something, now or when it runs again. */
export type Gate = (run: () => void) => void;

const OPEN: Gate = (run) => run();

/** Runs a machine on the virtual clock, as the driver in the adapters does on the real one. */
export class VirtualDriver<S, I, O> {
  state: S;
  readonly #machine: Machine<S, I, O>;
  readonly #clock: VirtualClock;
  readonly #perform: (output: O) => void;
  readonly #gate: Gate;
  #armedFor = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(
    machine: Machine<S, I, O>,
    initial: S,
    clock: VirtualClock,
    perform: (output: O) => void,
    gate: Gate = OPEN,
  ) {
    this.#machine = machine;
    this.state = initial;
    this.#clock = clock;
    this.#perform = perform;
    this.#gate = gate;
  }

  feed(input: I | Tick): void {
    if (this.#stopped) return;
    const { next, outputs } = this.#machine.step(this.state, input, this.#clock.now);
    this.state = next;
    for (const output of outputs) this.#perform(output);
    const at = this.#machine.nextDeadline(this.state)?.at;
    if (at === undefined || at >= this.#armedFor || at === Number.POSITIVE_INFINITY) return;
    this.#armedFor = at;
    this.#clock.after(at - this.#clock.now, () => {
      if (this.#armedFor !== at) return;
      this.#gate(() => {
        this.#armedFor = Number.POSITIVE_INFINITY;
        this.feed({ kind: 'tick' } as Tick);
      });
    });
  }

  /** What was on its way to the machine is lost, as with a killed process. */
  stop(): void {
    this.#stopped = true;
  }
}
