/**
 * Reports counters once a second, and not at all while nothing changes.
 * @module
 */
import type { Cancel, Clock } from '../driver/clock.ts';

/** Milliseconds between reports. */
const INTERVAL = 1000;

export class Reports {
  readonly #clock: Clock;
  readonly #report: () => boolean;
  #cancel: Cancel | undefined;

  /** `report` returns whether to go on reporting. */
  constructor(clock: Clock, report: () => boolean) {
    this.#clock = clock;
    this.#report = report;
  }

  /** Starts reporting; the first report comes one interval later. */
  begin(): void {
    this.#cancel ??= this.#clock.at(this.#clock.now() + INTERVAL, () => {
      this.#cancel = undefined;
      if (this.#report()) this.begin();
    });
  }

  stop(): void {
    this.#cancel?.();
  }
}
