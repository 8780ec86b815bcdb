/**
 * Numbers are told once a second, and not at all while there is nothing to tell.
 * @module
 */
import type { Cancel, Clock } from '../driver/clock.ts';

/** Milliseconds between reports. */
const INTERVAL = 1000;

export class Reports {
  readonly #clock: Clock;
  readonly #report: () => boolean;
  #cancel: Cancel | undefined;

  /** `report` says whether there will be more to tell. */
  constructor(clock: Clock, report: () => boolean) {
    this.#clock = clock;
    this.#report = report;
  }

  /** There is something to tell; the first report comes an interval later. */
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
