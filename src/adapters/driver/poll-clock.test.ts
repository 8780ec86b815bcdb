import { describe, expect, it } from 'vitest';
import { PollClock } from './poll-clock.ts';

/** With a time that the test sets. */
function pollClock() {
  let now = 0;
  class TestClock extends PollClock {
    override now(): number {
      return now;
    }
  }
  return { clock: new TestClock(), pass: (to: number) => (now = to) };
}

describe('the clock of a poll loop', () => {
  it('says how long the loop may wait: not at all for what is late, without end for nothing', () => {
    const { clock, pass } = pollClock();
    expect(clock.timeout).toBe(-1);
    clock.at(10.2, () => {});
    const cancel = clock.at(3, () => {});
    expect(clock.timeout).toBe(3);
    cancel();
    expect(clock.timeout).toBe(11);
    pass(20);
    expect(clock.timeout).toBe(0);
  });

  it('runs what is due in the order of time, once, and nothing that was cancelled', () => {
    const { clock, pass } = pollClock();
    const ran: string[] = [];
    clock.at(5, () => ran.push('b'));
    const cancelLate = clock.at(6, () => ran.push('cancelled by c'));
    clock.at(5.5, () => {
      ran.push('c');
      cancelLate();
    });
    clock.at(2, () => ran.push('a'));
    clock.at(50, () => ran.push('not yet'));
    pass(10);
    clock.runDue();
    clock.runDue();
    expect(ran).toEqual(['a', 'b', 'c']);
  });

  it('lets the loop listen again before what was asked for meanwhile', () => {
    const { clock } = pollClock();
    const ran: string[] = [];
    clock.at(0, () => {
      ran.push('first');
      clock.at(0, () => ran.push('second'));
    });
    clock.runDue();
    expect(ran).toEqual(['first']);
    clock.runDue();
    expect(ran).toEqual(['first', 'second']);
  });
});
