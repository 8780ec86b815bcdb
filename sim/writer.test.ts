import { expect, it } from 'vitest';
import { simulateWriter } from './writer.ts';

/** A share; `npm test` runs more of them, `npm run sim -- --writer` as many as wanted. */
const RUNS = 100;

it(`what is there is what is wanted, and nothing of others’ is touched, in ${RUNS} simulated lives of a writer`, () => {
  const bad = Array.from({ length: RUNS }, (_, seed) => simulateWriter(seed)).filter(
    ({ violations }) => violations.length > 0,
  );
  expect(bad.map(({ seed, violations }) => [seed, violations])).toEqual([]);
});

it('comes out the same for the same seed', () => {
  expect(simulateWriter(7)).toEqual(simulateWriter(7));
});
