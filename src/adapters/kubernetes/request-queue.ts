/**
 * Limits concurrent requests: starting ten thousand at once would stall the event loop for a second, and most would wait for a connection
 * anyway.
 * @module
 */
import { MAX_REQUESTS } from './connection.ts';

/** Sends a request and calls `done` when it has finished, whether it succeeded or not. */
export type Send = (done: () => void) => void;

export class RequestQueue {
  readonly #waiting: Send[] = [];
  /** Index of the next request: removing the first element of a long array is slow. */
  #next = 0;
  #underWay = 0;
  #onQuiet: (() => void) | undefined;

  /** Sends as soon as fewer than MAX_REQUESTS are in flight. */
  add(send: Send): void {
    this.#waiting.push(send);
    this.#begin();
  }

  /** Drops the waiting requests, and calls back when those in flight have finished. */
  stop(onQuiet: () => void): void {
    this.#clear();
    this.#onQuiet = onQuiet;
    this.#endIfQuiet();
  }

  #begin(): void {
    while (this.#underWay < MAX_REQUESTS && this.#next < this.#waiting.length) {
      this.#underWay++;
      this.#waiting[this.#next++]!(() => {
        this.#underWay--;
        this.#begin();
        this.#endIfQuiet();
      });
    }
    if (this.#next >= this.#waiting.length) this.#clear();
  }

  #clear(): void {
    this.#waiting.length = 0;
    this.#next = 0;
  }

  #endIfQuiet(): void {
    if (this.#underWay > 0) return;
    this.#onQuiet?.();
    this.#onQuiet = undefined;
  }
}
