import { describe, expect, it } from 'vitest';
import { listen, listenAgain, NO_SILENCE } from './silence.ts';

const up = (...states: [string, boolean][]) => new Map(states);

describe('silence', () => {
  it('is what has lasted, and ends with a session', () => {
    const first = listen(NO_SILENCE, up(['a', false], ['b', true]), 1000);
    expect([first.peers, listenAgain(first)?.at]).toEqual([[], 11_000]);
    const second = listen(first, up(['a', false], ['b', false]), 4000);
    expect([second.peers, listenAgain(second)?.at]).toEqual([[], 11_000]);
    const third = listen(second, up(['a', false], ['b', false]), 11_000);
    expect([third.peers, listenAgain(third)?.at]).toEqual([['a'], 14_000]);
    const fourth = listen(third, up(['a', true], ['b', false]), 14_000);
    expect([fourth.peers, listenAgain(fourth)]).toEqual([['b'], undefined]);
    expect(listen(fourth, up(['a', false]), 15_000).peers).toEqual([]);
  });

  it('is forgotten with the BGPPeer', () => {
    const before = listen(NO_SILENCE, up(['a', false]), 0);
    const after = listen(listen(before, up(), 5000), up(['a', false]), 10_000);
    expect([after.peers, listenAgain(after)?.at]).toEqual([[], 20_000]);
  });
});
