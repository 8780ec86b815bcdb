import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReplayWindow } from './replay-window.ts';

/** Which of the numbers count, in this order. */
function accepted(...sequences: readonly number[]): boolean[] {
  const window = new ReplayWindow();
  return sequences.map((sequence) => window.accept(sequence));
}

describe('the replay window', () => {
  it('takes each number once', () => {
    expect(accepted(0, 1, 1, 0)).toEqual([true, true, false, false]);
  });

  it('takes a number that comes out of order while it is one of the last 32', () => {
    expect(accepted(100, 69, 69)).toEqual([true, true, false]);
    for (const late of [68, 67, 36, 0]) expect(accepted(100, late)).toEqual([true, false]);
  });

  it('remembers what has come over a leap of 31, and forgets it over a longer one', () => {
    expect(accepted(0, 31, 0)).toEqual([true, true, false]);
    expect(accepted(0, 1, 2, 34, 33, 3, 2)).toEqual([true, true, true, true, true, true, false]);
  });

  it('takes no number twice, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100)), (numbers) => {
        const window = new ReplayWindow();
        const taken = numbers.filter((n) => window.accept(n));
        expect(new Set(taken).size).toBe(taken.length);
      }),
    );
  });
});
