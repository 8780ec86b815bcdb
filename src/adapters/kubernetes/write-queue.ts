/**
 * Many writes, some at a time: ten thousand requests that are begun in one moment would stall the event loop for a second,
 * and wait in line for a connection anyway.
 * @module
 */
import { MAX_REQUESTS } from './connection.ts';

export class WriteQueue {
  readonly #waiting: (() => Promise<void>)[] = [];
  /** Index of the next in line: taking from the front of a long array is slow. */
  #next = 0;
  readonly #underWay = new Set<Promise<void>>();

  /** Begins the write as soon as there is a connection for it. It must not reject. */
  add(write: () => Promise<void>): void {
    this.#waiting.push(write);
    this.#begin();
  }

  /** Forgets those that wait and resolves when those under way are done. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#next = 0;
    await Promise.all(this.#underWay);
  }

  #begin(): void {
    while (this.#underWay.size < MAX_REQUESTS && this.#next < this.#waiting.length) {
      const done = this.#waiting[this.#next++]!().finally(() => {
        this.#underWay.delete(done);
        this.#begin();
      });
      this.#underWay.add(done);
    }
    if (this.#next < this.#waiting.length) return;
    this.#waiting.length = 0;
    this.#next = 0;
  }
}
