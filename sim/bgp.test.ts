import { expect, it } from 'vitest';
import { simulateBgp } from './bgp.ts';

/** A share; `npm test` runs more of them, `npm run sim -- --bgp` as many as wanted. */
const RUNS = 50;

it(`a router holds exactly what it should, in ${RUNS} simulated sessions full of faults`, () => {
  const bad = Array.from({ length: RUNS }, (_, seed) => simulateBgp(seed)).filter(
    ({ violations }) => violations.length > 0,
  );
  expect(bad.map(({ seed, violations }) => [seed, violations])).toEqual([]);
});

it('comes out the same for the same seed', () => {
  expect(simulateBgp(7)).toEqual(simulateBgp(7));
});
