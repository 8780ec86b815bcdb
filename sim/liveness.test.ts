import { describe, expect, it } from 'vitest';
import type { Update } from '../src/core/liveness/messages.ts';
import { livenessView } from '../src/core/liveness/view.ts';
import { type Change, INTERVAL, LivenessCluster } from './liveness-cluster.ts';

const deaths = (changes: readonly Change[]) => changes.filter(({ state }) => state === 'dead');
const all = <T>(value: T, count: number) => Array.from({ length: count }, () => value);

describe.each([2, 3, 5, 12, 60])('%i speakers', (size) => {
  it('keep quiet while all are there', () => {
    const cluster = new LivenessCluster({ size }).startAll();
    cluster.run(20_000);
    expect(cluster.changes).toEqual([]);
  });

  it('know within little more than three intervals that one was killed, all of them', () => {
    const cluster = new LivenessCluster({ size }).startAll();
    for (let i = 0; i < 10; i++) {
      const victim = cluster.names[i % size]!;
      cluster.run(cluster.random.between(3000, 4000));
      cluster.changes.length = 0;
      const died = cluster.clock.now();
      cluster.kill(victim);
      cluster.run(2000);
      expect(deaths(cluster.changes).map(({ node }) => node)).toEqual(all(victim, size - 1));
      const detected = Math.max(...cluster.changes.map(({ at }) => at)) - died;
      expect(detected).toBeGreaterThan(1.9 * INTERVAL);
      expect(detected).toBeLessThan(3.6 * INTERVAL);
      cluster.start(victim);
      cluster.run(1000);
      expect(cluster.opinions(victim)).toEqual(all('alive', size - 1));
    }
  });

  it('know at once that one leaves, and that its silence is no death', () => {
    const cluster = new LivenessCluster({ size }).startAll();
    cluster.feed('node-1', { kind: 'leave' });
    cluster.run(50);
    expect(cluster.opinions('node-1')).toEqual(all('passive', size - 1));
    cluster.kill('node-1');
    cluster.run(5000);
    expect(deaths(cluster.changes)).toEqual([]);
  });

  it('all hear when no router hears one of them any more, and when one does again', () => {
    const cluster = new LivenessCluster({ size }).startAll();
    const told = () => {
      const views = cluster.running
        .filter((name) => name !== 'node-1')
        .map((name) => livenessView(cluster.state(name)));
      return views.map(({ nodes }) => nodes.find(({ node }) => node === 'node-1')?.unheard);
    };
    for (const unheard of [true, false]) {
      cluster.feed('node-1', { kind: 'unheard', unheard });
      cluster.run(1000);
      expect(told()).toEqual(all(unheard, size - 1));
    }
    expect(cluster.changes).toEqual([]);
  });

  it('stay calm when one of them stands still for as long as a garbage collection takes', () => {
    const cluster = new LivenessCluster({ size }).startAll();
    cluster.sleep('node-1', 190);
    cluster.run(3000);
    expect(cluster.changes).toEqual([]);
  });

  it('take one for dead that stands still for two seconds, and take it back; it accuses nobody', () => {
    const cluster = new LivenessCluster({ size }).startAll();
    cluster.sleep('node-1', 2000);
    cluster.run(1900);
    expect(cluster.opinions('node-1')).toEqual(all('dead', size - 1));
    cluster.run(1000);
    expect(cluster.opinions('node-1')).toEqual(all('alive', size - 1));
    expect(cluster.changes.filter(({ by }) => by === 'node-1')).toEqual([]);
  });
});

describe('a node that can be reached by some only', () => {
  it('is no dead node while one of its watchers hears it', () => {
    const cluster = new LivenessCluster({ size: 10 }).startAll();
    const { monitors } = cluster.state('node-1');
    cluster.cut = (from, to) => from === 'node-1' && to === monitors[0];
    cluster.run(10_000);
    expect(deaths(cluster.changes)).toEqual([]);
  });

  it('that nobody hears falls silent itself, and is back when it is heard', () => {
    const cluster = new LivenessCluster({ size: 5 }).startAll();
    cluster.cut = (from) => from === 'node-1';
    cluster.run(1000);
    expect(cluster.opinions('node-1')).toEqual(all('dead', 4));
    expect(cluster.state('node-1').own.status).toBe('unsteady');
    cluster.cut = () => false;
    cluster.run(1000);
    expect(cluster.opinions('node-1')).toEqual(all('alive', 4));
  });

  it('that hears nobody makes the others leave it out, and judges nobody before its patience ends', () => {
    const cluster = new LivenessCluster({ size: 5 }).startAll();
    cluster.cut = (_, to) => to === 'node-1';
    cluster.run(1000);
    expect(cluster.opinions('node-1')).toEqual(all('unsteady', 4));
    expect(deaths(cluster.changes)).toEqual([]);
    cluster.run(1000);
    expect(deaths(cluster.changes).map(({ by }) => by)).toEqual(all('node-1', 4));
  });

  it('and flaps is held down longer each time', () => {
    const cluster = new LivenessCluster({ size: 5 }).startAll();
    const back: number[] = [];
    for (let i = 0; i < 4; i++) {
      cluster.cut = (from, to) => from === 'node-1' || to === 'node-1';
      cluster.run(600);
      cluster.cut = () => false;
      const healed = cluster.clock.now();
      while (cluster.opinions('node-1').some((state) => state !== 'alive') && cluster.clock.now() < healed + 30_000)
        cluster.run(10);
      back.push(cluster.clock.now() - healed);
    }
    expect(back[0]).toBeLessThan(500);
    expect(back[1]).toBeGreaterThan(1500);
    expect(back[2]).toBeGreaterThan(3500);
    expect(back[3]).toBeGreaterThan(7500);
  });
});

describe('a partition', () => {
  const half = (name: string) => Number(name.split('-')[1]) <= 4;

  it('makes each side live without the other, and both agree again without taking anybody of their own for dead', () => {
    const cluster = new LivenessCluster({ size: 10 }).startAll();
    cluster.cut = (from, to) => half(from) !== half(to);
    cluster.run(3000);
    for (const name of cluster.names) {
      const others = cluster.running.filter((other) => half(other) !== half(name));
      for (const other of others) expect(cluster.state(name).peers.get(other)!.reported).toBe('dead');
    }
    cluster.changes.length = 0;
    cluster.cut = () => false;
    cluster.run(3000);
    for (const name of cluster.names) expect(cluster.opinions(name)).toEqual(all('alive', 9));
    expect(deaths(cluster.changes)).toEqual([]);
  });

  it('leaves the greater part its quorum and takes it from the smaller one before the greater one takes over', () => {
    const cluster = new LivenessCluster({ size: 10, fenced: true }).startAll();
    cluster.cut = (from, to) => half(from) !== half(to);
    const lost = new Map<string, number>();
    for (let i = 0; i < 3000; i += 10) {
      cluster.run(10);
      for (const name of cluster.names)
        if (!cluster.hasQuorum(name) && !lost.has(name)) lost.set(name, cluster.clock.now());
    }
    expect([...lost.keys()].sort()).toEqual(cluster.names.filter(half));
    for (const { node, at } of deaths(cluster.changes)) if (half(node)) expect(at).toBeGreaterThan(lost.get(node)!);
    cluster.cut = () => false;
    cluster.run(2000);
    expect(cluster.names.every((name) => cluster.hasQuorum(name))).toBe(true);
  });
});

describe('a speaker that starts', () => {
  it('learns from one of the others who is dead far away from it', () => {
    const cluster = new LivenessCluster({ size: 60 }).startAll();
    for (const name of ['node-7', 'node-20', 'node-33', 'node-59']) cluster.kill(name);
    cluster.run(3000);
    cluster.kill('node-5');
    cluster.run(1000);
    cluster.start('node-5');
    cluster.run(350);
    const known = ['node-7', 'node-20', 'node-33', 'node-59'].map(
      (name) => cluster.state('node-5').peers.get(name)!.reported,
    );
    expect(known).toEqual(all('dead', 4));
  });

  it('where nobody else is takes the others for absent, and they come as they come', () => {
    const cluster = new LivenessCluster({ size: 20 });
    cluster.start('node-3');
    cluster.run(1200);
    for (const name of cluster.names.filter((other) => other !== 'node-3'))
      expect(cluster.state('node-3').peers.get(name)!.reported).toBe('passive');
    for (const name of cluster.names.filter((other) => other !== 'node-3')) cluster.start(name);
    cluster.run(2500);
    for (const name of cluster.names) expect(cluster.opinions(name)).toEqual(all('alive', 19));
    expect(deaths(cluster.changes)).toEqual([]);
  });

  it('alone does not take who is added later for active before it says so', () => {
    const cluster = new LivenessCluster({ size: 2 });
    cluster.start('node-1');
    cluster.feed('node-1', { kind: 'members', members: [{ node: 'node-1', address: 'node-1' }] });
    cluster.run(1000);
    cluster.feed('node-1', { kind: 'members', members: cluster.names.map((node) => ({ node, address: node })) });
    expect(cluster.opinions('node-2')).toEqual(['passive']);
  });

  it('with a clock that was set back is believed all the same', () => {
    const cluster = new LivenessCluster({ size: 5 }).startAll();
    const name = cluster.names.find((each) => cluster.state(each).own.incarnation > 10n)!;
    cluster.kill(name);
    cluster.run(1000);
    cluster.start(name, { incarnation: 5n });
    cluster.run(1500);
    expect(cluster.opinions(name)).toEqual(all('alive', 4));
  });
});

describe('on a bad network', () => {
  it.each([0.01, 0.05])('that loses %d of all datagrams nobody is taken for dead', (loss) => {
    const cluster = new LivenessCluster({ size: 20, loss }).startAll();
    cluster.run(60_000);
    expect(deaths(cluster.changes)).toEqual([]);
  });

  it('that loses a fifth a dead node is found all the same, and everybody agrees on everything', () => {
    const cluster = new LivenessCluster({ size: 20, loss: 0.2 }).startAll();
    cluster.run(5000);
    cluster.kill('node-4');
    cluster.run(1500);
    expect(cluster.opinions('node-4')).toEqual(all('dead', 19));
    cluster.loss = 0;
    cluster.run(70_000);
    for (const name of cluster.running) expect(cluster.opinions(name)).toEqual(all('alive', 18));
  });
});

describe('what one speaker sends', () => {
  it('does not grow with their number', () => {
    const perNode = [20, 100].map((size) => {
      const cluster = new LivenessCluster({ size }).startAll();
      cluster.run(5000);
      cluster.sent = 0;
      cluster.run(2000);
      return Math.round(cluster.sent / size);
    });
    // Three pings and three answers in each of twenty intervals.
    expect(perNode).toEqual([120, 120]);
  });
});

describe('what a hostile member leaves behind', () => {
  const record = (node: string, incarnation: bigint, more: Partial<Update> = {}): Update => ({
    ...{ node, incarnation, version: 2 ** 32 - 1, status: 'active', links: [], unheard: false, age: 0 },
    ...more,
  });
  /** In the name of one of them, to another one, about any. */
  const say = (cluster: LivenessCluster, from: Update, to: string, sequence: number, ...updates: readonly Update[]) =>
    cluster.feed(to, {
      kind: 'received',
      message: { kind: 'gossip', from, to: cluster.state(to).own.incarnation, sequence, digest: 0, updates },
    });
  const agree = (cluster: LivenessCluster) => {
    for (const name of cluster.names) expect(cluster.opinions(name)).toEqual(all('alive', cluster.names.length - 1));
  };

  it.each([2, 3, 5])('two of %i speakers that each take the other for an earlier one find together', (size) => {
    const cluster = new LivenessCluster({ size }).startAll();
    const [a, b] = ['node-1', 'node-2'];
    say(cluster, record(b, 5_000_000n), a, 0);
    say(cluster, record(a, 5_000_000n), b, 0);
    cluster.run(2000);
    cluster.sent = 0;
    cluster.run(2000);
    agree(cluster);
    expect(cluster.sent).toBeLessThan(size * 200);
  });

  it.each([2, 3, 5])('of %i speakers all live on when their sequence numbers have been used up', (size) => {
    const cluster = new LivenessCluster({ size }).startAll();
    for (const from of cluster.names)
      for (const to of cluster.names) say(cluster, cluster.state(from).own as Update, to, 2 ** 32 - 1);
    cluster.run(10_000);
    agree(cluster);
  });

  it.each([
    ['2^64 - 1', 2n ** 64n - 1n],
    ['2^63', 2n ** 63n],
    ['2^63 - 1', 2n ** 63n - 1n],
  ])('the incarnation %s silences nobody, neither now nor after a restart', (_, incarnation) => {
    const cluster = new LivenessCluster({ size: 4 }).startAll();
    const names = cluster.names;
    const claims = names.map((node) => record(node, incarnation, { status: 'dead' }));
    for (const to of names) say(cluster, record('node-4', incarnation), to, 7, ...claims);
    cluster.run(70_000);
    agree(cluster);
    cluster.kill('node-2');
    cluster.run(1000);
    cluster.start('node-2');
    cluster.run(2500);
    agree(cluster);
  });
});

describe('what is played back', () => {
  /** For so long, all that was recorded, over and over again. */
  const playBack = (cluster: LivenessCluster, milliseconds: number) => {
    const recorded = cluster.recorded!.filter(({ message }) => message.from.node === 'node-2');
    cluster.recorded = undefined;
    for (let i = 0; i < milliseconds; i += 10) {
      for (let n = 0; n < 5; n++) {
        const { to, message } = recorded[(i / 2 + n) % recorded.length]!;
        cluster.feed(to, { kind: 'received', message });
      }
      cluster.run(10);
    }
  };
  const record = (size: number) => {
    const cluster = new LivenessCluster({ size }).startAll();
    cluster.recorded = [];
    cluster.run(20_000);
    cluster.kill('node-2');
    return cluster;
  };

  it.each([2, 3])('over a restart of the receiver keeps no dead speaker alive, of %i', (size) => {
    const cluster = record(size);
    cluster.kill('node-1');
    cluster.run(500);
    cluster.start('node-1');
    playBack(cluster, 3000);
    expect(cluster.state('node-1').peers.get('node-2')!.lastHeard).toBeUndefined();
    expect(cluster.state('node-1').peers.get('node-2')!.reported).not.toBe('alive');
  });

  it('while the dead speaker is no member for a moment keeps it no more alive', () => {
    const cluster = record(3);
    cluster.run(1000);
    for (const members of [['node-1', 'node-3'], cluster.names]) {
      for (const name of ['node-1', 'node-3'])
        cluster.feed(name, { kind: 'members', members: members.map((node) => ({ node, address: node })) });
      cluster.run(50);
    }
    playBack(cluster, 3000);
    expect(cluster.opinions('node-2')).toEqual(all('passive', 2));
    cluster.start('node-2', { incarnation: 1n });
    cluster.run(2000);
    expect(cluster.opinions('node-2')).toEqual(all('alive', 2));
  });
});
