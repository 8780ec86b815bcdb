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

/** The deadline at a time that may not be set: no time, no deadline. */
export function deadline(at: Millis | undefined, why: string): Deadline | undefined {
  return at === undefined ? undefined : { at, why };
}

/** Whether a time that may not be set has come. */
export function isDue(at: Millis | undefined, now: Millis): at is Millis {
  return at !== undefined && at <= now;
}

/** The earliest of several times, each of which may not be set. */
export function earliestTime(...times: readonly (Millis | undefined)[]): Millis | undefined {
  let first: Millis | undefined;
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time;
  return first;
}
