/**
 * The main thread's end of the wire Worker.
 * @module
 */
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { FromWire, ToWire, WireOptions } from './messages.ts';
import { close, eventfd, signalEventfd } from './syscalls.ts';

/** How much lower the priority of all other threads is (nice value): needs no capability, unlike raising the Worker's. */
const OTHERS_NICENESS = 10;

/** Next to this file: the source, or the bundle in the image. */
const WORKER = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.mjs';

/** The main thread's end of the wire Worker, or of its stand-in in the simulation. */
export interface WirePort {
  send(message: ToWire): void;
  /** Rejects when it ends by itself. */
  readonly failed: Promise<never>;
  /** Calls back when nothing will be sent or reported any more. */
  stop(onStopped: () => void): void;
}

export class Wire implements WirePort {
  readonly #worker: Worker;
  readonly #wakeFd = eventfd();
  readonly #ended: Promise<void>;
  readonly #wakeAtExit = () => this.#wake();

  /** Starts the Worker. `onFact` is called on the main thread. */
  constructor(options: Omit<WireOptions, 'wakeFd'>, onFact: (fact: FromWire) => void) {
    const workerData: WireOptions = { wakeFd: this.#wakeFd, ...options };
    this.#worker = new Worker(new URL(WORKER, import.meta.url), { workerData, name: 'wire' });
    this.#worker.on('message', (fact: FromWire) => {
      if (fact.kind === 'ready') demoteOthers(fact.threadId);
      onFact(fact);
    });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    // A thread that is blocked in poll() does not end by itself: without this wake-up the process could not exit.
    process.on('exit', this.#wakeAtExit);
    process.on('uncaughtExceptionMonitor', this.#wakeAtExit);
  }

  /** Rejects when the Worker dies by itself. */
  get failed(): Promise<never> {
    return new Promise((_, reject) => this.#worker.once('error', reject));
  }

  send(message: ToWire): void {
    this.#worker.postMessage(message);
    this.#wake();
  }

  stop(onStopped: () => void): void {
    this.send({ kind: 'stop' });
    void this.#ended.then(() => {
      process.off('exit', this.#wakeAtExit);
      process.off('uncaughtExceptionMonitor', this.#wakeAtExit);
      close(this.#wakeFd);
      onStopped();
    });
  }

  #wake(): void {
    signalEventfd(this.#wakeFd);
  }
}

function demoteOthers(workerThread: number): void {
  for (const task of readdirSync('/proc/self/task')) {
    if (Number(task) === workerThread) continue;
    try {
      setPriority(Number(task), OTHERS_NICENESS);
    } catch {
      // The thread has ended in the meantime.
    }
  }
}
