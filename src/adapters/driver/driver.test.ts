import { describe, expect, it } from 'vitest';
import type { Machine, Tick } from '../../core/machine.ts';
import type { Clock } from './clock.ts';
import { Driver } from './driver.ts';

/** Time that moves when the test says so. */
function handClock() {
  let now = 0;
  const waiting = new Map<() => void, number>();
  const clock: Clock = {
    now: () => now,
    at: (moment, run) => {
      const entry = () => run();
      waiting.set(entry, moment);
      return () => waiting.delete(entry);
    },
  };
  const advance = (to: number) => {
    for (;;) {
      const due = [...waiting].filter(([, at]) => at <= to).sort(([, a], [, b]) => a - b)[0];
      if (due === undefined) break;
      now = Math.max(now, due[1]);
      waiting.delete(due[0]);
      due[0]();
    }
    now = to;
  };
  return { clock, advance, timers: () => [...waiting.values()] };
}

interface Counting {
  readonly seen: readonly string[];
  readonly wakeAt: number | undefined;
}
type Input = { readonly kind: 'say'; readonly text: string; readonly wakeAt?: number } | Tick;

/** Writes down what it is told, and says it. */
const counting: Machine<Counting, Exclude<Input, Tick>, string> = {
  step: ({ seen, wakeAt }, input, now) => {
    const text = input.kind === 'tick' ? `tick at ${now}` : input.text;
    if (text === 'throw') throw new Error('a step that fails');
    return {
      next: { seen: [...seen, text], wakeAt: input.kind === 'tick' ? undefined : (input.wakeAt ?? wakeAt) },
      outputs: [`${text} 1`, `${text} 2`],
    };
  },
  nextDeadline: ({ wakeAt }) => (wakeAt === undefined ? undefined : { at: wakeAt, why: 'a test' }),
};
const FRESH: Counting = { seen: [], wakeAt: undefined };

describe('the driver', () => {
  it('performs all outputs of a step before an input that one of them brings', () => {
    const performed: string[] = [];
    const { clock } = handClock();
    const driver: Driver<Counting, Exclude<Input, Tick>, string> = new Driver(counting, FRESH, {
      clock,
      perform: (output) => {
        performed.push(output);
        if (output === 'a 1') driver.feed({ kind: 'say', text: 'b' });
      },
    });
    driver.feed({ kind: 'say', text: 'a' });
    expect(performed).toEqual(['a 1', 'a 2', 'b 1', 'b 2']);
    expect(driver.state.seen).toEqual(['a', 'b']);
  });

  it('arms one timer, moves it, and ticks when it is due', () => {
    const { clock, advance, timers } = handClock();
    const driver = new Driver(counting, FRESH, { clock, perform: () => {} });
    driver.feed({ kind: 'say', text: 'a', wakeAt: 50 });
    driver.feed({ kind: 'say', text: 'b', wakeAt: 20 });
    expect(timers()).toEqual([20]);
    driver.feed({ kind: 'say', text: 'c', wakeAt: 70 });
    expect(timers()).toEqual([70]);
    advance(100);
    expect(driver.state.seen).toEqual(['a', 'b', 'c', 'tick at 70']);
    expect(timers()).toEqual([]);
  });

  it('arms the timer of a machine that waits from the start', () => {
    const { clock, timers } = handClock();
    new Driver(counting, { ...FRESH, wakeAt: 5 }, { clock, perform: () => {} });
    expect(timers()).toEqual([5]);
  });

  it('records every input in the order of the steps, ticks included', () => {
    const { clock, advance } = handClock();
    const recorded: [string, number][] = [];
    const driver: Driver<Counting, Exclude<Input, Tick>, string> = new Driver(counting, FRESH, {
      clock,
      perform: (output) => {
        if (output === 'a 2') driver.feed({ kind: 'say', text: 'b' });
      },
      record: (input, now) => recorded.push([input.kind === 'tick' ? 'tick' : input.text, now]),
    });
    driver.feed({ kind: 'say', text: 'a', wakeAt: 10 });
    advance(10);
    expect(recorded).toEqual([
      ['a', 0],
      ['b', 0],
      ['tick', 10],
    ]);
  });

  it('goes on after a step that threw, with the state from before it', () => {
    const { clock, timers } = handClock();
    const driver = new Driver(counting, FRESH, { clock, perform: () => {} });
    driver.feed({ kind: 'say', text: 'a', wakeAt: 10 });
    expect(() => driver.feed({ kind: 'say', text: 'throw' })).toThrow('a step that fails');
    driver.feed({ kind: 'say', text: 'b' });
    expect(driver.state.seen).toEqual(['a', 'b']);
    expect(timers()).toEqual([10]);
  });

  it('tells of what throws where nothing may end the process, and goes on with the next output and input', () => {
    const { clock, advance, timers } = handClock();
    const performed: string[] = [];
    const faults: string[] = [];
    const driver = new Driver(counting, FRESH, {
      clock,
      perform: (output) => {
        if (output === 'a 1') throw new Error('an output that fails');
        performed.push(output);
      },
      onFault: (error) => faults.push((error as Error).message),
    });
    driver.feed({ kind: 'say', text: 'throw' });
    driver.feed({ kind: 'say', text: 'a', wakeAt: 10 });
    expect(performed).toEqual(['a 2']);
    expect(faults).toEqual(['a step that fails', 'an output that fails']);
    driver.feed({ kind: 'say', text: 'throw' });
    // A machine that throws on what is due is not asked again at once.
    expect(timers()).toEqual([100]);
    advance(100);
    expect(driver.state.seen).toEqual(['a', 'tick at 100']);
  });

  it('performs nothing more once it is stopped, not even the rest of the step', () => {
    const { clock, timers } = handClock();
    const performed: string[] = [];
    const driver: Driver<Counting, Exclude<Input, Tick>, string> = new Driver(counting, FRESH, {
      clock,
      perform: (output) => {
        performed.push(output);
        driver.feed({ kind: 'say', text: 'b' });
        driver.stop();
      },
    });
    driver.feed({ kind: 'say', text: 'a', wakeAt: 10 });
    expect(performed).toEqual(['a 1']);
    expect(timers()).toEqual([]);
  });
});
