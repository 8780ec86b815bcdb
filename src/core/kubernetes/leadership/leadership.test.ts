import { describe, expect, it } from 'vitest';
import { earliest, isDue } from '../../machine.ts';
import {
  holdsLease,
  initialLeadership,
  LEASE_DURATION,
  type LeadershipInput,
  leadershipMachine,
  RENEW_DEADLINE,
  RETRY_PERIOD,
} from './fsm.ts';
import type { LeaseRecord } from './messages.ts';

/** Candidates around one Lease, with one clock; requests take no time. */
function election(...names: string[]) {
  let lease: LeaseRecord | undefined;
  let now = 0;
  let isUp = true;
  const states = new Map(names.map((name) => [name, initialLeadership(name)]));
  const news: string[] = [];
  const feed = (name: string, input: LeadershipInput | { kind: 'tick' }): void => {
    const state = states.get(name);
    if (state === undefined) return;
    const { next, outputs } = leadershipMachine.step(state, input, now);
    states.set(name, next);
    for (const output of outputs) {
      if (output.kind === 'lead' || output.kind === 'step-down') news.push(`${now} ${name} ${output.kind}`);
      else if (!isUp) feed(name, { kind: 'request-failed', message: 'away' });
      else if (output.kind === 'read-lease') feed(name, { kind: 'lease-read', record: lease });
      else if (output.version !== lease?.version) feed(name, { kind: 'request-failed', message: 'conflict' });
      else {
        lease = {
          holder: output.holder,
          transitions: output.transitions,
          version: String(Number(lease?.version ?? 0) + 1),
        };
        feed(name, { kind: 'lease-written', record: lease });
      }
    }
  };
  const run = (until: number) => {
    for (;;) {
      const at = earliest([...states.values()].map((state) => leadershipMachine.nextDeadline(state)))?.at;
      if (at === undefined || at > until) break;
      now = Math.max(now, at);
      for (const [name, state] of states)
        if (isDue(leadershipMachine.nextDeadline(state)?.at, now)) feed(name, { kind: 'tick' });
    }
    now = until;
  };
  for (const name of names) feed(name, { kind: 'start' });
  return {
    run,
    feed,
    news,
    kill: (name: string) => states.delete(name),
    setUp: (up: boolean) => (isUp = up),
    leaders: () => [...states].filter(([, { role }]) => role === 'leading').map(([name]) => name),
  };
}

describe('leader election', () => {
  it('has exactly one leader, for as long as it renews', () => {
    const e = election('a', 'b', 'c');
    for (let t = 1000; t < 120_000; t += 1000) {
      e.run(t);
      expect(e.leaders()).toEqual(['a']);
    }
    expect(e.news).toEqual(['0 a lead']);
  });

  it('passes to another when the leader is killed, after the lease has run out', () => {
    const e = election('a', 'b');
    e.run(30_000);
    e.kill('a');
    e.run(30_000 + LEASE_DURATION + 2 * RETRY_PERIOD);
    expect(e.leaders()).toEqual(['b']);
  });

  it('passes at once when the leader resigns', () => {
    const e = election('a', 'b');
    e.run(10_000);
    e.feed('a', { kind: 'resign' });
    e.run(10_000 + RETRY_PERIOD);
    expect(e.leaders()).toEqual(['b']);
  });

  it('makes a leader that cannot renew step down before another may step up', () => {
    const e = election('a', 'b');
    e.run(9_000);
    e.setUp(false);
    e.run(9_000 + RENEW_DEADLINE);
    expect(e.leaders()).toEqual([]);
    e.setUp(true);
    e.run(60_000);
    expect(e.leaders()).toEqual(['b']);
    const [steppedDown, steppedUp] = e.news.slice(1).map((line) => Number(line.split(' ')[0]));
    expect(steppedDown!).toBeLessThan(steppedUp!);
  });
});

describe('an answer that takes long', () => {
  const step = (state: ReturnType<typeof initialLeadership>, input: LeadershipInput, now: number) =>
    leadershipMachine.step(state, input, now);
  const record = (holder: string, version: string): LeaseRecord => ({ holder, transitions: 0, version });

  it('counts from when it was asked for: others may have seen the renewal that early', () => {
    const reading = step(initialLeadership('a'), { kind: 'start' }, 0).next;
    const writing = step(reading, { kind: 'lease-read', record: undefined }, 0).next;
    const { next, outputs } = step(writing, { kind: 'lease-written', record: record('a', '1') }, 9000);
    expect(outputs).toEqual([{ kind: 'lead' }]);
    expect([holdsLease(next, RENEW_DEADLINE - 1), holdsLease(next, RENEW_DEADLINE)]).toEqual([true, false]);
  });

  it('makes nobody a leader when it comes too late', () => {
    const reading = step(initialLeadership('a'), { kind: 'start' }, 0).next;
    const writing = step(reading, { kind: 'lease-read', record: undefined }, 0).next;
    const { next, outputs } = step(writing, { kind: 'lease-written', record: record('a', '1') }, RENEW_DEADLINE);
    expect([next.role, outputs]).toEqual(['standby', []]);
  });
});
