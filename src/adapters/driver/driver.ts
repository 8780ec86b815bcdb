/**
 * Runs a machine in real time: feeds it inputs, arms its one timer, performs its outputs, and records what went in.
 * @module
 */
import type { Machine, Tick } from '../../core/machine.ts';

export interface DriverOptions<I, O> {
  readonly perform: (output: O) => void;
  /** Milliseconds; monotonic. */
  readonly now?: () => number;
  /** Called with every input before it is stepped, ticks included. */
  readonly record?: (input: I | Tick, now: number) => void;
}

export class Driver<S, I, O> {
  readonly #machine: Machine<S, I, O>;
  readonly #options: DriverOptions<I, O>;
  readonly #now: () => number;
  #state: S;
  #timer: NodeJS.Timeout | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(machine: Machine<S, I, O>, initial: S, options: DriverOptions<I, O>) {
    this.#machine = machine;
    this.#state = initial;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get state(): S {
    return this.#state;
  }

  /** The clock that the machine is stepped by, in milliseconds. */
  get now(): number {
    return this.#now();
  }

  /** Steps the machine. Outputs are performed before this returns; what they bring back comes in later. */
  feed(input: I | Tick): void {
    if (this.#stopped) return;
    const now = this.#now();
    this.#options.record?.(input, now);
    const { next, outputs } = this.#machine.step(this.#state, input, now);
    this.#state = next;
    for (const output of outputs) this.#options.perform(output);
    this.#arm();
  }

  /** No input is taken and no timer fires after this. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    const at = this.#machine.nextDeadline(this.#state)?.at ?? Number.POSITIVE_INFINITY;
    if (at === this.#armedFor || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#armedFor = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#armedFor = Number.POSITIVE_INFINITY;
        this.feed({ kind: 'tick' } as Tick);
      },
      Math.max(0, Math.ceil(at - this.#now())),
    );
  }
}
