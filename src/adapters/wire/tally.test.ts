import { expect, it } from 'vitest';
import type { Clock } from '../driver/clock.ts';
import { Tally } from './tally.ts';

it('reports what was counted once a second, and no more than so many kinds', () => {
  let timers: (() => void)[] = [];
  const clock: Clock = {
    now: () => 0,
    at: (_, run) => {
      timers.push(run);
      return () => {};
    },
  };
  const reported: [string, number][] = [];
  const tally = new Tally<string>(clock, (what, times) => reported.push([what, times]));
  const pass = () => {
    const due = timers;
    timers = [];
    for (const run of due) run();
    return due.length;
  };
  for (const what of ['first', 'second']) tally.add('a', what);
  tally.add('b', 'third');
  expect(reported).toEqual([]);
  expect(pass()).toBe(1);
  expect(reported.splice(0)).toEqual([
    ['first', 2],
    ['third', 1],
  ]);
  expect(pass()).toBe(0);
  for (let i = 0; i < 1000; i++) tally.add(`${i}`, 'many');
  expect(pass()).toBe(1);
  expect(reported).toHaveLength(16);
});
