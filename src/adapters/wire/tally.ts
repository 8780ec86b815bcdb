/**
 * Counts things that a stranger may cause at any rate, and reports them at most once a second.
 * @module
 */
import type { Clock } from '../driver/clock.ts';
import { Reports } from './reports.ts';

/** Different things that are told apart between two reports; what else comes is left out. */
const MAX_KINDS = 16;

export class Tally<T> {
  readonly #counts = new Map<string, { readonly what: T; times: number }>();
  readonly #reports: Reports;

  constructor(clock: Clock, report: (what: T, times: number) => void) {
    this.#reports = new Reports(clock, () => {
      for (const { what, times } of this.#counts.values()) report(what, times);
      this.#counts.clear();
      return false;
    });
  }

  /** The first of those with one key is the one that is reported. */
  add(key: string, what: T): void {
    const entry = this.#counts.get(key);
    if (entry !== undefined) entry.times++;
    else if (this.#counts.size < MAX_KINDS) this.#counts.set(key, { what, times: 1 });
    this.#reports.begin();
  }
}
