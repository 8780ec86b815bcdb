import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeBfdEcho } from '../../core/bfd/echo-codec.ts';
import { BFD_DEFAULTS } from '../../core/bfd/fsm.ts';
import { encodeRouterAdvertisement } from '../../core/layer2/router-discovery.ts';
import { parseAddress } from '../../core/net/address.ts';
import { parseMac } from '../../core/net/mac.ts';
import { BATCH, batch } from './batch.ts';
import { EchoPaths } from './bfd-echo.ts';
import { BfdSockets } from './bfd-network.ts';
import { BfdSessions } from './bfd-sessions.ts';
import { socketAddress } from './datagram-socket.ts';
import { RouterDiscovery } from './router-discovery.ts';

const MAC = parseMac('02:00:00:00:00:01')!;
const LOOPBACK = parseAddress('127.0.0.1')!;

// Other files of this worker have read the modules already, and must not meet ours.
vi.hoisted(() => vi.resetModules());
afterAll(() => {
  for (const module of ['./syscalls.ts', './interface-index.ts', 'node:fs']) vi.doUnmock(module);
  vi.resetModules();
});

/** Sockets that no drain empties: more waits in each than any turn may take. */
const flood = vi.hoisted(() => ({
  waiting: 0,
  reads: 0,
  message: new Uint8Array() as Uint8Array,
  sender: new Uint8Array() as Uint8Array,
  take: (buffer: Uint8Array): number | undefined => {
    flood.reads++;
    if (flood.waiting-- <= 0) return undefined;
    buffer.set(flood.message);
    return flood.message.length;
  },
}));

vi.mock('./syscalls.ts', async (original) => ({
  ...(await original<typeof import('./syscalls.ts')>()),
  socket: () => 1000,
  bind: () => {},
  bindToDevice: () => {},
  setNumber: () => {},
  setTtl: () => {},
  setsockopt: () => {},
  send: () => true,
  sendTo: () => true,
  close: () => {},
  receive: (_fd: number, buffer: Uint8Array) => flood.take(buffer),
  receiveFrom: (_fd: number, buffer: Uint8Array) => {
    const length = flood.take(buffer);
    return length === undefined ? undefined : { length, address: flood.sender };
  },
}));
vi.mock('./interface-index.ts', () => ({ interfaceIndex: () => 1 }));
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  readFileSync: () => '127.0.0.1 0x1 0x2 02:00:00:00:00:01 * lo\n',
}));

const STANDSTILL = { now: () => 0, at: () => () => {} };

const unexpected = (on: string, error: Error) => {
  throw new Error(`${on}: ${error.message}`);
};

describe('a batch', () => {
  it('ends with what there is', () => {
    const there = [1, 2, 3];
    expect([...batch(() => there.shift())]).toEqual([1, 2, 3]);
  });

  it('ends before what never ends, and leaves the rest where it is', () => {
    let read = 0;
    expect([...batch(() => read++)]).toHaveLength(BATCH);
    expect(read).toBe(BATCH);
  });
});

describe('a flood', () => {
  beforeEach(() => {
    Object.assign(flood, { waiting: 10_000, reads: 0 });
  });

  it('of Router Advertisements takes no more of a turn than a batch, and is heard all the same', () => {
    const found: string[] = [];
    const discovery = new RouterDiscovery(STANDSTILL, ({ address }) => void found.push(address), unexpected);
    discovery.set(new Map([['lo', MAC]]));
    flood.message = encodeRouterAdvertisement(MAC);
    flood.sender = socketAddress(parseAddress('fe80::1')!, 0);
    discovery.drain();
    expect(flood.reads).toBe(BATCH);
    expect(found).toEqual(['fe80::1']);
    discovery.drain();
    expect(flood.reads).toBe(2 * BATCH);
  });

  it('of BFD echo packets takes no more of a turn than a batch', () => {
    const paths = new EchoPaths();
    expect(paths.send(LOOPBACK, 7, 0)).toBe(true);
    flood.message = encodeBfdEcho({ own: LOOPBACK, discriminator: 7 }, MAC, MAC);
    expect([...paths.received()]).toHaveLength(BATCH);
    expect(flood.reads).toBe(BATCH);
  });

  it('of BFD control packets takes no more of a turn than a batch', () => {
    const network = new BfdSockets();
    const sessions = new BfdSessions({ clock: STANDSTILL, network, report: () => {}, onTrouble: unexpected });
    const path = { address: LOOPBACK, zone: undefined, source: undefined, multihop: false, device: '' };
    const target = { peer: 'p', ...path, minimumTtl: 254 };
    sessions.set([{ ...target, ...BFD_DEFAULTS, passive: false, echoInterval: undefined, echoReceiveInterval: 0 }]);
    network.drain(sessions);
    expect(flood.reads).toBe(BATCH);
  });
});
