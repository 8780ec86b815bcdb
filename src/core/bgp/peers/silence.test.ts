import { describe, expect, it } from 'vitest';
import { NO_SILENCE, nextSilence, silenceDeadline } from './silence.ts';

const up = (...states: [string, boolean][]) => new Map(states);

describe('silence', () => {
  it('is what has lasted, and ends with a session', () => {
    const first = nextSilence(NO_SILENCE, up(['a', false], ['b', true]), 1000);
    expect([first.peers, silenceDeadline(first)?.at]).toEqual([[], 11_000]);
    const second = nextSilence(first, up(['a', false], ['b', false]), 4000);
    expect([second.peers, silenceDeadline(second)?.at]).toEqual([[], 11_000]);
    const third = nextSilence(second, up(['a', false], ['b', false]), 11_000);
    expect([third.peers, silenceDeadline(third)?.at]).toEqual([['a'], 14_000]);
    const fourth = nextSilence(third, up(['a', true], ['b', false]), 14_000);
    expect([fourth.peers, silenceDeadline(fourth)]).toEqual([['b'], undefined]);
    expect(nextSilence(fourth, up(['a', false]), 15_000).peers).toEqual([]);
  });

  it('is forgotten with the BGPPeer', () => {
    const before = nextSilence(NO_SILENCE, up(['a', false]), 0);
    const after = nextSilence(nextSilence(before, up(), 5000), up(['a', false]), 10_000);
    expect([after.peers, silenceDeadline(after)?.at]).toEqual([[], 20_000]);
  });
});
