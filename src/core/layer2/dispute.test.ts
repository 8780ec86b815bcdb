import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac, parseMac } from '../net/mac.ts';
import { decodeArp, encodeArp } from './arp-codec.ts';
import { layer2Machine, TICK } from './fsm.ts';
import type { Interface } from './messages.ts';
import { encodeNdp, multicastMac, solicitedNode } from './ndp-codec.ts';
import { encodeProbe } from './probe.ts';
import { initialLayer2, type Layer2Input } from './state.ts';

const mac = (text: string) => parseMac(text)!;
const VIP = parseAddress('192.0.2.7')!;
const VIP6 = parseAddress('2001:db8::7')!;
const OWN = mac('02:00:00:00:00:05');
const OTHER = mac('02:00:00:00:00:04');
const MACS = new Set([formatMac(OTHER)]);
const ETH0: Interface = { name: 'eth0', index: 2, mac: OWN, arp: true, ndp: true };
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
const advertised = (sender: Uint8Array) =>
  received(
    encodeNdp({
      kind: 'advertisement',
      source: sender,
      destination: multicastMac(solicitedNode(VIP6)),
      sourceAddress: VIP6,
      destinationAddress: solicitedNode(VIP6),
      target: VIP6,
      router: false,
      solicited: false,
      override: true,
      targetLinkLayer: sender,
    }),
  );

/** A speaker that has announced its addresses for a minute, beside another one. */
function speaker({ probeBeforeUse = false, siblings = true } = {}) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse, answerPing: false });
  const log: string[] = [];
  const told: string[] = [];
  const feed = (input: Layer2Input | typeof TICK, now: number) => {
    const { next, outputs } = layer2Machine.step(state, input, now);
    state = next;
    for (const output of outputs) {
      if (output.kind === 'conflict') told.push(`${now} conflict ${output.address} ${output.mac}`);
      if (output.kind === 'disputed') told.push(`${now} ${output.yielded ? 'yields to' : 'keeps from'} ${output.node}`);
      if (output.kind === 'dispute-ended') told.push(`${now} over`);
      if (output.kind === 'ask-holder') log.push(`${now} asks${output.yielded ? ' who it yields to' : ''}`);
      const decoded = output.kind === 'send' ? decodeArp(output.bytes) : undefined;
      if (decoded?.ok !== true) continue;
      const { senderAddress, operation } = decoded.frame;
      if (senderAddress.value === 0n) log.push(`${now} probes`);
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
  feed({ kind: 'announce', announcements: [{ address: VIP }, { address: VIP6 }], handingOver: [] }, -60_000);
  if (siblings) feed({ kind: 'siblings', macs: MACS }, -60_000);
  if (!probeBeforeUse) run(-1);
  log.length = 0;
  const claim = (now: number) => feed(arp(OTHER, '192.0.2.7', 'reply'), now);
  const confirm = (now: number, isFirst: boolean, addresses = ['192.0.2.7']) =>
    feed({ kind: 'confirmed', node: 'node-1', macs: MACS, addresses, isFirst }, now);
  const answers = () =>
    layer2Machine
      .step(state, arp(mac('02:00:00:00:00:64'), '192.0.2.100', 'request'), 0)
      .outputs.some(({ kind }) => kind === 'send');
  const answers6 = () =>
    layer2Machine.step(state, received(encodeProbe(VIP6, mac('02:00:00:00:00:64'))), 0).outputs.length > 0;
  return { feed, run, claim, confirm, answers, answers6, told, rest: () => layer2Machine.nextDeadline(state)?.at };
}

describe('a claim with the MAC of another speaker', () => {
  it('silences nobody, however often it comes, and is reported', () => {
    const { claim, run, answers, answers6, feed, told } = speaker();
    for (let now = 0; now < 60_000; now += 200) {
      claim(now);
      feed(advertised(OTHER), now + 1);
      run(now + 199);
      expect([answers(), answers6()]).toEqual([true, true]);
    }
    expect(told).toEqual([
      `2750 conflict 192.0.2.7 ${formatMac(OTHER)}`,
      `2760 conflict 2001:db8::7 ${formatMac(OTHER)}`,
    ]);
  });

  it('has that speaker asked, four times a second and as long as it goes on', () => {
    const { claim, run, rest } = speaker();
    claim(0);
    expect(run(0)).toEqual(['0 asks']);
    for (const now of [1, 2, 3]) claim(now);
    expect(run(500)).toEqual(['250 asks', '500 asks']);
    expect(run(60_000)).toEqual(['750 asks']);
    // What is left is to forget the claim.
    expect(rest()).toBe(120_750);
  });

  it('is none either when it comes again, once in a while, and is confirmed each time', () => {
    const { claim, run, confirm, told } = speaker();
    for (const now of [0, 5000, 10_000]) {
      run(now);
      claim(now);
      run(now + 600);
      confirm(now + 600, false);
    }
    run(60_000);
    expect(told.filter((text) => text.includes('conflict'))).toEqual([]);
  });

  it('that nobody confirms is one also when it comes seldom', () => {
    const { claim, run, told } = speaker();
    for (const now of [0, 5000]) {
      run(now);
      claim(now);
      run(now + 4000);
    }
    expect(told).toEqual([`5750 conflict 192.0.2.7 ${formatMac(OTHER)}`]);
  });

  it('is no conflict once that speaker confirms it, and no dispute while the address is on its way', () => {
    const { claim, run, confirm, answers, told } = speaker();
    claim(0);
    run(0);
    confirm(3, true);
    claim(450);
    confirm(499, true);
    run(60_000);
    expect([answers(), told]).toEqual([true, []]);
  });

  it.each([
    [
      'of an address that is being handed over',
      { kind: 'announce', announcements: [], handingOver: [{ address: VIP }] },
    ],
    ['while the speaker is stopped', { kind: 'leave' }],
  ] as const)('%s ends nothing before that speaker confirms it', (_, input) => {
    const { claim, run, confirm, answers, feed } = speaker();
    feed(input, 0);
    claim(1);
    run(200);
    expect(answers()).toBe(true);
    confirm(201, false);
    expect(answers()).toBe(false);
  });

  it('that came before the news that its node is the owner is asked about after it', () => {
    const { claim, run, feed } = speaker();
    claim(0);
    feed({ kind: 'announce', announcements: [], handingOver: [{ address: VIP }] }, 1);
    expect(run(20)).toEqual(['1 probes', '1 asks']);
  });
});

it('a claim of a stranger does not end a hand-over', () => {
  const { feed, run, answers } = speaker();
  feed({ kind: 'announce', announcements: [], handingOver: [{ address: VIP }] }, 0);
  feed(arp(mac('02:00:00:00:00:64'), '192.0.2.7', 'reply'), 1);
  expect(run(100).filter((line) => line.includes('asks'))).toEqual([]);
  expect(answers()).toBe(true);
});

it('without a speaker list whoever claims an address that is handed over may be the next owner', () => {
  const { feed, run } = speaker({ siblings: false });
  feed({ kind: 'announce', announcements: [], handingOver: [{ address: VIP }] }, 0);
  feed(arp(mac('02:00:00:00:00:64'), '192.0.2.7', 'reply'), 1);
  expect(run(100)).toContain('10 asks');
});

describe('the speaker whose node comes first', () => {
  it('claims a disputed address again four times a second, as long as the other one does, and says so', () => {
    const { claim, run, confirm, answers, told } = speaker();
    claim(0);
    confirm(1, false);
    expect(run(490)).toEqual(['0 asks', '250 asks']);
    confirm(500, false);
    expect(run(750)).toEqual(['500 claims', '500 asks', '750 claims', '750 asks']);
    for (let now = 800; now < 5000; now += 200) confirm(now, false);
    expect(answers()).toBe(true);
    expect(told).toEqual(['500 keeps from node-1']);
  });

  it('takes it for settled when the other one says so no more', () => {
    const { claim, run, confirm, told, rest } = speaker();
    claim(0);
    run(400);
    confirm(500, false);
    run(60_000);
    expect(told).toEqual(['500 keeps from node-1', '1500 over']);
    run(120_000);
    expect(rest()).toBeUndefined();
  });

  it('takes it for a dispute, and claims nothing, while the other one has yielded to it', () => {
    const { run, feed, told } = speaker();
    for (let now = 0; now < 3000; now += 250) {
      feed({ kind: 'yielded', node: 'node-1', macs: MACS, addresses: ['192.0.2.7'] }, now);
      expect(run(now)).toEqual([]);
    }
    expect(run(60_000)).toEqual([]);
    expect(told).toEqual(['0 keeps from node-1', '3750 over']);
  });

  it('says that it is over when the address goes elsewhere', () => {
    const { feed, told } = speaker();
    feed({ kind: 'yielded', node: 'node-1', macs: MACS, addresses: ['192.0.2.7'] }, 0);
    feed({ kind: 'announce', announcements: [], handingOver: [] }, 1);
    expect(told).toEqual(['0 keeps from node-1', '1 over']);
  });
});

describe('the other one', () => {
  it.each([
    [499, true],
    [500, false],
  ])('yields when it is still confirmed half a second after the first claim, not before: %i ms', (at, stays) => {
    const { claim, run, confirm, answers, told } = speaker();
    claim(0);
    run(at);
    confirm(at, true);
    expect([answers(), told]).toEqual([stays, stays ? [] : [`${at} yields to node-1`]]);
  });

  it('that has yielded asks that speaker alone, and announces again a second after the last answer, whatever is claimed', () => {
    const { claim, run, confirm, answers, told } = speaker();
    claim(0);
    run(500);
    confirm(500, true);
    expect(run(1499)).toEqual([750, 1000, 1250].map((at) => `${at} asks who it yields to`));
    confirm(1499, true);
    for (const at of [1600, 2000, 2400]) {
      run(at);
      claim(at);
    }
    expect(answers()).toBe(false);
    run(2499);
    expect(answers()).toBe(false);
    expect(run(2500)).toEqual(['2500 claims']);
    expect([answers(), told]).toEqual([true, ['500 yields to node-1', '2500 over']]);
  });

  it('that has yielded goes by what that speaker says, not another one', () => {
    const { claim, run, answers, feed } = speaker();
    claim(0);
    run(500);
    for (const [at, node] of [
      [500, 'node-1'],
      [700, 'node-3'],
      [1400, 'node-3'],
    ] as const)
      feed({ kind: 'confirmed', node, macs: MACS, addresses: ['192.0.2.7'], isFirst: true }, at);
    run(1749);
    expect(answers()).toBe(false);
    run(1750);
    expect(answers()).toBe(true);
  });

  it('that has yielded announces at once when the other one asks the network who has it, and for nobody else', () => {
    const { claim, run, confirm, answers, feed, told } = speaker();
    claim(0);
    run(500);
    confirm(500, true);
    feed(received(encodeProbe(VIP, mac('02:00:00:00:00:64'))), 600);
    feed(received(encodeProbe(parseAddress('192.0.2.8')!, OTHER)), 600);
    feed(arp(OTHER, '192.0.2.100', 'request'), 600);
    expect([answers(), run(600)]).toEqual([false, []]);
    feed(received(encodeProbe(VIP, OTHER)), 601);
    expect([answers(), run(601), told.at(-1)]).toEqual([true, ['601 claims'], '601 over']);
  });

  it('begins a new dispute when the old one was settled', () => {
    const { claim, run, confirm, answers } = speaker();
    claim(0);
    run(10_000);
    claim(10_000);
    confirm(10_499, true);
    expect(answers()).toBe(true);
    run(10_500);
    confirm(10_500, true);
    expect(answers()).toBe(false);
  });

  it('pays no heed to a confirmation that it has not asked for', () => {
    const { confirm, answers, rest } = speaker();
    confirm(0, true);
    confirm(600, true);
    expect([answers(), rest()]).toEqual([true, undefined]);
  });
});

it('an address that is probed before use is announced at once when it is another of our speakers that has it', () => {
  const { claim, run, answers } = speaker({ probeBeforeUse: true });
  expect(answers()).toBe(false);
  claim(-59_999);
  expect([answers(), run(-59_999)]).toEqual([true, ['-59999 claims']]);
});

it('many addresses are asked for in few messages, and few speakers in one moment', () => {
  const siblings = Array.from({ length: 100 }, (_, i) => mac(`02:00:00:00:01:${i.toString(16).padStart(2, '0')}`));
  const addresses = Array.from({ length: 200 }, (_, i) => parseAddress(`198.51.100.${i}`)!);
  const asked = (claimants: readonly Uint8Array[]) => {
    let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
    const feed = (input: Layer2Input | typeof TICK, now: number) => {
      const { next, outputs } = layer2Machine.step(state, input, now);
      state = next;
      return outputs.flatMap((output) => (output.kind === 'ask-holder' ? [output.addresses.length] : []));
    };
    feed({ kind: 'interfaces', interfaces: [ETH0] }, 0);
    feed({ kind: 'announce', announcements: addresses.map((address) => ({ address })), handingOver: [] }, 0);
    feed({ kind: 'siblings', macs: new Set(siblings.map(formatMac)) }, 0);
    for (const [i, { value }] of addresses.entries())
      feed(arp(claimants[i % claimants.length]!, `198.51.100.${value & 0xffn}`, 'reply'), 10_000);
    return Array.from({ length: 3 }, (_, i) => feed(TICK, 10_000 + i * 10));
  };
  expect(asked(siblings.slice(0, 1))).toEqual([new Array(10).fill(20), [], []]);
  expect(asked(siblings)).toEqual(new Array(3).fill(new Array(16).fill(2)));
});
