/**
 * A bound on how much the wire Worker reads from one socket per turn, so that a flood on one never starves the others.
 * @module
 */

/** Messages read from one socket before the others get their turn. */
export const BATCH = 64;

/** Yields what `next` returns, until it is undefined or the turn is over; the rest stays in the socket for the next turn. */
export function* batch<T>(next: () => T | undefined): Generator<T> {
  for (let i = 0; i < BATCH; i++) {
    const taken = next();
    if (taken === undefined) return;
    yield taken;
  }
}
