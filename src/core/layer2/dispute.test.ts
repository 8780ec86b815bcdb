import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac, parseMac } from '../net/mac.ts';
import { decodeArp, encodeArp } from './arp-codec.ts';
import { layer2Machine, TICK } from './fsm.ts';
import type { Interface } from './messages.ts';
import { encodeProbe } from './probe.ts';
import { initialLayer2, type Layer2Input } from './state.ts';

const mac = (text: string) => parseMac(text)!;
const VIP = parseAddress('192.0.2.7')!;
const OWN = mac('02:00:00:00:00:05');
const LOWER = mac('02:00:00:00:00:04');
const HIGHER = mac('02:00:00:00:00:06');
const ETH0: Interface = { name: 'eth0', index: 2, mac: OWN, arp: true, ndp: false };
const received = (bytes: Uint8Array): Layer2Input => ({ kind: 'frame-received', interface: 2, bytes });
const arp = (sender: Uint8Array, senderAddress: string, operation: 'request' | 'reply') =>
  received(
    encodeArp({
      destination: BROADCAST_MAC,
      source: sender,
      operation,
      senderMac: sender,
      senderAddress: parseAddress(senderAddress)!,
      targetMac: BROADCAST_MAC,
      targetAddress: VIP,
    }),
  );

/** A speaker that has announced the address for a minute, beside another one whose MAC is this. */
function speaker(other: Uint8Array, probeBeforeUse = false) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse, answerPing: false });
  const log: string[] = [];
  const feed = (input: Layer2Input | typeof TICK, now: number) => {
    const { next, outputs } = layer2Machine.step(state, input, now);
    state = next;
    for (const output of outputs) {
      if (output.kind === 'conflict') log.push(`${now} conflict`);
      if (output.kind !== 'send') continue;
      const decoded = decodeArp(output.bytes);
      if (!decoded.ok) throw new Error(decoded.error);
      const { senderAddress, operation } = decoded.frame;
      if (senderAddress.value === 0n) log.push(`${now} asks`);
      else if (operation === 'request') log.push(`${now} claims`);
    }
  };
  /** Lets time pass, and gives what was sent in it: a claim is a request and a reply, of which the request counts. */
  const run = (until: number) => {
    for (let at = layer2Machine.nextDeadline(state)?.at; at !== undefined && at <= until; ) {
      feed(TICK, at);
      at = layer2Machine.nextDeadline(state)?.at;
    }
    return log.splice(0);
  };
  feed({ kind: 'interfaces', interfaces: [ETH0] }, -60_000);
  feed({ kind: 'announce', announcements: [{ address: VIP }], handingOver: [] }, -60_000);
  feed({ kind: 'siblings', macs: new Set([formatMac(other)]) }, -60_000);
  if (!probeBeforeUse) run(-1);
  log.length = 0;
  const claim = (now: number) => feed(arp(other, '192.0.2.7', 'reply'), now);
  const answers = () =>
    layer2Machine
      .step(state, arp(mac('02:00:00:00:00:64'), '192.0.2.100', 'request'), 0)
      .outputs.some(({ kind }) => kind === 'send');
  return { feed, run, claim, answers, rest: () => layer2Machine.nextDeadline(state)?.at };
}

describe('the speaker with the lower MAC', () => {
  it('claims a disputed address again four times a second, as long as the other one does', () => {
    const { claim, run, answers } = speaker(HIGHER);
    claim(0);
    expect(run(249)).toEqual([]);
    expect(run(250)).toEqual(['250 claims']);
    claim(260);
    expect(run(750)).toEqual(['500 claims', '750 claims']);
    // However long it takes, it is not the one to yield.
    claim(760);
    claim(5000);
    expect(answers()).toBe(true);
  });

  it.each([
    [0, ['250 claims', '500 claims', '750 claims']],
    [249, ['250 claims', '500 claims', '750 claims']],
    // Three quarters of a second after the last claim the next one is not due yet.
    [250, ['250 claims', '500 claims', '750 claims', '1000 claims']],
  ])('takes a dispute for settled three quarters of a second after the last claim, here at %i', (last, expected) => {
    const { claim, run, rest } = speaker(HIGHER);
    claim(0);
    const before = run(last - 1);
    if (last > 0) claim(last);
    expect([...before, ...run(60_000)]).toEqual(expected);
    expect(rest()).toBeUndefined();
  });
});

describe('the speaker with the higher MAC', () => {
  it('asks four times a second whether the other one has it, and claims nothing', () => {
    const { claim, run, answers } = speaker(LOWER);
    claim(0);
    expect(run(249)).toEqual([]);
    expect(run(500)).toEqual(['250 asks', '500 asks']);
    expect(answers()).toBe(true);
  });

  it('goes on when the other one falls silent', () => {
    const { claim, run, rest, answers } = speaker(LOWER);
    claim(0);
    expect(run(60_000)).toEqual(['250 asks', '500 asks', '750 asks']);
    expect([answers(), rest()]).toEqual([true, undefined]);
  });

  it.each([
    [499, true],
    [500, false],
  ])('yields to a claim half a second after the first, not before: %i ms', (at, stays) => {
    const { claim, run, answers } = speaker(LOWER);
    claim(0);
    run(at);
    claim(at);
    expect(answers()).toBe(stays);
  });

  it('that has yielded asks twice a second, and announces again when two questions in a row had no answer', () => {
    const { claim, run, answers } = speaker(LOWER);
    claim(0);
    run(500);
    claim(500);
    expect(run(1499)).toEqual(['1000 asks']);
    claim(1499);
    expect(run(2499)).toEqual(['1500 asks', '2000 asks']);
    // Between two questions is soon enough for an answer.
    claim(2499);
    expect(run(3499)).toEqual(['2500 asks', '3000 asks']);
    expect(answers()).toBe(false);
    expect(run(3500)).toEqual(['3500 claims']);
    expect(answers()).toBe(true);
  });

  it('that has yielded announces at once when the other one asks who has it, and for nobody else', () => {
    const { claim, run, answers, feed } = speaker(LOWER);
    claim(0);
    run(500);
    claim(500);
    feed(received(encodeProbe(VIP, mac('02:00:00:00:00:64'))), 600);
    feed(received(encodeProbe(parseAddress('192.0.2.8')!, LOWER)), 600);
    feed(arp(LOWER, '192.0.2.100', 'request'), 600);
    expect([answers(), run(600)]).toEqual([false, []]);
    feed(received(encodeProbe(VIP, LOWER)), 601);
    expect([answers(), run(601)]).toEqual([true, ['601 claims']]);
  });

  it('begins a new dispute when the old one was settled', () => {
    const { claim, run, answers } = speaker(LOWER);
    claim(0);
    run(10_000);
    claim(10_000);
    claim(10_499);
    expect(answers()).toBe(true);
    run(10_500);
    claim(10_500);
    expect(answers()).toBe(false);
  });
});

it('an address that is probed before use is announced at once when it is another of our speakers that has it', () => {
  const { claim, run, answers } = speaker(LOWER, true);
  expect(answers()).toBe(false);
  claim(-59_999);
  expect([answers(), run(-59_999)]).toEqual([true, ['-59999 claims']]);
});

it('a claim of our own speakers is no conflict, however long the dispute', () => {
  const { claim, run } = speaker(HIGHER);
  for (let now = 0; now < 10_000; now += 200) claim(now);
  expect(run(10_000).filter((line) => line.includes('conflict'))).toEqual([]);
});
