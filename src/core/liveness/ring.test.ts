import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReplayWindow } from './replay-window.ts';
import { MONITORS, Ring } from './ring.ts';

describe('the ring', () => {
  const names = Array.from({ length: 50 }, (_, i) => `node-${i}`);
  const ring = new Ring(names);

  it('gives each node as many watchers as it has to watch, and both sides agree on who', () => {
    for (const runs of [() => true, (name: string) => !name.endsWith('3')]) {
      for (const name of names.filter(runs)) {
        const watchers = ring.neighbours(name, 1, runs);
        expect(watchers).toHaveLength(MONITORS);
        for (const watcher of watchers) expect(ring.neighbours(watcher, -1, runs)).toContain(name);
      }
    }
  });

  it('in a small cluster is everybody else', () => {
    const small = new Ring(['a', 'b', 'c']);
    expect(small.neighbours('a', 1, () => true).sort()).toEqual(['b', 'c']);
    expect(small.neighbours('a', 1, () => false)).toEqual([]);
    expect(small.neighbours('z', 1, () => true)).toEqual([]);
  });

  it('goes on where a page ended', () => {
    const all = [...ring.after('')];
    expect(all).toHaveLength(50);
    expect([...ring.after(all[19]!)]).toEqual(all.slice(20));
  });
});

describe('the replay window', () => {
  it('takes every number once, in any order that a network makes of them', () => {
    const window = new ReplayWindow();
    expect([5, 3, 4, 5, 3, 6, 40, 9, 8, 40].map((n) => window.accept(n))).toEqual([
      true,
      true,
      true,
      false,
      false,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it('never takes one twice', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100)), (numbers) => {
        const window = new ReplayWindow();
        const taken = numbers.filter((n) => window.accept(n));
        expect(new Set(taken).size).toBe(taken.length);
      }),
    );
  });
});
