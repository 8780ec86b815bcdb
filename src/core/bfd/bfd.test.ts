import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { decodeBfd, encodeBfd } from './codec.ts';
import { decodeBfdEcho, encodeBfdEcho } from './echo-codec.ts';
import { type BfdInput, type BfdSettings, bfdMachine, initialBfd } from './fsm.ts';
import { BFD_STATES, type BfdPacket, type BfdState, DIAGNOSTICS } from './messages.ts';

const SETTINGS: BfdSettings = {
  discriminator: 1,
  transmitInterval: 300,
  receiveInterval: 300,
  detectMultiplier: 3,
  passive: false,
  echoInterval: undefined,
  echoReceiveInterval: 0,
};

/** Two sides that hear each other unless the wire is cut. */
function pair(a: Partial<BfdSettings> = {}, b: Partial<BfdSettings> = {}) {
  const states = [initialBfd({ ...SETTINGS, ...a }), initialBfd({ ...SETTINGS, discriminator: 2, ...b })];
  const news: string[] = [];
  const sent = [0, 0];
  let now = 0;
  let isCut = false;
  let deaf = false;
  const echoes = [0, 0];
  const feed = (who: number, input: BfdInput | { kind: 'tick' }): void => {
    const { next, outputs } = bfdMachine.step(states[who]!, input, now);
    states[who] = next;
    for (const output of outputs) {
      if (output.kind === 'send-echo') {
        echoes[who]!++;
        if (!isCut && !deaf) feed(who, { kind: 'echoed' });
      } else if (output.kind !== 'send') {
        const why = output.kind === 'bfd-down' && output.administrative ? ' administratively' : '';
        news.push(`${Math.round(now)} ${who} ${output.kind}${why}`);
      } else {
        sent[who]!++;
        const decoded = decodeBfd(encodeBfd(output.packet));
        if (!decoded.ok) throw new Error(decoded.error);
        if (!isCut) feed(1 - who, { kind: 'received', packet: decoded.packet });
      }
    }
  };
  const run = (milliseconds: number) => {
    for (const end = now + milliseconds; now < end; now += 1)
      for (const who of [0, 1]) {
        const due = bfdMachine.nextDeadline(states[who]!)?.at;
        if (due !== undefined && due <= now) feed(who, { kind: 'tick' });
      }
  };
  for (const who of [0, 1]) feed(who, { kind: 'start' });
  const cut = (value: boolean) => {
    isCut = value;
  };
  const swallowEchoes = () => {
    deaf = true;
  };
  return {
    echoes,
    swallowEchoes,
    run,
    feed,
    news,
    sent,
    cut,
    now: () => now,
    is: () => states.map(({ state }) => state),
  };
}

describe('BFD', () => {
  it('comes up within a second or so, and stays up', () => {
    const both = pair();
    both.run(1500);
    expect(both.is()).toEqual(['up', 'up']);
    both.run(60_000);
    expect(both.news).toHaveLength(2);
  });

  it('sends as often as both can bear, somewhat jittered', () => {
    const both = pair({ transmitInterval: 50 }, { receiveInterval: 100 });
    both.run(5000);
    const before = both.sent[0]!;
    both.run(10_000);
    // Every 75 to 100 ms.
    expect(both.sent[0]! - before).toBeGreaterThan(100);
    expect(both.sent[0]! - before).toBeLessThan(134);
  });

  it('notices a cut after the detection time, and comes up again', () => {
    const both = pair({ transmitInterval: 50, receiveInterval: 50 }, { transmitInterval: 50, receiveInterval: 50 });
    both.run(5000);
    both.news.length = 0;
    const at = both.now();
    both.cut(true);
    both.run(500);
    expect(both.news.map((line) => line.split(' ')[2])).toEqual(['bfd-down', 'bfd-down']);
    for (const line of both.news) expect(Number(line.split(' ')[0]) - at).toBeLessThanOrEqual(151);
    both.cut(false);
    both.run(2500);
    expect(both.is()).toEqual(['up', 'up']);
  });

  it.each([
    ['what it bears itself', 1000, 50, 3000],
    ['what the other side sends', 50, 1000, 3000],
  ])('waits by the slower of both sides: %s (RFC 5880 §6.8.4)', (_, receiveInterval, transmitInterval, detection) => {
    const state = { ...initialBfd({ ...SETTINGS, receiveInterval }), state: 'up' as const };
    const packet = { ...PACKET, desiredMinTx: transmitInterval * 1000, detectMultiplier: 3 };
    const { next } = bfdMachine.step(state, { kind: 'received', packet }, 100);
    expect(next.detectAt).toBe(100 + detection);
  });

  it('says goodbye, which is no silence', () => {
    const both = pair();
    both.run(3000);
    both.news.length = 0;
    both.feed(0, { kind: 'stop' });
    expect(both.news).toEqual([`${both.now()} 1 bfd-down administratively`]);
    both.run(5000);
    expect(both.is()).toEqual(['admin-down', 'down']);
  });

  it('sends echoes where the other side sends them back, and notices when it does so no longer', () => {
    const both = pair({ echoInterval: 50, transmitInterval: 1000, receiveInterval: 1000 }, { echoReceiveInterval: 20 });
    both.run(5000);
    expect(both.echoes[0]).toBeGreaterThan(50);
    expect(both.echoes[1]).toBe(0);
    both.news.length = 0;
    both.swallowEchoes();
    both.run(160);
    expect(both.news.slice(0, 2).map((line) => line.split(' ').slice(1).join(' '))).toEqual([
      '0 bfd-down',
      '1 bfd-down',
    ]);
    // A side that cannot send them back gets none.
    const other = pair({ echoInterval: 50 });
    other.run(5000);
    expect(other.echoes).toEqual([0, 0]);
  });

  it('passive, waits to be spoken to', () => {
    const both = pair({ passive: true }, { passive: true });
    both.run(5000);
    expect(both.sent).toEqual([0, 0]);
    const one = pair({ passive: true });
    one.run(2000);
    expect(one.is()).toEqual(['up', 'up']);
  });

  it.each<[BfdState, BfdState, BfdState]>([
    ['down', 'down', 'init'],
    ['down', 'init', 'up'],
    ['down', 'up', 'down'],
    ['init', 'down', 'init'],
    ['init', 'init', 'up'],
    ['init', 'up', 'up'],
    ['init', 'admin-down', 'down'],
    ['up', 'init', 'up'],
    ['up', 'up', 'up'],
    ['up', 'down', 'down'],
    ['up', 'admin-down', 'down'],
  ])('%s that hears %s is %s (RFC 5880 §6.8.6)', (from, heard, to) => {
    const state = { ...initialBfd(SETTINGS), state: from };
    expect(bfdMachine.step(state, { kind: 'received', packet: { ...PACKET, state: heard } }, 0).next.state).toBe(to);
  });
});

const PACKET: BfdPacket = {
  diagnostic: DIAGNOSTICS.none,
  state: 'up',
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMultiplier: 3,
  myDiscriminator: 9,
  yourDiscriminator: 1,
  desiredMinTx: 300_000,
  requiredMinRx: 300_000,
  requiredMinEchoRx: 0,
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('an echo packet', () => {
  it('is what RFC 5881 §4 and IPv4 want byte by byte', () => {
    const [from, router] = [new Uint8Array(6).fill(1), new Uint8Array(6).fill(2)];
    const frame = encodeBfdEcho({ own: parseAddress('192.0.2.1')!, discriminator: 7 }, from, router);
    expect(hex(frame)).toBe(
      [
        '02020202020201010101010108004',
        // 36 bytes, TTL 255, UDP, from and to ourselves; the checksum was computed elsewhere.
        '5c0002400000000ff113706c0000201c0000201',
        '0ec90ec9001000006d6c627400000007',
      ].join(''),
    );
  });

  it.each([
    ['another IP version', 14, 0x46],
    ['another protocol', 23, 6],
    ['another port', 37, 0xca],
    ['a payload that is not ours', 42, 0],
  ])('is not one with %s', (_, at, byte) => {
    const [from, router] = [new Uint8Array(6).fill(1), new Uint8Array(6).fill(2)];
    const frame = encodeBfdEcho({ own: parseAddress('192.0.2.1')!, discriminator: 7 }, from, router);
    expect(decodeBfdEcho(frame.with(at, byte))).toBeUndefined();
  });

  it('goes to ourselves by way of the router, and is known when it comes back', () => {
    const [from, router] = [new Uint8Array(6).fill(1), new Uint8Array(6).fill(2)];
    const echo = { own: parseAddress('192.0.2.1')!, discriminator: 7 };
    const frame = encodeBfdEcho(echo, from, router);
    expect(decodeBfdEcho(frame)).toEqual(echo);
    for (let length = 0; length < frame.length; length++) expect(decodeBfdEcho(frame.slice(0, length))).toBeUndefined();
    expect(decodeBfdEcho(frame.with(29, 9))).toBeUndefined();
  });
});

describe('the BFD codec', () => {
  it('writes a control packet as RFC 5880 §4.1 draws it', () => {
    expect(hex(encodeBfd(PACKET))).toBe('20c003180000000900000001000493e0000493e000000000');
  });

  it('round-trips, and never throws on garbage', () => {
    const packet = fc.record({
      diagnostic: fc.nat(31),
      state: fc.constantFrom(...(Object.keys(BFD_STATES) as BfdState[])),
      poll: fc.boolean(),
      final: fc.boolean(),
      controlPlaneIndependent: fc.boolean(),
      demand: fc.boolean(),
      detectMultiplier: fc.integer({ min: 1, max: 255 }),
      myDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
      yourDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
      desiredMinTx: fc.nat(0xffffffff),
      requiredMinRx: fc.nat(0xffffffff),
      requiredMinEchoRx: fc.nat(0xffffffff),
    });
    fc.assert(fc.property(packet, (p) => void expect(decodeBfd(encodeBfd(p))).toEqual({ ok: true, packet: p })));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeBfd(bytes)),
      { numRuns: 2000 },
    );
  });

  it.each<[string, number, number, string]>([
    ['version 0', 0, 0x00, 'bad-version'],
    ['a length beyond the datagram', 3, 99, 'bad-length'],
    ['a multiplier of 0', 2, 0, 'zero-multiplier'],
    ['the multipoint bit', 1, 0xc1, 'multipoint'],
    ['authentication, which we have not', 1, 0xc4, 'authenticated'],
  ])('refuses %s', (_, at, value, error) => {
    expect(decodeBfd(encodeBfd(PACKET).with(at, value))).toEqual({ ok: false, error });
  });
});
