import { describe, expect, it } from 'vitest';
import { disputeBound, failoverBound } from './bounds.ts';
import { VirtualClock } from './clock.ts';
import { Random } from './random.ts';
import { simulate } from './simulation.ts';
import { VirtualProcess } from './virtual-process.ts';

/** Enough to catch most mistakes in a few seconds; `npm run sim` goes on for as long as wanted. */
const RUNS = 8;

const violations = (options: { loss?: number; nodes?: number }, runs: number) =>
  Array.from({ length: runs }, (_, seed) => simulate({ seed, ...options }))
    .filter((report) => report.violations.length > 0)
    .map((report) => [report.seed, report.violations]);

describe('the whole system, simulated', () => {
  it(`holds its invariants in ${RUNS} runs with faults of every kind`, () => {
    expect(violations({}, RUNS)).toEqual([]);
  });

  it.each([0.1, 0.3])('holds them on a network that loses %d of the liveness messages', (loss) => {
    expect(violations({ loss, nodes: 3 }, RUNS / 2)).toEqual([]);
  });

  it('loses no address that is valid before and after, with addresses of both families', () => {
    expect(violations({ nodes: 0 }, 3 * RUNS)).toEqual([]);
  });

  it('comes out the same for the same seed', () => {
    expect(simulate({ seed: 7 })).toEqual(simulate({ seed: 7 }));
  });
});

describe('the bounds', () => {
  it('are those of a network that loses nothing, and longer the more is lost', () => {
    expect([failoverBound(0), disputeBound(0)]).toEqual([500, 0]);
    // 0.1^9 is 1e-9; of a message each way 0.19 get lost, and 0.19^13 is less.
    expect([failoverBound(0.1), disputeBound(0.1)]).toEqual([500 + 900, 1300 + 1500 + 100]);
    expect(failoverBound(0.3)).toBeGreaterThan(failoverBound(0.1));
  });
});

describe('a virtual process', () => {
  function launch() {
    const clock = new VirtualClock();
    const breaches: string[] = [];
    const process = new VirtualProcess(
      { clock, random: new Random(1), onBreach: (text) => breaches.push(text) },
      'process',
    );
    const ran: string[] = [];
    const pass = (milliseconds: number) => clock.runUntil(clock.now() + milliseconds, () => {});
    return { clock, process, breaches, ran, pass };
  }

  it('takes in what came while it slept when it wakes: its wire first what was said, then what is due', () => {
    const { clock, process, ran, pass } = launch();
    process.wire.clock.at(10, () => ran.push('timer'));
    process.sleep(50);
    clock.at(20, () => process.wire.run('socket', () => ran.push('message')));
    pass(49);
    expect(ran).toEqual([]);
    pass(1);
    expect(ran).toEqual(['message', 'timer']);
  });

  it('stalls with its wire awake, and stays asleep until both are over', () => {
    const { process, ran, pass } = launch();
    process.stall(50);
    process.sleep(20);
    process.main.run('socket', () => ran.push('main'));
    process.wire.run('socket', () => ran.push('wire'));
    pass(20);
    expect(ran).toEqual(['wire']);
    pass(30);
    expect(ran).toEqual(['wire', 'main']);
  });

  it('does nothing any more once it is killed, not even what waited for it to wake', () => {
    const { process, ran, breaches, pass } = launch();
    process.main.clock.at(10, () => ran.push('timer'));
    process.sleep(50);
    process.main.run('socket', () => ran.push('message'));
    pass(20);
    process.kill();
    pass(100);
    expect([ran, breaches]).toEqual([[], []]);
  });

  it('breaks a promise when it goes on after it has said that it has ended', () => {
    const { process, ran, breaches, pass } = launch();
    process.main.clock.at(10, () => ran.push('timer'));
    process.end();
    process.touches('sends a frame');
    pass(20);
    expect(ran).toEqual([]);
    expect(breaches).toEqual(['process sends a frame after its end', 'process has a timer after its end']);
  });
});
