import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac, parseMac } from '../net/mac.ts';
import { decodeArp, encodeArp } from './arp-codec.ts';
import { layer2Machine, TICK } from './fsm.ts';
import { GRATUITOUS_INTERVAL, GRATUITOUS_WINDOW } from './gratuitous.ts';
import type { ArpFrame, Interface } from './messages.ts';
import { holds } from './rivals.ts';
import { type Announcement, initialLayer2, type Layer2Input, type Layer2Output } from './state.ts';

const ip = (text: string) => parseAddress(text)!;
const mac = (text: string) => parseMac(text)!;
const ETH0: Interface = { name: 'eth0', index: 2, mac: mac('02:00:00:00:00:02'), arp: true, ndp: true };
const ETH1: Interface = { name: 'eth1', index: 3, mac: mac('02:00:00:00:00:03'), arp: true, ndp: true };
const CLIENT = mac('02:00:00:00:00:64');

const request = (target: string, destination = BROADCAST_MAC): ArpFrame => ({
  destination,
  source: CLIENT,
  operation: 'request',
  senderMac: CLIENT,
  senderAddress: ip('192.0.2.100'),
  targetMac: mac('00:00:00:00:00:00'),
  targetAddress: ip(target),
});

/** A node that owns these addresses, and the means to talk to it. */
function announcer(...announcements: Announcement[]) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
  const feed = (input: Layer2Input | typeof TICK, now = 0) => {
    const { next, outputs } = layer2Machine.step(state, input, now);
    state = next;
    return outputs.flatMap((o) => (o.kind === 'send' ? [{ on: o.interface, frame: decode(o.bytes) }] : []));
  };
  feed({ kind: 'interfaces', interfaces: [ETH0, ETH1] });
  const first = feed({ kind: 'announce', announcements, handingOver: [] });
  return { feed, first, deadline: () => layer2Machine.nextDeadline(state)?.at };
}

function decode(bytes: Uint8Array): ArpFrame {
  const decoded = decodeArp(bytes);
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded.frame;
}

const ask = (frame: ArpFrame, on = 2): Layer2Input => ({
  kind: 'frame-received',
  interface: on,
  bytes: encodeArp(frame),
});

describe('the ARP codec', () => {
  it('reads and writes a request byte for byte', () => {
    const bytes = Uint8Array.from(
      Buffer.from(
        'ffffffffffff' +
          '020000000064' +
          '0806' + // Ethernet
          '0001' +
          '0800' +
          '06' +
          '04' +
          '0001' + // Ethernet, IPv4, lengths, request
          '020000000064' +
          'c0000264' +
          '000000000000' +
          'c0000207',
        'hex',
      ),
    );
    expect(decode(bytes)).toEqual(request('192.0.2.7'));
    expect(encodeArp(request('192.0.2.7'))).toEqual(bytes);
  });

  it('round-trips every frame', () => {
    const six = fc.uint8Array({ minLength: 6, maxLength: 6 });
    const address = fc.ipV4().map(ip);
    const frame = fc.record<ArpFrame>({
      destination: six,
      source: six,
      operation: fc.constantFrom('request', 'reply'),
      senderMac: six,
      senderAddress: address,
      targetMac: six,
      targetAddress: address,
    });
    fc.assert(
      fc.property(frame, (f) => {
        expect(decode(encodeArp(f))).toEqual(f);
      }),
    );
  });

  it('never throws on garbage, and neither does the machine', () => {
    const node = announcer({ address: ip('192.0.2.7') });
    const seed = encodeArp(request('192.0.2.7'));
    const mutated = fc.tuple(fc.nat(seed.length - 1), fc.nat(255), fc.nat(60)).map(([at, byte, length]) => {
      const bytes = new Uint8Array(length);
      bytes.set(seed.slice(0, length));
      if (at < length) bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (bytes) => {
        decodeArp(bytes);
        node.feed({ kind: 'frame-received', interface: 2, bytes });
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a claim of somebody else', () => {
  const owned = { address: ip('192.0.2.7') };
  const claim = (sender: Uint8Array): Layer2Input =>
    ask({
      ...request('192.0.2.7'),
      operation: 'reply',
      senderMac: sender,
      source: sender,
      senderAddress: ip('192.0.2.7'),
    });
  const conflicts = (...claims: readonly [number, Uint8Array][]) => {
    let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
    const told: string[] = [];
    const inputs: [number, Layer2Input][] = [
      [0, { kind: 'interfaces', interfaces: [ETH0] }],
      [0, { kind: 'announce', announcements: [owned], handingOver: [] }],
      ...claims.map(([at, sender]): [number, Layer2Input] => [at, claim(sender)]),
    ];
    for (const [now, input] of inputs) {
      const { next, outputs } = layer2Machine.step(state, input, now);
      state = next;
      for (const output of outputs)
        if (output.kind === 'conflict') told.push(`${now} ${output.address} ${output.mac} ${output.interface}`);
    }
    return told;
  };

  it('is a conflict when it lasts, and is told again after a minute', () => {
    expect(conflicts([100, CLIENT], [1000, CLIENT], [2100, CLIENT], [3000, CLIENT], [62_100, CLIENT])).toEqual([
      '2100 192.0.2.7 02:00:00:00:00:64 eth0',
      '62100 192.0.2.7 02:00:00:00:00:64 eth0',
    ]);
  });

  it('that was made once is forgotten: no timer goes off for it again and again', () => {
    const node = announcer(owned);
    for (let at = node.deadline(); at !== undefined; at = node.deadline()) node.feed(TICK, at);
    node.feed(claim(CLIENT), 10_000);
    expect(node.deadline()).toBe(130_000);
    node.feed(TICK, 130_000);
    expect(node.deadline()).toBeUndefined();
  });

  it('is none while an address moves, nor when it is our own, nor for an address that is not ours', () => {
    expect(conflicts([100, CLIENT], [1500, CLIENT])).toEqual([]);
    expect(conflicts([100, ETH0.mac], [5000, ETH0.mac])).toEqual([]);
    expect(conflicts([100, CLIENT], [70_000, CLIENT])).toEqual([]);
  });
});

describe('a speaker that is being stopped', () => {
  it('answers for each address until its successor claims it, and says when nothing is left', () => {
    const [a, b] = [ip('192.0.2.7'), ip('192.0.2.8')];
    let state = initialLayer2({ refreshInterval: 60_000, probeBeforeUse: false, answerPing: false });
    const feed = (input: Layer2Input) => {
      const { next, outputs } = layer2Machine.step(state, input, 0);
      state = next;
      return outputs;
    };
    feed({ kind: 'interfaces', interfaces: [ETH0] });
    feed({ kind: 'announce', announcements: [{ address: a }, { address: b }], handingOver: [] });
    expect(feed({ kind: 'leave' })).toEqual([]);
    expect(layer2Machine.nextDeadline(state)).toBeUndefined();
    const claim = (address: typeof a): Layer2Input =>
      ask({ ...request('192.0.2.7'), senderAddress: address, targetAddress: address });
    expect(feed(ask(request('192.0.2.7')))).toHaveLength(3);
    const has = (addresses: readonly string[]): Layer2Input => ({
      kind: 'confirmed',
      node: 'node-2',
      macs: new Set([formatMac(CLIENT)]),
      addresses,
      isFirst: false,
    });
    feed(claim(a));
    expect(feed(has(['192.0.2.7']))).toEqual([]);
    expect(feed(ask(request('192.0.2.7')))).toEqual([]);
    expect(feed(ask(request('192.0.2.8')))).toHaveLength(3);
    feed(claim(b));
    expect(feed(has(['192.0.2.8']))).toEqual([{ kind: 'all-handed-over' }]);
  });

  it('does the same for an address that goes to another node, asks whether it is there already, and gives up in the end', () => {
    const a = { address: ip('192.0.2.7') };
    const six = { address: ip('2001:db8::7') };
    let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
    const feed = (input: Layer2Input | typeof TICK, now: number) => {
      const { next, outputs } = layer2Machine.step(state, input, now);
      state = next;
      return outputs;
    };
    const answers = (now: number) => feed(ask(request('192.0.2.7')), now).length > 0;
    feed({ kind: 'interfaces', interfaces: [ETH0] }, 0);
    feed({ kind: 'announce', announcements: [a, six], handingOver: [] }, 0);
    const move: Layer2Input = { kind: 'announce', announcements: [], handingOver: [a, six] };
    expect(feed(move, 10_000).filter(({ kind }) => kind === 'send')).toHaveLength(2);
    expect(layer2Machine.nextDeadline(state)!.at).toBe(10_250);
    expect(feed(TICK, 10_250)).toHaveLength(2);
    expect(answers(10_300)).toBe(true);
    // Another look at the same state of affairs does not restart it.
    feed(move, 11_000);
    feed(TICK, 11_499);
    expect(answers(11_499)).toBe(true);
    feed(TICK, 11_500);
    expect(answers(11_500)).toBe(false);
    expect(layer2Machine.nextDeadline(state)).toBeUndefined();
    feed({ kind: 'announce', announcements: [a], handingOver: [] }, 20_000);
    feed({ kind: 'announce', announcements: [], handingOver: [a] }, 30_000);
    const macs = new Set([formatMac(CLIENT)]);
    feed({ kind: 'confirmed', node: 'node-2', macs, addresses: ['192.0.2.7'], isFirst: false }, 30_010);
    expect(answers(30_011)).toBe(false);
  });

  it('says so at once when it owns nothing', () => {
    const { outputs } = layer2Machine.step(
      initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false }),
      { kind: 'leave' },
      0,
    );
    expect(outputs).toEqual([{ kind: 'all-handed-over' }]);
  });
});

describe('the ARP responder', () => {
  const owned = { address: ip('192.0.2.7') };

  it('answers a broadcast request for an address of ours, to the asker', () => {
    const [reply] = announcer(owned).feed(ask(request('192.0.2.7')));
    expect(reply).toEqual({
      on: 2,
      frame: {
        destination: CLIENT,
        source: ETH0.mac,
        operation: 'reply',
        senderMac: ETH0.mac,
        senderAddress: ip('192.0.2.7'),
        targetMac: CLIENT,
        targetAddress: ip('192.0.2.100'),
      },
    });
  });

  it('answers a unicast request that is addressed to the interface', () => {
    expect(announcer(owned).feed(ask(request('192.0.2.7', ETH0.mac)))).toHaveLength(1);
  });

  it.each<[string, Layer2Input]>([
    ['an address that it does not own', ask(request('192.0.2.8'))],
    ['a frame for another station', ask(request('192.0.2.7', CLIENT))],
    ['a reply', ask({ ...request('192.0.2.7'), operation: 'reply' })],
    ['a frame from an interface that it does not know', ask(request('192.0.2.7'), 9)],
  ])('says nothing to %s', (_, input) => {
    expect(announcer(owned).feed(input)).toEqual([]);
  });

  it('answers only on the interfaces of the announcement', () => {
    const node = announcer({ ...owned, interfaces: ['eth1'] });
    expect(node.feed(ask(request('192.0.2.7'), 2))).toEqual([]);
    expect(node.feed(ask(request('192.0.2.7'), 3))).toHaveLength(1);
  });

  it('falls silent when the address is withdrawn', () => {
    const node = announcer(owned);
    expect(node.feed({ kind: 'announce', announcements: [], handingOver: [] })).toEqual([]);
    expect(node.feed(ask(request('192.0.2.7')))).toEqual([]);
    expect(node.deadline()).toBeUndefined();
  });
});

describe('gratuitous ARP', () => {
  const owned = { address: ip('192.0.2.7'), interfaces: ['eth0'] };

  it('is a broadcast request and a reply whose target is the sender', () => {
    const { first } = announcer(owned);
    expect(
      first.map(({ frame }) => [frame.operation, formatMac(frame.destination), formatMac(frame.targetMac)]),
    ).toEqual([
      ['request', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff'],
      ['reply', 'ff:ff:ff:ff:ff:ff', formatMac(ETH0.mac)],
    ]);
    for (const { frame } of first)
      expect([frame.senderAddress, frame.targetAddress]).toEqual([owned.address, owned.address]);
  });

  it('comes five times within five seconds of a takeover, then never again', () => {
    const node = announcer(owned);
    let bursts = 1;
    for (let at = node.deadline(); at !== undefined; at = node.deadline()) {
      expect(at).toBe(bursts * GRATUITOUS_INTERVAL);
      expect(at).toBeLessThanOrEqual(GRATUITOUS_WINDOW);
      expect(node.feed(TICK, at)).toHaveLength(2);
      bursts++;
    }
    expect(bursts).toBe(5);
  });

  it('is not repeated when the same state is announced again', () => {
    expect(announcer(owned).feed({ kind: 'announce', announcements: [owned], handingOver: [] }, 10)).toEqual([]);
  });

  it('is repeated from time to time, spread over a quarter of the interval', () => {
    const machine = layer2Machine;
    let state = initialLayer2({ refreshInterval: 60_000, probeBeforeUse: false, answerPing: false });
    const announcements = Array.from({ length: 200 }, (_, i) => ({ address: ip(`192.0.2.${i}`) }));
    state = machine.step(state, { kind: 'interfaces', interfaces: [ETH0] }, 0).next;
    state = machine.step(state, { kind: 'announce', announcements, handingOver: [] }, 0).next;
    const moments = new Set<number>();
    for (let at = machine.nextDeadline(state)!.at; at < 120_000; at = machine.nextDeadline(state)!.at) {
      const { next, outputs } = machine.step(state, TICK, at);
      state = next;
      if (at > GRATUITOUS_WINDOW && outputs.length > 0) moments.add(at);
    }
    expect(moments.size).toBeGreaterThan(200);
    expect(Math.min(...moments)).toBeGreaterThanOrEqual(45_000);
  });

  it('tells a link that comes up later', () => {
    const node = announcer({ address: ip('192.0.2.7') });
    const eth2 = { name: 'eth2', index: 4, mac: mac('02:00:00:00:00:04'), arp: true, ndp: true };
    const sent = node.feed({ kind: 'interfaces', interfaces: [ETH0, eth2] }, 60_000);
    expect(sent.filter(({ on }) => on === 4)).toHaveLength(2);
  });
});

describe('two of our own speakers with the same address', () => {
  const VIP = '192.0.2.7';
  const announcements = [{ address: ip(VIP) }];

  /** Two announcers on one wire, each with all the frames of the other. */
  function siblings() {
    const links = [mac('02:00:00:00:00:0a'), mac('02:00:00:00:00:0b')].map((own): Interface => ({ ...ETH0, mac: own }));
    const states = links.map(() => initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false }));
    const isDead = [false, false];
    let now = 0;
    const feed = (who: number, input: Layer2Input | typeof TICK): void => {
      const { next, outputs } = layer2Machine.step(states[who]!, input, now);
      states[who] = next;
      for (const output of outputs) {
        if (output.kind === 'ask-holder') answer(1 - who, output);
        if (output.kind !== 'send') continue;
        feed(1 - who, { kind: 'frame-received', interface: 2, bytes: output.bytes });
      }
    };
    const nodes = ['node-1', 'node-2'];
    const macsOf = (who: number) => new Set([formatMac(links[who]!.mac)]);
    function answer(who: number, { addresses, yielded }: Extract<Layer2Output, { kind: 'ask-holder' }>): void {
      const held = isDead[who] ? [] : addresses.filter((address) => holds(states[who]!, address));
      if (held.length === 0) return;
      const [from, to] = [who, 1 - who];
      feed(to, { kind: 'confirmed', node: nodes[from]!, macs: macsOf(from), addresses: held, isFirst: from < to });
      if (yielded) feed(from, { kind: 'yielded', node: nodes[to]!, macs: macsOf(to), addresses: held });
    }
    const run = (milliseconds: number) => {
      for (const end = now + milliseconds; now < end; now += 10)
        for (const who of [0, 1]) {
          const due = layer2Machine.nextDeadline(states[who]!)?.at;
          if (due !== undefined && due <= now) feed(who, TICK);
        }
    };
    const answers = (who: number) =>
      layer2Machine.step(states[who]!, ask(request(VIP)), now).outputs.some(({ kind }) => kind === 'send');
    for (const who of [0, 1]) {
      feed(who, { kind: 'interfaces', interfaces: [links[who]!] });
      feed(who, { kind: 'siblings', macs: new Set([formatMac(links[1 - who]!.mac)]) });
    }
    const die = (who: number) => {
      isDead[who] = true;
      feed(who, { kind: 'interfaces', interfaces: [] });
    };
    return { feed, run, die, answering: () => [0, 1].filter(answers) };
  }

  it('settle it: the one whose node comes first keeps it, and the other takes it up again when that one lets go', () => {
    const both = siblings();
    for (const who of [0, 1]) both.feed(who, { kind: 'announce', announcements, handingOver: [] });
    expect(both.answering()).toEqual([0, 1]);
    both.run(2000);
    expect(both.answering()).toEqual([0]);
    both.run(60_000);
    expect(both.answering()).toEqual([0]);
    both.feed(0, { kind: 'announce', announcements: [], handingOver: announcements });
    expect(both.answering()).toContain(1);
    both.run(500);
    expect(both.answering()).toEqual([1]);
  });

  it('take it up again when the other one dies', () => {
    const both = siblings();
    for (const who of [0, 1]) both.feed(who, { kind: 'announce', announcements, handingOver: [] });
    both.run(5000);
    both.die(0);
    both.run(2000);
    expect(both.answering()).toEqual([1]);
  });
});

describe('an address that is probed before use', () => {
  const VIP = '192.0.2.7';

  function prober() {
    let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: true, answerPing: false });
    const log: string[] = [];
    const feed = (input: Layer2Input | typeof TICK, now: number) => {
      const { next, outputs } = layer2Machine.step(state, input, now);
      state = next;
      for (const output of outputs) {
        if (output.kind === 'send') {
          const { operation, senderAddress } = decode(output.bytes);
          log.push(`${now} ${senderAddress.value === 0n ? 'probe' : operation}`);
        } else if (output.kind === 'conflict') log.push(`${now} conflict`);
      }
    };
    const run = (until: number) => {
      for (let at = layer2Machine.nextDeadline(state)?.at; at !== undefined && at <= until; ) {
        feed(TICK, at);
        at = layer2Machine.nextDeadline(state)?.at;
      }
    };
    feed({ kind: 'interfaces', interfaces: [ETH0] }, 0);
    feed({ kind: 'announce', announcements: [{ address: ip(VIP) }], handingOver: [] }, 0);
    return { feed, run, log, answers: () => layer2Machine.step(state, ask(request(VIP)), 0).outputs.length > 0 };
  }

  it('is asked for three times, and answered only then', () => {
    const address = prober();
    expect(address.answers()).toBe(false);
    address.run(449);
    expect(address.log).toEqual(['0 probe', '150 probe', '300 probe']);
    expect(address.answers()).toBe(false);
    address.run(450);
    expect(address.log.slice(3)).toEqual(['450 request', '450 reply']);
    expect(address.answers()).toBe(true);
  });

  it('is left alone while somebody else has it, and taken when that is over', () => {
    const address = prober();
    const foreign: ArpFrame = { ...request('192.0.2.1'), operation: 'reply', senderAddress: ip(VIP) };
    address.feed(ask(foreign), 10);
    expect(address.log).toEqual(['0 probe', '10 conflict']);
    address.run(10_009);
    expect(address.answers()).toBe(false);
    address.run(11_000);
    expect(address.answers()).toBe(true);
  });
});
