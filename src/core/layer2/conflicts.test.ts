import { expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac } from '../net/mac.ts';
import { encodeArp } from './arp-codec.ts';
import { MOST_CLAIMANTS } from './claimants.ts';
import { layer2Machine, TICK } from './fsm.ts';
import type { Interface } from './messages.ts';
import { initialLayer2, type Layer2Input, type Layer2Output } from './state.ts';

const ETH0: Interface = { name: 'eth0', index: 2, mac: Uint8Array.of(2, 0, 0, 0, 0, 2), arp: true, ndp: true };
const station = (n: number) => Uint8Array.of(2, 0, 1, n >> 16, (n >> 8) & 0xff, n & 0xff);
const ip = (n: number) => parseAddress(`198.51.${n >> 8}.${n & 0xff}`)!;

function claim(address: number, mac: Uint8Array): Layer2Input {
  const bytes = encodeArp({
    destination: BROADCAST_MAC,
    source: mac,
    operation: 'reply',
    senderMac: mac,
    senderAddress: ip(address),
    targetMac: BROADCAST_MAC,
    targetAddress: ip(address),
  });
  return { kind: 'frame-received', interface: 2, bytes };
}

/** A node that has owned so many addresses for a minute, beside as many speakers. */
function announcer(addresses: number, siblings = 0) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
  const feed = (input: Layer2Input | typeof TICK, now: number): readonly Layer2Output[] => {
    const { next, outputs } = layer2Machine.step(state, input, now);
    state = next;
    return outputs;
  };
  const announcements = Array.from({ length: addresses }, (_, i) => ({ address: ip(i) }));
  feed({ kind: 'interfaces', interfaces: [ETH0] }, -60_000);
  feed({ kind: 'announce', announcements, handingOver: [] }, -60_000);
  const macs = Array.from({ length: siblings }, (_, i) => formatMac(station(i)));
  feed({ kind: 'siblings', macs: new Set(macs) }, -60_000);
  for (let at = due(); at !== undefined && at < 0; at = due()) feed(TICK, at);
  function due() {
    return layer2Machine.nextDeadline(state)?.at;
  }
  return { feed, due, state: () => state };
}

/** Steps of iterators over maps, and entries that are put into maps, sets and so copies of them, while `run` runs. */
function workOf(run: () => void): number {
  let work = 0;
  const iterator = Object.getPrototypeOf(new Map().entries()) as { next: () => unknown };
  const { next } = iterator;
  const { set } = Map.prototype;
  iterator.next = function (this: unknown) {
    work++;
    return next.call(this);
  };
  Map.prototype.set = function (this: Map<unknown, unknown>, key, value) {
    work++;
    return set.call(this, key, value);
  };
  try {
    run();
  } finally {
    iterator.next = next;
    Map.prototype.set = set;
  }
  return work;
}

it.each([
  ['strangers', 0],
  ['other speakers', 5000],
])(
  'the work for a claim does not grow with the claims before it, nor with what is owned: MACs of %s',
  (_, siblings) => {
    const { feed, due, state } = announcer(1000, siblings);
    const works = Array.from({ length: 5000 }, (_, i) => {
      const now = i / 5000;
      return workOf(() => {
        feed(claim(7, station(i)), now);
        due();
      });
    });
    expect(Math.max(...works)).toBeLessThanOrEqual(2 * (MOST_CLAIMANTS + 5));
    expect(state().conflicts.claims.get('198.51.0.7')?.claimants.size ?? 0).toBeLessThanOrEqual(MOST_CLAIMANTS + 1);
  },
);

it('five thousand stations that claim an address are one conflict, which counts them', () => {
  const { feed, due } = announcer(1);
  const outputs: Layer2Output[] = [];
  for (let i = 0; i < 5000; i++) outputs.push(...feed(claim(0, station(i)), i * 2));
  const counted = outputs.flatMap((output) => (output.kind === 'counted' ? output.by : []));
  expect(counted.reduce((sum, by) => sum + by)).toBe(5000);
  expect(outputs.filter(({ kind }) => kind === 'conflict')).toEqual([
    expect.objectContaining({ address: '198.51.0.0', interface: 'eth0', claimants: MOST_CLAIMANTS + 1 }),
  ]);
  expect(due()).toBe(120_000);
  expect(feed(TICK, 120_000)).toEqual([]);
  expect(due()).toBe(9998 + 120_000);
  expect(feed(TICK, due()!)).toEqual([{ kind: 'conflict-ended', address: '198.51.0.0' }]);
  expect(due()).toBeUndefined();
});

it('a station that stays is told though thousands have come and gone', () => {
  const { feed } = announcer(1);
  for (let i = 0; i < 100; i++) feed(claim(0, station(i)), i);
  const stays = [100_000, 101_000, 102_000].flatMap((now) => feed(claim(0, station(7777)), now));
  expect(stays.filter(({ kind }) => kind === 'conflict')).toMatchObject([{ mac: formatMac(station(7777)) }]);
});

it('claims to every address are told ten a second, each in its turn', () => {
  const { feed } = announcer(300);
  const told: number[] = [];
  const addresses = new Set<string>();
  for (let now = 0; now < 40_000; now += 500)
    for (let address = 0; address < 300; address++)
      for (const output of feed(claim(address, station(1)), now)) {
        if (output.kind !== 'conflict') continue;
        told.push(Math.floor(now / 1000));
        addresses.add(output.address);
      }
  const bySecond = [...Map.groupBy(told, (second) => second).values()];
  expect(Math.max(...bySecond.map(({ length }) => length))).toBe(10);
  expect(addresses.size).toBe(300);
});

it('a conflict over an address that is ours no more ends as well', () => {
  const { feed, due } = announcer(2);
  for (const now of [0, 2000]) for (const address of [0, 1]) feed(claim(address, station(1)), now);
  feed({ kind: 'announce', announcements: [], handingOver: [] }, 3000);
  const outputs: Layer2Output[] = [];
  for (let at = due(); at !== undefined; at = due()) outputs.push(...feed(TICK, at));
  expect(outputs).toEqual([
    { kind: 'conflict-ended', address: '198.51.0.0' },
    { kind: 'conflict-ended', address: '198.51.0.1' },
  ]);
});
