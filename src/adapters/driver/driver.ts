/**
 * Runs a machine: queues inputs, steps it, performs its outputs, arms its one timer, and records every input. The only such loop:
 * processes, the wire Worker and the simulation differ only in the clock they pass in.
 * @module
 */
import type { Deadline, Machine, Millis, Tick } from '../../core/machine.ts';
import { type Cancel, type Clock, realClock } from './clock.ts';

export interface DriverOptions<I, O> {
  /** Performs one output. It may feed the driver: such inputs wait until all outputs of this step have been performed. */
  readonly perform: (output: O) => void;
  /** Called when all outputs of a step have been performed. */
  readonly onStepped?: (() => void) | undefined;
  /** Default: the clock of this process. */
  readonly clock?: Clock | undefined;
  /** Called with every input before it is stepped, ticks included. */
  readonly record?: ((input: I | Tick, now: Millis) => void) | undefined;
  /**
   * Told of what a step or an output throws; the driver goes on with the next one. Where nothing that comes in may end the process. Default: it
   * is thrown on.
   */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** Milliseconds without a tick after a step that threw: its deadline may still be due. */
const FAULT_PAUSE = 100;

export class Driver<S, I, O> {
  readonly #machine: Machine<S, I, O>;
  readonly #options: DriverOptions<I, O>;
  readonly #clock: Clock;
  #state: S;
  /** Inputs that arrived during a step, oldest first. */
  readonly #queue: (I | Tick)[] = [];
  #isAtWork = false;
  #armed: { readonly at: Millis; readonly cancel: Cancel } | undefined;
  #isStopped = false;
  /** No tick before this moment. */
  #pausedUntil: Millis | undefined;

  constructor(machine: Machine<S, I, O>, initial: S, options: DriverOptions<I, O>) {
    this.#machine = machine;
    this.#state = initial;
    this.#options = options;
    this.#clock = options.clock ?? realClock();
    // A new machine may already have a deadline.
    this.#arm();
  }

  get state(): S {
    return this.#state;
  }

  /** The clock that the machine is stepped by, in milliseconds. */
  get now(): Millis {
    return this.#clock.now();
  }

  /** When the machine wants to be stepped next, and what for. */
  get deadline(): Deadline | undefined {
    return this.#machine.nextDeadline(this.#state);
  }

  /**
   * Steps the machine. Unless a step is in progress, its outputs, and those of all inputs they cause, are performed before this
   * returns. Without `onFault`, throws whatever a step or an output throws; inputs still queued then are taken by the next call.
   */
  feed(input: I | Tick): void {
    if (this.#isStopped) return;
    this.#queue.push(input);
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#take(next);
    } finally {
      this.#isAtWork = false;
      this.#arm();
    }
  }

  /** After this, inputs are ignored and no timer fires. */
  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
    this.#armed?.cancel();
    this.#armed = undefined;
  }

  #take(input: I | Tick): void {
    const now = this.#clock.now();
    this.#options.record?.(input, now);
    if (this.#options.onFault !== undefined) this.#pausedUntil = now + FAULT_PAUSE;
    const step = this.#attempt(() => this.#machine.step(this.#state, input, now));
    if (step === undefined) return;
    this.#pausedUntil = undefined;
    this.#state = step.next;
    for (const output of step.outputs) {
      if (this.#isStopped) return;
      this.#attempt(() => this.#options.perform(output));
    }
    this.#attempt(() => this.#options.onStepped?.());
  }

  /** Undefined: it threw. */
  #attempt<T>(run: () => T): T | undefined {
    const { onFault } = this.#options;
    if (onFault === undefined) return run();
    try {
      return run();
    } catch (error) {
      onFault(error);
      return undefined;
    }
  }

  #arm(): void {
    const at = this.#isStopped ? undefined : latestTime(this.deadline?.at, this.#pausedUntil);
    if (at === this.#armed?.at) return;
    this.#armed?.cancel();
    this.#armed = undefined;
    if (at === undefined) return;
    const cancel = this.#clock.at(at, () => {
      this.#armed = undefined;
      this.feed({ kind: 'tick' });
    });
    this.#armed = { at, cancel };
  }
}

/** When something is due that has to wait until another moment, if there is one. */
function latestTime(due: Millis | undefined, pausedUntil: Millis | undefined): Millis | undefined {
  return due === undefined || pausedUntil === undefined ? due : Math.max(due, pausedUntil);
}
