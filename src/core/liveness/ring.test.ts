import { describe, expect, it } from 'vitest';
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
