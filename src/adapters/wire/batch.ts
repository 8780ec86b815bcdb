/**
 * The bound on what one socket may take of a turn of the wire Worker, so that a flood on one never holds up the others.
 * @module
 */

/** Messages taken from one socket before the others get their turn. */
export const BATCH = 64;

/** What `next` gives until it has nothing more, or the turn is over; the rest waits in the socket for the next turn. */
export function* batch<T>(next: () => T | undefined): Generator<T> {
  for (let i = 0; i < BATCH; i++) {
    const taken = next();
    if (taken === undefined) return;
    yield taken;
  }
}
