/**
 * The one shape of every state machine: past facts in, commands out, no clock and no I/O inside.
 * @module
 */

/** Milliseconds on a monotonic clock whose zero means nothing. */
export type Millis = number;

/** What a step gives back. A machine with a large state may own and change it in place: use only `next` afterwards. */
export interface Step<S, O> {
  readonly next: S;
  readonly outputs: readonly O[];
}

/** When a machine wants to be stepped with `{ kind: 'tick' }` if nothing else happens before, and what for. */
export interface Deadline {
  readonly at: Millis;
  readonly why: string;
}

/** The input that says nothing but that time has passed. */
export interface Tick {
  readonly kind: 'tick';
}

export interface Machine<S, I, O> {
  readonly step: (state: S, input: I | Tick, now: Millis) => Step<S, O>;
  readonly nextDeadline: (state: S) => Deadline | undefined;
}

/** The earliest of several deadlines. */
export function earliest(deadlines: Iterable<Deadline | undefined>): Deadline | undefined {
  let first: Deadline | undefined;
  for (const deadline of deadlines)
    if (deadline !== undefined && (first === undefined || deadline.at < first.at)) first = deadline;
  return first;
}
