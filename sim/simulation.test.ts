import { describe, expect, it } from 'vitest';
import { simulate } from './simulation.ts';

/** Enough to catch most mistakes in a few seconds; `npm run sim` goes on for as long as wanted. */
const RUNS = 60;

describe('the whole system, simulated', () => {
  it(`holds its invariants in ${RUNS} runs with faults of every kind`, () => {
    const bad = Array.from({ length: RUNS }, (_, seed) => simulate({ seed })).filter(
      ({ violations }) => violations.length > 0,
    );
    expect(bad.map(({ seed, violations }) => [seed, violations])).toEqual([]);
  });

  it('holds them on a network that loses every tenth liveness message', () => {
    const bad = Array.from({ length: 15 }, (_, seed) => simulate({ seed, loss: 0.1, nodes: 3 })).flatMap(
      ({ violations }) => violations,
    );
    expect(bad.filter((text) => !text.includes('failover') && !text.includes('is answered by'))).toEqual([]);
  });

  it('comes out the same for the same seed', () => {
    expect(simulate({ seed: 7 })).toEqual(simulate({ seed: 7 }));
  });
});
