/**
 * Many requests, some at a time: ten thousand that are begun in one moment would stall the event loop for a second, and wait in line for
 * a connection anyway.
 * @module
 */
import { MAX_REQUESTS } from './connection.ts';

/** Sends a request, and calls `done` once it is over, whatever came of it. */
export type Send = (done: () => void) => void;

export class RequestQueue {
  readonly #waiting: Send[] = [];
  /** Index of the next in line: taking from the front of a long array is slow. */
  #next = 0;
  #underWay = 0;
  #onQuiet: (() => void) | undefined;

  /** Sends as soon as there is a connection for it. */
  add(send: Send): void {
    this.#waiting.push(send);
    this.#begin();
  }

  /** Forgets those that wait, and calls back when those under way are over. */
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
