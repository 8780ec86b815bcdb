import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../net/address.ts';
import { encodeMessage } from '../wire/codec.ts';
import { type BmpInput, type BmpOutput, type BmpState, bmpMachine, initialBmp } from './fsm.ts';
import { type BmpMessage, encodeBmp } from './messages.ts';
import type { ToldSession } from './told-session.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const PEER = { address: parseAddress('192.0.2.1')!, asn: 64501, identifier: 0x0a000001, fourOctetAs: true };
const ENDS = { localAddress: parseAddress('192.0.2.2')!, localPort: 40_000, remotePort: 179 };
const WIRE = { fourOctetAs: true, extendedMessage: false };
const KEEPALIVE = encodeMessage({ kind: 'keepalive' }, WIRE);
const OPENS = { sent: KEEPALIVE, received: KEEPALIVE };
const NOW = 1_700_000_000_250;
/** Global instance, post-policy Adj-RIB-Out; the address at the end of its field; AS, identifier, seconds, microseconds. */
const HEADER = `0050${'00'.repeat(8)}${'00'.repeat(12)}c00002010000fbf50a0000016553f1000003d090`;

describe('BMP (RFC 7854, RFC 8671)', () => {
  it.each<[string, BmpMessage, string]>([
    [
      'who we are',
      { kind: 'initiation', name: 'n1', description: 'x' },
      `03000000110400010001${'78'}00020002${'6e31'}`,
    ],
    ['the end', { kind: 'termination' }, '030000000c05000100020000'],
    [
      'what goes out',
      { kind: 'route-monitoring', peer: PEER, update: KEEPALIVE },
      `030000004300${HEADER}${hex(KEEPALIVE)}`,
    ],
    ['the end of a session', { kind: 'peer-down', peer: PEER }, `030000003302${HEADER}020000`],
    [
      'how many routes',
      { kind: 'statistics', peer: PEER, routes: 7 },
      `030000004001${HEADER}00000001000f00080000000000000007`,
    ],
    [
      'a session',
      { kind: 'peer-up', peer: PEER, ends: ENDS, opens: OPENS },
      `030000006a03${HEADER}${'00'.repeat(12)}c00002029c4000b3${hex(KEEPALIVE).repeat(2)}`,
    ],
  ])('writes %s', (_, message, bytes) => {
    expect(hex(encodeBmp(message, NOW))).toBe(bytes);
  });

  it('marks IPv6, and a router that knows AS numbers of two bytes only', () => {
    const peer = { ...PEER, address: parseAddress('2001:db8::1')!, fourOctetAs: false };
    expect(encodeBmp({ kind: 'peer-down', peer }, NOW)[7]).toBe(0xf0);
  });
});

/** Steps the machine; gives what it asks for, in short. */
class Station {
  state: BmpState = initialBmp(0);
  now = 0;

  feed(input: Parameters<typeof bmpMachine.step>[1]): string[] {
    const { next, outputs } = bmpMachine.step(this.state, input, this.now);
    this.state = next;
    return outputs.map(inShort);
  }

  /** Lets time pass until the machine's deadline; gives how long that took besides. */
  tick(): [number, string[]] {
    const before = this.now;
    this.now = bmpMachine.nextDeadline(this.state)!.at;
    return [this.now - before, this.feed({ kind: 'tick' })];
  }

  /** With the sessions that are up. */
  connect(...sessions: ToldSession[]): string[] {
    this.tick();
    return this.feed(connected(...sessions));
  }
}

function inShort(output: BmpOutput): string {
  if (output.kind === 'count') return `count ${output.name}`;
  if (output.kind !== 'tell') return output.kind;
  const { message } = output;
  if (message.kind === 'route-monitoring') return `route ${message.peer.asn} ${message.update[0]}`;
  return 'peer' in message ? `${message.kind} ${message.peer.asn}` : message.kind;
}

const connected = (...sessions: ToldSession[]): BmpInput => ({ kind: 'connected', node: 'n1', sessions });

function session(name: string, asn: number, ...updates: number[]): ToldSession {
  const peer = { ...PEER, asn };
  return { name, peer, ends: ENDS, opens: OPENS, updates: updates.map((first) => Uint8Array.of(first)) };
}

/** An UPDATE without routes; its first byte is that of the marker. */
const UPDATE = Uint8Array.of(...KEEPALIVE.slice(0, 16), 0, 23, 2, 0, 0, 0, 0);

describe('a BMP station', () => {
  it('is connected with at once, and again with growing pauses until it answers', () => {
    const station = new Station();
    const pauses = Array.from({ length: 9 }, () => {
      const [pause, outputs] = station.tick();
      expect(outputs).toEqual(['connect']);
      station.feed({ kind: 'disconnected' });
      return pause / 1000;
    });
    expect(pauses).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60]);
    station.connect();
    station.feed({ kind: 'disconnected' });
    expect(station.tick()).toEqual([1000, ['connect']]);
  });

  it('is told of every session that is up when the connection opens, with its routes', () => {
    const station = new Station();
    const first = [session('a', 1, 11, 12), session('b', 2)];
    expect(station.connect(...first)).toEqual(['initiation', 'peer-up 1', 'route 1 11', 'route 1 12', 'peer-up 2']);
    station.feed({ kind: 'disconnected' });
    // Nothing that happens meanwhile is told, and nothing of the last connection is taken to be known.
    expect(station.feed({ kind: 'session-up', session: session('c', 3) })).toEqual([]);
    expect(station.feed({ kind: 'session-down', name: 'a' })).toEqual([]);
    expect(station.connect(session('c', 3, 31))).toEqual(['initiation', 'peer-up 3', 'route 3 31']);
    expect(station.feed({ kind: 'session-down', name: 'b' })).toEqual([]);
  });

  it('is told of sessions as they come and go, and of the UPDATEs that go out on them', () => {
    const station = new Station();
    station.connect();
    expect(station.feed({ kind: 'sent', name: 'a', bytes: UPDATE })).toEqual([]);
    expect(station.feed({ kind: 'session-up', session: session('a', 1) })).toEqual(['peer-up 1']);
    expect(station.feed({ kind: 'sent', name: 'a', bytes: UPDATE })).toEqual(['route 1 255']);
    expect(station.feed({ kind: 'sent', name: 'a', bytes: KEEPALIVE })).toEqual([]);
    expect(station.feed({ kind: 'session-down', name: 'a' })).toEqual(['peer-down 1']);
    expect(station.feed({ kind: 'session-down', name: 'a' })).toEqual([]);
    expect(station.feed({ kind: 'sent', name: 'a', bytes: UPDATE })).toEqual([]);
  });

  it('is told how many routes there are every minute, of the sessions that it knows', () => {
    const station = new Station();
    station.connect(session('a', 1), session('b', 2));
    expect(station.tick()).toEqual([60_000, ['count a', 'count b']]);
    station.now += 59_999;
    expect(station.feed({ kind: 'tick' })).toEqual([]);
    station.feed({ kind: 'session-down', name: 'a' });
    expect(station.tick()).toEqual([1, ['count b']]);
  });

  it('is told the end when there is a connection, and then is left alone', () => {
    const station = new Station();
    station.connect(session('a', 1));
    expect(station.feed({ kind: 'stop' })).toEqual(['termination', 'close']);
    expect(bmpMachine.nextDeadline(station.state)).toBeUndefined();
    expect(station.feed({ kind: 'disconnected' })).toEqual([]);
    expect(station.feed({ kind: 'stop' })).toEqual([]);
    const early = new Station();
    early.tick();
    expect(early.feed({ kind: 'stop' })).toEqual(['close']);
    expect(early.feed(connected())).toEqual([]);
  });
});
