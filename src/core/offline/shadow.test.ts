import { describe, expect, it } from 'vitest';
import type { Comparison, Difference } from './differences.ts';
import { COMPARISON_DELAY, INITIAL_SHADOW, SETTLING_TIME, type ShadowOutput, shadowMachine } from './shadow.ts';

const DIFFERENCE: Difference = { aspect: 'addresses', service: 'n/s', theirs: 'a', ours: 'b', why: '' };
const PROBLEM = { object: { kind: 'BGPPeer', name: 'r' }, field: 'spec', value: '', message: 'wrong', cure: 'mend it' };

/** A shadow of a cluster with two Services; what it asks to be compared gives `differences`. */
function shadow() {
  let state = INITIAL_SHADOW;
  let comparison: Comparison = { services: 2, differences: [], problems: [] };
  let now = 0;
  const outputs: ShadowOutput[] = [];
  let comparisons = 0;
  const feed = (input: Parameters<typeof shadowMachine.step>[1]): void => {
    const { next, outputs: more } = shadowMachine.step(state, input, now);
    state = next;
    for (const output of more) {
      if (output.kind !== 'compare') outputs.push(output);
      else {
        comparisons++;
        feed({ kind: 'compared', comparison });
      }
    }
  };
  return {
    /** The cluster changes, and compares like this from now on. */
    change: (change: Partial<Comparison>) => {
      comparison = { ...comparison, ...change };
      feed({ kind: 'changed' });
    },
    /** Time passes; gives the kinds of what is reported in it. */
    wait: (time: number) => {
      const end = now + time;
      for (let due = shadowMachine.nextDeadline(state); due !== undefined && due.at <= end; ) {
        now = due.at;
        feed({ kind: 'tick' });
        due = shadowMachine.nextDeadline(state);
      }
      now = end;
      return outputs.splice(0).map(({ kind }) => kind);
    },
    get comparisons() {
      return comparisons;
    },
  };
}

describe('the shadow', () => {
  it('compares once after a burst of changes, and says how many Services agree when that has changed', () => {
    const s = shadow();
    s.change({});
    s.change({});
    expect(s.wait(COMPARISON_DELAY - 1)).toEqual([]);
    expect(s.wait(1)).toEqual(['summary']);
    s.change({});
    expect(s.wait(COMPARISON_DELAY)).toEqual([]);
    expect(s.comparisons).toBe(2);
    s.change({ services: 3 });
    expect(s.wait(COMPARISON_DELAY)).toEqual(['summary']);
  });

  it('reports a difference once, when it has lasted, and that it is gone', () => {
    const s = shadow();
    s.change({ differences: [DIFFERENCE] });
    expect(s.wait(COMPARISON_DELAY)).toEqual(['summary']);
    expect(s.wait(SETTLING_TIME - 1)).toEqual([]);
    expect(s.wait(1)).toEqual(['differs']);
    s.change({});
    expect(s.wait(2 * SETTLING_TIME)).toEqual([]);
    s.change({ differences: [] });
    expect(s.wait(COMPARISON_DELAY)).toEqual(['agrees-again', 'summary']);
    expect(s.wait(2 * SETTLING_TIME)).toEqual([]);
  });

  it('says nothing of what settles by itself', () => {
    const s = shadow();
    s.change({ differences: [DIFFERENCE] });
    s.wait(COMPARISON_DELAY);
    s.change({ differences: [] });
    expect(s.wait(2 * SETTLING_TIME)).toEqual(['summary']);
  });

  it('reports what is wrong with the configuration when that has changed', () => {
    const s = shadow();
    s.change({ problems: [PROBLEM] });
    expect(s.wait(COMPARISON_DELAY)).toEqual(['problems', 'summary']);
    s.change({ problems: [{ ...PROBLEM }] });
    expect(s.wait(COMPARISON_DELAY)).toEqual([]);
  });
});
