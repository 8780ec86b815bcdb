import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHeartbeat, encodeHeartbeat } from './codec.ts';
import {
  deadNodes,
  initialLiveness,
  type LivenessInput,
  type LivenessOutput,
  livenessMachine,
  passiveNodes,
} from './fsm.ts';
import type { Heartbeat } from './messages.ts';

const SETTINGS = { interval: 100, misses: 3 };

/** Speakers that hear each other over a perfect wire, with one clock. */
function speakers(...names: string[]) {
  const members = names.map((node, i) => ({ node, address: `192.0.2.${i}` }));
  const states = new Map(names.map((self) => [self, initialLiveness({ self, incarnation: 1n, ...SETTINGS })]));
  const news: string[] = [];
  let now = 0;
  const feed = (name: string, input: LivenessInput | { kind: 'tick' }): void => {
    const state = states.get(name);
    if (state === undefined) return;
    const { next, outputs } = livenessMachine.step(state, input, now);
    states.set(name, next);
    for (const output of outputs) perform(name, output);
  };
  const perform = (from: string, output: LivenessOutput): void => {
    if (output.kind !== 'send-heartbeat') {
      news.push(`${now} ${from}: ${output.kind} ${output.node}`);
      return;
    }
    for (const address of output.to) {
      feed(members.find((m) => m.address === address)?.node ?? '', {
        kind: 'heartbeat-received',
        heartbeat: output.heartbeat,
      });
    }
  };
  const run = (until: number) => {
    for (;;) {
      const due = [...states]
        .map(([name, state]) => ({ name, at: livenessMachine.nextDeadline(state)!.at }))
        .sort((a, b) => a.at - b.at)[0];
      if (due === undefined || due.at > until) break;
      now = Math.max(now, due.at);
      feed(due.name, { kind: 'tick' });
    }
    now = until;
  };
  for (const name of names) {
    feed(name, { kind: 'members', members });
    feed(name, { kind: 'start' });
    feed(name, { kind: 'ready' });
  }
  // They become active some time after they know who is there.
  run(400);
  news.length = 0;
  return {
    run,
    news,
    feed,
    kill: (name: string) => states.delete(name),
    dead: (name: string) => deadNodes(states.get(name)!),
    passive: (name: string) => passiveNodes(states.get(name)!),
  };
}

describe('liveness', () => {
  it('keeps quiet while all are there', () => {
    const cluster = speakers('a', 'b', 'c');
    cluster.run(60_000);
    expect(cluster.news).toEqual([]);
  });

  it('declares a killed speaker dead after three intervals, on every other node', () => {
    const cluster = speakers('a', 'b', 'c');
    cluster.run(1000);
    cluster.kill('c');
    cluster.run(1250);
    expect(cluster.dead('a')).toEqual([]);
    cluster.run(1400);
    expect([cluster.dead('a'), cluster.dead('b')]).toEqual([['c'], ['c']]);
    expect(cluster.news.every((line) => line.endsWith('node-died c'))).toBe(true);
  });

  it('takes a node back that is heard again, but not a recorded heartbeat', () => {
    const cluster = speakers('a', 'c');
    cluster.run(1000);
    cluster.kill('c');
    cluster.run(2000);
    cluster.feed('a', {
      kind: 'heartbeat-received',
      heartbeat: { node: 'c', incarnation: 1n, sequence: 3, phase: 'active' },
    });
    expect(cluster.dead('a')).toEqual(['c']);
    cluster.feed('a', {
      kind: 'heartbeat-received',
      heartbeat: { node: 'c', incarnation: 2n, sequence: 0, phase: 'active' },
    });
    expect(cluster.dead('a')).toEqual([]);
  });

  it('lets a node go that says goodbye: its silence is no death, and it comes back with its next life', () => {
    const cluster = speakers('a', 'b', 'c');
    cluster.run(1000);
    cluster.feed('c', { kind: 'leave' });
    expect(cluster.news).toEqual(['1000 a: node-passive c', '1000 b: node-passive c']);
    cluster.run(1500);
    cluster.kill('c');
    cluster.run(10_000);
    expect([cluster.dead('a'), cluster.passive('a')]).toEqual([[], ['c']]);
    const heartbeat: Heartbeat = { node: 'c', incarnation: 2n, sequence: 0, phase: 'active' };
    cluster.feed('a', { kind: 'heartbeat-received', heartbeat });
    expect(cluster.passive('a')).toEqual([]);
    expect(cluster.news.at(-1)).toBe('10000 a: node-came-alive c');
    cluster.feed('b', { kind: 'members', members: [] });
    expect(cluster.news.at(-1)).toBe('10000 b: node-forgotten c');
  });

  it('ignores heartbeats of nodes that are no members', () => {
    const cluster = speakers('a', 'b');
    cluster.feed('a', {
      kind: 'heartbeat-received',
      heartbeat: { node: 'x', incarnation: 9n, sequence: 0, phase: 'active' },
    });
    expect(cluster.news).toEqual([]);
  });

  it('takes who is there when it comes for active, until they are late', () => {
    const cluster = speakers('a');
    cluster.feed('a', { kind: 'members', members: [{ node: 'z', address: '192.0.2.1' }] });
    cluster.run(699);
    expect([cluster.dead('a'), cluster.passive('a')]).toEqual([[], []]);
    cluster.run(700);
    expect(cluster.dead('a')).toEqual(['z']);
  });

  it('takes who comes later for passive until it says that it is there, and its silence for nothing', () => {
    const cluster = speakers('a', 'b');
    cluster.run(1000);
    cluster.feed('a', {
      kind: 'members',
      members: [
        { node: 'b', address: '192.0.2.1' },
        { node: 'z', address: '192.0.2.9' },
      ],
    });
    cluster.run(5000);
    expect([cluster.dead('a'), cluster.passive('a')]).toEqual([[], ['z']]);
    const heartbeat = (sequence: number, phase: Heartbeat['phase']): LivenessInput => ({
      kind: 'heartbeat-received',
      heartbeat: { node: 'z', incarnation: 1n, sequence, phase },
    });
    cluster.feed('a', heartbeat(0, 'starting'));
    expect(cluster.passive('a')).toEqual(['z']);
    cluster.feed('a', heartbeat(1, 'active'));
    expect(cluster.passive('a')).toEqual([]);
    cluster.run(6000);
    expect(cluster.news).toEqual(['1000 a: node-passive z', '5000 a: node-came-alive z', '5300 a: node-died z']);
  });

  it('notices the death of a node whose speaker had only just started', () => {
    const cluster = speakers('a', 'b');
    cluster.run(1000);
    cluster.kill('b');
    cluster.run(2000);
    const heartbeat: Heartbeat = { node: 'b', incarnation: 2n, sequence: 0, phase: 'starting' };
    cluster.feed('a', { kind: 'heartbeat-received', heartbeat });
    expect([cluster.dead('a'), cluster.passive('a')]).toEqual([[], ['b']]);
    cluster.run(2300);
    expect(cluster.dead('a')).toEqual(['b']);
  });
});

describe('the heartbeat codec', () => {
  it('round-trips', () => {
    const name = fc.stringMatching(/^[a-z0-9]([-.a-z0-9]{0,60}[a-z0-9])?$/);
    fc.assert(
      fc.property(
        name,
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.nat(0xffffffff),
        fc.constantFrom('starting' as const, 'active' as const, 'leaving' as const),
        (node, incarnation, sequence, phase) => {
          const heartbeat = { node, incarnation, sequence, phase };
          expect(decodeHeartbeat(encodeHeartbeat(heartbeat))).toEqual({ ok: true, heartbeat });
        },
      ),
    );
  });

  it('never throws on garbage', () => {
    const seed = encodeHeartbeat({ node: 'kube-01', incarnation: 7n, sequence: 7, phase: 'active' });
    const mutated = fc.tuple(fc.nat(seed.length - 1), fc.nat(255)).map(([at, byte]) => seed.with(at, byte));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated), (bytes) => void decodeHeartbeat(bytes)),
      { numRuns: 2000 },
    );
  });

  it('refuses to send a name that is none', () => {
    expect(() => encodeHeartbeat({ node: 'Käse', incarnation: 0n, sequence: 0, phase: 'active' })).toThrow(RangeError);
  });
});
