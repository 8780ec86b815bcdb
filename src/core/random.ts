/**
 * Chance for machines: a number that goes from state to state, so that a recording replays to the same outputs. Nothing secret hangs on it.
 * @module
 */

/** Where to begin: seeds that are alike, as node 1 and node 2, begin far from each other (MurmurHash3's last mix). */
export function randomFrom(seed: number): number {
  let x = seed >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0 || 1;
}

/** The number after this one (Marsaglia's xorshift32): from 1 to 2^32 - 1, as the one before. */
export function nextRandom(random: number): number {
  let x = random;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x >>> 0;
}

/** The same as a part of a whole: from 0 up to, but not including, 1. */
export function fractionOf(random: number): number {
  return (random >>> 0) / 2 ** 32;
}
