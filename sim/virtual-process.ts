/**
 * A process in virtual time. What runs in it is the production code; the process stands between that code and the world: it can sleep, as
 * under SIGSTOP or a long garbage collection, be killed at any moment, and must leave the world alone once it says that it has ended.
 * @module
 */
import type { Clock } from '../src/adapters/driver/clock.ts';
import type { VirtualClock } from './clock.ts';
import type { Random } from './random.ts';

export interface World {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** Called with a description of each violation. */
  readonly onBreach: (text: string) => void;
}

/** What arrived while a thread slept; each channel keeps its order. */
interface Waiting {
  readonly channel: unknown;
  readonly run: () => void;
}

const TIMERS = 'timers';

/**
 * What a thread handles first when it wakes: an event loop anything; the wire Worker, with its own poll loop, its sockets before its
 * timers.
 */
type Order = 'any' | 'sockets first';

/** One thread of a process: everything that runs in it goes through here. */
export class Thread {
  readonly #process: VirtualProcess;
  readonly #world: World;
  readonly #order: Order;
  readonly clock: Clock;
  /** What waits for it to wake; undefined: it is awake. */
  #asleep: Waiting[] | undefined;
  /** For how many reasons it sleeps. */
  #sleeps = 0;

  constructor(process: VirtualProcess, world: World, order: Order) {
    this.#process = process;
    this.#world = world;
    this.#order = order;
    const { clock } = world;
    this.clock = {
      now: () => clock.now(),
      at: (moment, run) => {
        if (!this.#process.touches('asks for a timer')) return () => {};
        let isCancelled = false;
        const cancel = clock.at(moment, () =>
          this.run(TIMERS, () => {
            if (!isCancelled && this.#process.touches('has a timer')) run();
          }),
        );
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }

  /** Runs an outside event in this thread, now or when it wakes; never once the process has ended. */
  run(channel: unknown, act: () => void): void {
    if (this.#asleep !== undefined) this.#asleep.push({ channel, run: act });
    else if (channel === TIMERS || this.#process.isRunning) act();
  }

  fallAsleep(): void {
    this.#sleeps++;
    this.#asleep ??= [];
  }

  wake(): void {
    if (--this.#sleeps > 0) return;
    const waiting = this.#asleep ?? [];
    this.#asleep = undefined;
    const channels = new Map<unknown, Waiting[]>();
    for (const each of waiting) channels.set(each.channel, [...(channels.get(each.channel) ?? []), each]);
    const timers = this.#order === 'any' ? [] : (channels.get(TIMERS) ?? []);
    if (this.#order === 'sockets first') channels.delete(TIMERS);
    const queues = [...channels.values()];
    while (queues.length > 0) {
      const i = this.#world.random.between(0, queues.length - 1);
      const next = queues[i]!.shift();
      if (next === undefined) queues.splice(i, 1);
      else this.run(next.channel, next.run);
    }
    for (const { run } of timers) this.run(TIMERS, run);
  }
}

export class VirtualProcess {
  readonly name: string;
  readonly main: Thread;
  readonly wire: Thread;
  readonly #world: World;
  #state: 'running' | 'ended' | 'killed' = 'running';
  #isAsleep = false;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.main = new Thread(this, world, 'any');
    this.wire = new Thread(this, world, 'sockets first');
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** Called before the process touches the world: false once killed (it then does nothing), and a violation after its end. */
  touches(what: string): boolean {
    if (this.#state === 'ended') this.#world.onBreach(`${this.name} ${what} after its end`);
    return this.#state === 'running';
  }

  kill(): void {
    this.#state = 'killed';
  }

  /** The process says that it has nothing left to do. */
  end(): void {
    if (this.#state === 'running') this.#state = 'ended';
  }

  /** Its main thread alone is busy with something long; its wire goes on. */
  stall(milliseconds: number): void {
    if (!this.isRunning) return;
    this.main.fallAsleep();
    this.#world.clock.after(milliseconds, () => this.main.wake());
  }

  sleep(milliseconds: number): void {
    if (!this.isRunning || this.#isAsleep) return;
    this.#isAsleep = true;
    const threads = [this.main, this.wire];
    for (const thread of threads) thread.fallAsleep();
    this.#world.clock.after(milliseconds, () => {
      this.#isAsleep = false;
      for (const thread of threads) thread.wake();
    });
  }
}
