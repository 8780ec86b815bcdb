import { describe, expect, it } from 'vitest';
import { encodeMessage } from './codec.ts';
import { type LivenessInput, livenessMachine } from './fsm.ts';
import type { Content, Message, Status, Update } from './messages.ts';
import { digestOf } from './records.ts';
import { initialLiveness, type LivenessOutput, type LivenessSettings } from './state.ts';
import { livenessView, peerReports } from './view.ts';

const INTERVAL = 100;
const update = (node: string, status: Status, more: Partial<Update> = {}): Update => ({
  node,
  incarnation: 1n,
  version: 1,
  status,
  links: [],
  unheard: false,
  age: 0,
  ...more,
});

/** Speaker `a` among others, all of which have said at 0 that they are active. What it sends goes to the log. */
function speaker(others: readonly string[], settings: Partial<LivenessSettings> = {}) {
  const state = initialLiveness({
    self: 'a',
    incarnation: 1n,
    interval: INTERVAL,
    misses: 3,
    fenced: false,
    ...settings,
  });
  const outputs: LivenessOutput[] = [];
  const sequences = new Map<string, number>();
  let latest = 0;
  const feed = (input: LivenessInput | { kind: 'tick' }, now: number) => {
    latest = now;
    outputs.push(...livenessMachine.step(state, input, now).outputs);
  };
  const say = (from: string, now: number, content: Content, more: Partial<Message> & { from?: Update } = {}) => {
    const sequence = (sequences.get(from) ?? 0) + 1;
    sequences.set(from, sequence);
    const head = {
      from: update(from, 'active'),
      to: state.own.incarnation,
      sequence,
      digest: state.digest,
      updates: [],
    };
    feed({ kind: 'received', message: { ...head, ...more, ...content } }, now);
  };
  /** Lets time pass. */
  const run = (until: number) => {
    for (let at = livenessMachine.nextDeadline(state)?.at; at !== undefined && at <= until; ) {
      feed({ kind: 'tick' }, Math.max(at, latest));
      at = livenessMachine.nextDeadline(state)?.at;
    }
  };
  const taken = () => outputs.splice(0);
  /** What was sent since the last look: `to kind [updates]`. */
  const sent = (...kinds: readonly Content['kind'][]) =>
    taken().flatMap((output) => {
      if (output.kind !== 'send-message') return [];
      const { message, to } = output;
      if (kinds.length > 0 && !kinds.includes(message.kind)) return [];
      const told = message.updates.map(({ node, status }) => `${node}=${status}`);
      return [[to.node, message.kind, ...told].join(' ')];
    });
  const members = (...names: readonly string[]): LivenessInput => ({
    kind: 'members',
    members: names.map((node) => ({ node, address: `192.0.2.${node.codePointAt(0)}` })),
  });
  feed({ kind: 'start' }, 0);
  feed(members('a', ...others), 0);
  for (const node of others) say(node, 0, { kind: 'gossip' });
  // What they have said of themselves has gone round.
  for (let i = 0; state.piggyback.size > 0 && i < 1000; i++) say(others[0]!, 0, { kind: 'ping' });
  state.unsent.clear();
  taken();
  return { state, feed, say, run, taken, sent, members };
}

const reports = (state: ReturnType<typeof speaker>['state']) =>
  Object.fromEntries(livenessView(state).nodes.map(({ node, state }) => [node, state]));

describe('what is answered', () => {
  it('is a ping, by an ack with its sequence number, to who sent it', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'ping' }, { sequence: 77 });
    expect(a.taken()).toMatchObject([
      {
        kind: 'send-message',
        message: { kind: 'ack', echo: 77, from: { node: 'a' } },
        to: { node: 'b', address: '192.0.2.98' },
      },
    ]);
  });

  it('is nothing to one that is no member, and nothing twice', () => {
    const a = speaker(['b', 'c']);
    a.say('x', 10, { kind: 'ping' });
    expect(a.taken()).toEqual([]);
    a.say('b', 20, { kind: 'ping' }, { sequence: 77 });
    a.say('b', 21, { kind: 'ping' }, { sequence: 77 });
    expect(a.sent()).toEqual(['b ack']);
    expect(a.state.peers.get('b')!.lastHeard).toBe(20);
  });

  it('is an earlier incarnation, by our record of it alone: it is no sign of life', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { from: update('b', 'active', { incarnation: 5n }) });
    a.taken();
    a.say('b', 50, { kind: 'ping' }, { from: update('b', 'leaving', { incarnation: 4n, version: 9 }) });
    expect(a.taken()).toMatchObject([
      { message: { kind: 'gossip', updates: [{ node: 'b', incarnation: 5n, status: 'active' }] }, to: { node: 'b' } },
    ]);
    expect(a.state.peers.get('b')).toMatchObject({ lastHeard: 10, record: { incarnation: 5n, status: 'active' } });
  });

  it('is what was sent to another incarnation of ours by our own alone, to the one that it says it is', () => {
    const a = speaker(['b', 'c']);
    for (const [to, kind] of [
      [0n, 'ping'],
      [7n, 'gossip'],
    ] as const)
      a.say('b', 50, { kind }, { to, updates: [update('c', 'dead')] });
    const hello = { kind: 'gossip', from: { node: 'a', incarnation: 1n }, to: 1n, updates: [] };
    expect(a.taken()).toMatchObject([
      { message: hello, to: { node: 'b' } },
      { message: hello, to: { node: 'b' } },
    ]);
    expect(a.state.peers.get('b')!.lastHeard).toBe(0);
    expect(reports(a.state)).toMatchObject({ c: 'alive' });
  });

  it('is what was sent to an incarnation of ours that we have had since the start', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('a', 'dead', { version: 7 })] });
    expect(a.state.own.incarnation).toBe(2n);
    a.taken();
    a.say('b', 20, { kind: 'ping' }, { to: 1n });
    expect(a.sent('ack')).toEqual(['b ack']);
    for (let incarnation = 2n; incarnation < 500n; incarnation++)
      a.say('c', 30, { kind: 'gossip' }, { updates: [update('a', 'dead', { incarnation })] });
    expect(a.state.ownIncarnations).toHaveLength(8);
  });

  it('is a new incarnation by a datagram to it, so that it knows that it is known', () => {
    const a = speaker(['b', 'c']);
    a.state.unsent.clear();
    a.say('b', 20, { kind: 'gossip' }, { from: update('b', 'starting', { incarnation: 9n }) });
    expect(a.taken()).toContainEqual({
      kind: 'send-message',
      message: expect.objectContaining({ kind: 'gossip', to: 9n }),
      to: expect.objectContaining({ node: 'b' }),
    });
  });

  it('is a later incarnation, whose numbers begin anew', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'ping' }, { sequence: 500 });
    a.say('b', 20, { kind: 'ping' }, { sequence: 1, from: update('b', 'starting', { incarnation: 2n, version: 0 }) });
    expect(a.sent('ack')).toEqual(['b ack', 'b ack b=starting']);
    expect(reports(a.state)).toMatchObject({ b: 'passive' });
  });

  it('is no ack, which tells the round trip of the last ping and of no other', () => {
    const a = speaker(['b', 'c']);
    a.run(100);
    const pings = a.taken().flatMap((o) => (o.kind === 'send-message' && o.message.kind === 'ping' ? [o] : []));
    const toB = pings.filter(({ to }) => to.node === 'b').map(({ message }) => message.sequence);
    const roundTrip = () => peerReports(a.state, 0).find(({ node }) => node === 'b')!.roundTrip;
    a.say('b', 103, { kind: 'ack', echo: toB.at(-1)! + 1000 });
    expect(roundTrip()).toBeUndefined();
    a.say('b', 107, { kind: 'ack', echo: toB.at(-1)! });
    expect(roundTrip()).toBe(7);
    expect(a.taken()).toEqual([]);
    expect(a.state.ackedAt).toBe(107);
  });

  it('is a question about one that was heard lately, without asking that one', () => {
    const a = speaker(['b', 'c']);
    a.say('c', 10, { kind: 'gossip' });
    a.say('b', 110, { kind: 'ping-req', about: 'c' });
    expect(a.taken()).toMatchObject([
      { message: { kind: 'indirect-ack', about: 'c', silentFor: 100 }, to: { node: 'b' } },
    ]);
    a.say('c', 111, { kind: 'gossip' });
    expect(a.taken()).toEqual([]);
  });

  it('is a question about a silent one at once and again when that one speaks, to each who asked, once', () => {
    const a = speaker(['b', 'c', 'd']);
    for (const from of ['b', 'd']) a.say(from, 101, { kind: 'ping-req', about: 'c' });
    expect(a.sent()).toEqual(['b indirect-ack', 'c ping', 'd indirect-ack', 'c ping']);
    a.say('c', 105, { kind: 'gossip' });
    expect(a.taken()).toMatchObject([
      { message: { kind: 'indirect-ack', about: 'c', silentFor: 0 }, to: { node: 'b' } },
      { message: { kind: 'indirect-ack', about: 'c', silentFor: 0 }, to: { node: 'd' } },
    ]);
    a.say('c', 106, { kind: 'gossip' });
    expect(a.taken()).toEqual([]);
  });

  it('is a question about nobody that we know, not at all', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 101, { kind: 'ping-req', about: 'x' });
    a.say('b', 102, { kind: 'indirect-ack', about: 'x', silentFor: 0 });
    expect(a.taken()).toEqual([]);
  });

  it('is a pull, by a page of what is known, in the order of the ring from there on', () => {
    const a = speaker(['b', 'c', 'd']);
    a.say('b', 10, { kind: 'pull', after: '' });
    const [all] = a.taken();
    const nodes = (output: LivenessOutput | undefined) =>
      output?.kind === 'send-message' ? output.message.updates.map(({ node }) => node) : [];
    expect(all).toMatchObject({ message: { kind: 'push', last: '' }, to: { node: 'b' } });
    expect(nodes(all).toSorted()).toEqual(['b', 'c', 'd']);
    a.say('b', 20, { kind: 'pull', after: nodes(all)[0]! });
    expect(nodes(a.taken()[0])).toEqual(nodes(all).slice(1));
  });
});

describe('what is told of a change', () => {
  it('goes to all who run at once, with what has changed', () => {
    const a = speaker(['b', 'c', 'd']);
    a.say('c', 10, { kind: 'gossip' }, { from: update('c', 'leaving', { version: 2 }) });
    a.run(10);
    expect(a.sent('gossip')).toEqual(['b gossip c=leaving', 'd gossip c=leaving']);
    expect(reports(a.state)).toEqual({ b: 'alive', c: 'passive', d: 'alive' });
  });

  it('goes to one that is called dead as well, so that it may refute it, and to nobody that is absent', () => {
    const a = speaker(['b', 'c', 'd']);
    a.feed(a.members('a', 'b', 'c', 'd', 'e'), 5);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('c', 'dead')] });
    a.taken();
    a.run(10);
    a.run(15);
    expect(a.state.peers.get('c')!.record.status).toBe('dead');
    const at = a.state.gossipFrom!;
    a.say('b', 30, { kind: 'gossip' }, { updates: [update('d', 'dead')] });
    a.taken();
    a.run(30);
    expect(at).toBeLessThanOrEqual(30);
    expect(
      a
        .sent('gossip')
        .map((line) => line.split(' ').slice(0, 3).join(' '))
        .toSorted(),
    ).toEqual(['b gossip d=dead', 'd gossip d=dead']);
  });

  it('of many changes goes out together, a tenth of an interval after the last time', () => {
    const a = speaker(['b', 'c', 'd']);
    const change = (node: string, version: number, now: number) => {
      a.say(node, now, { kind: 'gossip' }, { from: update(node, 'unsteady', { version }) });
      a.run(now);
    };
    change('b', 2, 50);
    expect(a.sent('gossip')).toHaveLength(3);
    change('c', 2, 51);
    change('d', 2, 52);
    expect(a.sent()).toEqual([]);
    expect(livenessMachine.nextDeadline(a.state)).toMatchObject({ at: 60, why: 'updates to send' });
    a.run(60);
    expect(a.sent('gossip')).toEqual(['b', 'c', 'd'].map((to) => `${to} gossip c=unsteady d=unsteady b=unsteady`));
  });

  it('of ourselves is in every datagram anyway, so it goes out at once and rides on none', () => {
    const a = speaker(['b', 'c']);
    a.feed({ kind: 'leave' }, 10);
    expect(a.taken()).toMatchObject([
      { kind: 'view-changed' },
      { message: { kind: 'gossip', from: { node: 'a', status: 'leaving', age: 0 }, updates: [] }, to: { node: 'b' } },
      { message: { kind: 'gossip', from: { node: 'a', status: 'leaving', age: 0 }, updates: [] }, to: { node: 'c' } },
    ]);
    a.feed({ kind: 'unheard', unheard: true }, 30);
    a.run(30);
    expect(a.taken()).toMatchObject([
      { message: { kind: 'gossip', from: { unheard: true, age: 20 } }, to: { node: 'b' } },
      { message: { kind: 'gossip', from: { unheard: true, age: 20 } }, to: { node: 'c' } },
    ]);
  });

  // Three times the logarithm of how many there are, the two ends rounded up: 9 among 4, 12 among 9, 15 among 20.
  it.each([
    [3, 9],
    [8, 12],
    [19, 15],
  ])('rides on so many datagrams that all hear it, and on no more: among %i others on %i', (size, times) => {
    const others = Array.from({ length: size }, (_, i) => `n${i}`);
    const a = speaker(others);
    a.say('n1', 10, { kind: 'gossip' }, { from: update('n1', 'unsteady', { version: 2 }) });
    a.state.unsent.clear();
    a.taken();
    for (let i = 0; i < 30; i++) a.say('n0', 20, { kind: 'ping' });
    const answers = a.sent('ack');
    expect(answers).toHaveLength(30);
    expect(answers.filter((line) => line === 'n0 ack n1=unsteady')).toHaveLength(times);
    expect(answers.lastIndexOf('n0 ack n1=unsteady')).toBe(times - 1);
  });

  it('begins anew with every change of the same speaker', () => {
    const a = speaker(['b', 'c']);
    for (const version of [2, 3]) {
      a.say('b', 10, { kind: 'gossip' }, { from: update('b', 'unsteady', { version }) });
      a.state.unsent.clear();
      a.taken();
      for (let i = 0; i < 20; i++) a.say('c', 20, { kind: 'ping' });
      expect(a.sent('ack').filter((line) => line === 'c ack b=unsteady')).toHaveLength(6);
    }
  });

  it.each([8, 9])('goes to all others at once up to eight of them, and to four at random among more: %i', (size) => {
    const others = Array.from({ length: size }, (_, i) => `n${i}`);
    const told = new Set<string>();
    const counts = new Set<number>();
    for (let incarnation = 1n; incarnation <= 40n; incarnation++) {
      const a = speaker(others, { incarnation });
      a.say('n0', 10, { kind: 'gossip' }, { from: update('n0', 'unsteady', { version: 2 }) });
      a.run(10);
      const to = a.sent('gossip').map((line) => line.split(' ')[0]!);
      counts.add(to.length);
      for (const name of to) told.add(name);
    }
    expect(told.size).toBe(size);
    // Two of the four may be the same one.
    expect(Math.max(...counts)).toBe(size === 8 ? 8 : 4);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(size === 8 ? 8 : 2);
  });

  it('goes to none of many that does not run', () => {
    const others = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const a = speaker(others);
    for (const node of others.slice(2))
      a.say(node, 10, { kind: 'gossip' }, { from: update(node, 'leaving', { version: 2 }) });
    a.run(10);
    expect(a.sent('gossip').filter((line) => !/^n[01] /.test(line))).toEqual([]);
  });

  it('is what it accuses the receiver of first of all, until that one has refuted it', () => {
    const a = speaker(['b', 'c', 'd']);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('c', 'dead')] });
    a.taken();
    a.say('c', 11, { kind: 'gossip' });
    expect(a.sent()).toEqual(['c gossip c=dead']);
    a.say('c', 12, { kind: 'ping' });
    expect(a.sent()).toEqual(['c ack c=dead']);
    a.say('c', 13, { kind: 'ping' }, { from: update('c', 'active', { version: 2 }) });
    expect(a.sent()).toEqual(['c ack c=active']);
    expect(reports(a.state)).toMatchObject({ c: 'alive' });
  });
});

describe('who belongs to the cluster', () => {
  it('is no member any more when the API has none of that name: nothing is sent to it, nor taken from it', () => {
    const a = speaker(['b', 'c', 'd']);
    a.feed(a.members('a', 'b', 'd'), 10);
    expect(a.taken()).toEqual([{ kind: 'node-changed', node: 'c', state: 'forgotten' }, { kind: 'view-changed' }]);
    a.say('c', 20, { kind: 'ping' });
    a.run(400);
    expect(a.sent().filter((line) => line.startsWith('c ') || line.includes(' c='))).toEqual([]);
    expect(Object.keys(reports(a.state))).toEqual(['b', 'd']);
  });

  it('has one digest over all records, our own as it is now among them', () => {
    const a = speaker(['b', 'c', 'd']);
    const whole = () => [a.state.own, ...[...a.state.peers.values()].map(({ record }) => record)].map(digestOf);
    const digest = () => whole().reduce((sum, one) => (sum ^ one) >>> 0);
    expect(a.state.digest).toBe(digest());
    a.feed({ kind: 'unheard', unheard: true }, 10);
    expect(a.state.digest).toBe(digest());
    a.say('b', 20, { kind: 'gossip' }, { updates: [update('c', 'dead'), update('a', 'dead', { version: 9 })] });
    expect(a.state.digest).toBe(digest());
    a.feed(a.members('a', 'b'), 30);
    expect(a.state.digest).toBe(digest());
  });
});

it('a timer that is late sends one ping and no burst to catch up', () => {
  const a = speaker(['b']);
  a.run(100);
  a.taken();
  a.feed({ kind: 'tick' }, 390);
  expect(a.sent('ping')).toEqual(['b ping']);
  expect(a.state.nextPing).toBe(440);
});

describe('what is said about ourselves', () => {
  it('that we are dead is refuted in a new incarnation, to all at once', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('a', 'dead', { version: 7 })] });
    a.run(10);
    expect(a.taken()).toMatchObject([
      { message: { kind: 'gossip', from: { node: 'a', incarnation: 2n, status: 'starting' } }, to: { node: 'b' } },
      { message: { kind: 'gossip', from: { node: 'a', incarnation: 2n, status: 'starting' } }, to: { node: 'c' } },
    ]);
  });

  it('from a later life of ours is overtaken', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('a', 'active', { incarnation: 9n })] });
    expect(a.state.own).toMatchObject({ incarnation: 10n, version: 1 });
  });

  it('that says at our version what we have not said is refuted', () => {
    const a = speaker(['b', 'c']);
    const { version } = a.state.own;
    for (const [i, claim] of [
      update('a', 'leaving', { version }),
      update('a', 'starting', { version: version + 1, unheard: true }),
      update('a', 'starting', { version: version + 2, links: [{ name: 'eth9', mac: new Uint8Array(6) }] }),
    ].entries()) {
      a.say('b', 10, { kind: 'gossip' }, { updates: [claim] });
      expect(a.state.own).toMatchObject({ version: version + i + 1, status: 'starting', links: [], unheard: false });
    }
    a.say('b', 10, { kind: 'gossip' }, { updates: [a.state.own as Update] });
    expect(a.state.own.version).toBe(version + 3);
  });

  it('that has been refuted already is passed over', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('a', 'dead', { version: 7 })] });
    const before = a.state.own;
    a.say('c', 11, { kind: 'gossip' }, { updates: [update('a', 'dead', { version: 7 })] });
    expect(a.state.own).toBe(before);
  });
});

describe('loneliness', () => {
  /** Nobody is heard after 0. */
  const lonely = (until: number) => {
    const a = speaker(['b', 'c', 'd']);
    a.run(until);
    return a;
  };
  const isolation = (outputs: readonly LivenessOutput[]) =>
    outputs.flatMap((output) => (output.kind === 'isolation-changed' ? [output.isolated] : []));
  const ALL_ALIVE = { b: 'alive', c: 'alive', d: 'alive' };

  it('begins when nobody is heard any more, and judges nobody for ten intervals', () => {
    const a = lonely(224);
    expect(isolation(a.taken())).toEqual([]);
    a.run(225);
    expect(isolation(a.taken())).toEqual([true]);
    a.run(1224);
    expect(reports(a.state)).toEqual(ALL_ALIVE);
    expect(isolation(a.taken())).toEqual([]);
  });

  it('takes all others for dead after that, and tells nobody', () => {
    const a = lonely(1224);
    a.taken();
    a.run(1400);
    expect(reports(a.state)).toEqual({ b: 'dead', c: 'dead', d: 'dead' });
    const outputs = a.taken();
    expect(outputs.filter(({ kind }) => kind === 'node-changed')).toHaveLength(3);
    expect(outputs).toContainEqual({ kind: 'node-changed', node: 'b', state: 'dead', silentFor: expect.any(Number) });
    for (const output of outputs)
      if (output.kind === 'send-message') expect(output.message).toMatchObject({ kind: 'ping', updates: [] });
    expect([...a.state.peers.values()].map(({ record }) => record.status)).toEqual(['active', 'active', 'active']);
  });

  it.each([
    ['before it has judged', 1100],
    ['after it has judged', 2000],
  ])('that ends %s gives all others back, whoever it was that spoke, and the time to speak', (_, end) => {
    const a = lonely(end);
    a.taken();
    a.say('c', end, { kind: 'gossip' });
    expect(reports(a.state)).toEqual(ALL_ALIVE);
    const changes = a.taken();
    expect(isolation(changes)).toEqual([false]);
    const returned = changes.flatMap((output) =>
      output.kind === 'node-changed' ? [`${output.node} ${output.state}`] : [],
    );
    expect(returned.toSorted()).toEqual(end === 2000 ? ['b alive', 'c alive', 'd alive'] : []);
    // Two are silent all the same: they die no sooner than if they had been heard now.
    for (let now = end; now < end + 300; now += 50) {
      a.run(now);
      a.say('c', now, { kind: 'gossip' });
    }
    a.run(end + 299);
    expect(reports(a.state)).toEqual(ALL_ALIVE);
    a.run(end + 325);
    expect(reports(a.state)).toEqual({ b: 'dead', c: 'alive', d: 'dead' });
    expect(isolation(a.taken())).toEqual([]);
  });

  it('comes again when they fall silent again', () => {
    const a = lonely(2000);
    a.say('c', 2000, { kind: 'gossip' });
    a.taken();
    a.run(2224);
    expect(isolation(a.taken())).toEqual([]);
    a.run(2300);
    expect(isolation(a.taken())).toEqual([true]);
  });

  it('of two speakers is none: the other one is dead', () => {
    const a = speaker(['b']);
    a.run(400);
    expect(isolation(a.taken())).toEqual([]);
    expect(reports(a.state)).toEqual({ b: 'dead' });
  });
});

describe('numbers that are as large as they can be', () => {
  const LARGEST = 2n ** 64n - 1n;
  /** Everything that it sent can be said on the wire. */
  const encoded = (a: ReturnType<typeof speaker>) =>
    a.taken().flatMap((output) => (output.kind === 'send-message' ? [encodeMessage(output.message)] : []));

  it.each<[string, Partial<Update>, bigint]>([
    ['the last incarnation and version', { incarnation: 2n ** 63n, version: 2 ** 32 - 1 }, 2n ** 63n + 1n],
    ['the last version of our incarnation', { version: 2 ** 32 - 1 }, 2n],
    ['the last version, and a death', { version: 2 ** 32 - 1, status: 'dead' }, 2n],
  ])('%s, said of us, are refuted', (_, claim, incarnation) => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('a', 'active', claim)] });
    a.run(500);
    expect(a.state.own.incarnation).toBe(incarnation);
    expect(encoded(a).length).toBeGreaterThan(0);
  });

  it('what is further ahead than half of all numbers lies behind, of us and of others', () => {
    const a = speaker(['b', 'c'], { incarnation: 1_800_000_000_000n });
    a.say('c', 5, { kind: 'gossip' }, { from: update('c', 'active', { incarnation: 1_800_000_000_000n }) });
    a.say(
      'b',
      10,
      { kind: 'gossip' },
      {
        updates: [
          update('a', 'dead', { incarnation: LARGEST, version: 2 ** 32 - 1 }),
          update('c', 'dead', { incarnation: LARGEST, version: 2 ** 32 - 1 }),
        ],
      },
    );
    expect(a.state.own.incarnation).toBe(1_800_000_000_000n);
    expect(reports(a.state)).toMatchObject({ c: 'alive' });
  });

  it('the last incarnation of all is followed by the first', () => {
    const a = speaker(['b', 'c'], { incarnation: LARGEST - 2n });
    a.say('b', 10, { kind: 'gossip' }, { updates: [update('a', 'dead', { incarnation: LARGEST, version: 3 })] });
    expect(a.state.own.incarnation).toBe(1n);
    for (const incarnation of [2n ** 62n, 2n ** 63n, 3n * 2n ** 62n, LARGEST])
      a.say('b', 20, { kind: 'gossip' }, { from: update('b', 'active', { incarnation }) });
    expect(a.state.peers.get('b')!.record.incarnation).toBe(LARGEST);
    a.say('b', 30, { kind: 'gossip' }, { from: update('b', 'unsteady', { incarnation: 1n }) });
    expect(reports(a.state)).toMatchObject({ b: 'unsteady' });
    a.run(200);
    expect(encoded(a).length).toBeGreaterThan(0);
  });

  it('a speaker begins a new incarnation long before its datagrams have used up their numbers', () => {
    const a = speaker(['b', 'c']);
    a.state.sequence = 2 ** 31;
    a.run(100);
    expect(a.state.own.incarnation).toBe(2n);
    expect(a.state.sequence).toBeLessThan(100);
    expect(a.taken()).toContainEqual(
      expect.objectContaining({
        message: expect.objectContaining({ kind: 'ping', from: expect.objectContaining({ incarnation: 2n }) }),
      }),
    );
  });

  it('a clock before 1970 makes an incarnation all the same', () => {
    const a = speaker(['b', 'c'], { incarnation: -5n });
    a.run(200);
    expect(encoded(a).length).toBeGreaterThan(0);
  });

  it('sequence numbers that somebody else has used up cost a speaker no more than one refutation', () => {
    const a = speaker(['b', 'c']);
    a.say('b', 10, { kind: 'gossip' }, { sequence: 2 ** 32 - 1 });
    for (const now of [100, 200, 300, 400]) {
      a.run(now);
      for (const from of ['b', 'c']) a.say(from, now, { kind: 'gossip' });
    }
    expect(reports(a.state)).toMatchObject({ b: 'dead' });
    // As b refutes it.
    a.say('b', 410, { kind: 'gossip' }, { from: update('b', 'active', { incarnation: 2n }), sequence: 1 });
    expect(reports(a.state)).toMatchObject({ b: 'alive' });
  });
});
