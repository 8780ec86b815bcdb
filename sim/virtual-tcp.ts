/**
 * TCP and UDP between the nodes and the router: kernels that connect, deliver in order, retransmit, and reset, on a LAN that can be cut.
 * @module
 */

import type { ConnectResult, Stream } from '../src/adapters/wire/stream-connection.ts';
import type { BgpNetwork } from '../src/apps/speaker/bgp-network.ts';
import { formatAddress, parseAddress } from '../src/core/net/address.ts';
import type { VirtualClock } from './clock.ts';
import type { Random } from './random.ts';
import type { VirtualLan } from './virtual-lan.ts';
import type { VirtualProcess } from './virtual-process.ts';

/** Milliseconds until a segment is sent again, doubling up to the longest; and until a SYN is. */
const FIRST_RTO = 200;
const LONGEST_RTO = 120_000;
const SYN_RTO = 1000;

interface World {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly lan: VirtualLan;
  readonly onBreach: (text: string) => void;
}

type OnConnection = Parameters<BgpNetwork['listen']>[2];

/** The kernels on one LAN. */
export class VirtualNetwork {
  readonly world: World;
  readonly #hosts = new Map<string, VirtualHost>();

  constructor(world: World) {
    this.world = world;
  }

  /** Off, until something is started on it. `name` is what the LAN is cut by. */
  host(name: string, address: string): VirtualHost {
    const host = new VirtualHost(this, name, address);
    this.#hosts.set(address, host);
    return host;
  }

  at(address: string): VirtualHost | undefined {
    return this.#hosts.get(address);
  }

  latency(): number {
    return this.world.random.between(0, 3);
  }
}

/** One machine with its kernel, and the one process on it that speaks BGP. */
export class VirtualHost {
  readonly name: string;
  readonly address: string;
  readonly network: VirtualNetwork;
  /** Undefined: the machine is off. */
  process: VirtualProcess | undefined;
  readonly #listeners = new Map<number, OnConnection>();
  readonly #ends = new Set<End>();
  /** Hears BFD packets. */
  onPacket: (bytes: Uint8Array, from: VirtualHost) => void = () => {};

  constructor(network: VirtualNetwork, name: string, address: string) {
    this.network = network;
    this.name = name;
    this.address = address;
  }

  /** The process of before, if there was one, is gone. */
  start(process: VirtualProcess): BgpNetwork {
    this.processGone();
    this.process = process;
    return {
      connect: ({ address, port }, done) => this.#connect(process, formatAddress(address), port, done),
      listen: (family, port, onConnection) => {
        if (family === 'ipv4') this.#listeners.set(port, onConnection);
        return { setMd5: () => {}, close: () => void this.#listeners.delete(port) };
      },
      localEnd: (address, routerId) => {
        const own = parseAddress(address)!;
        return { identifier: Number((routerId ?? own).value), addresses: [own] };
      },
      forwardsIpv4: () => false,
    };
  }

  /** The kernel closes what the process had open. */
  processGone(): void {
    this.#listeners.clear();
    for (const end of [...this.#ends]) end.shut();
    this.onPacket = () => {};
  }

  /** Nobody hears a word of it. */
  powerOff(): void {
    this.#listeners.clear();
    this.process = undefined;
    for (const end of this.#ends) end.vanish();
    this.#ends.clear();
    this.onPacket = () => {};
  }

  /** Something between the two ends resets every connection. */
  resetAll(): void {
    for (const end of [...this.#ends]) {
      end.other.reset();
      end.reset();
    }
  }

  get connections(): number {
    return this.#ends.size;
  }

  /** Nothing that this host sends arrives at the other one now. */
  isCutFrom(other: VirtualHost): boolean {
    return other.process === undefined || this.network.world.lan.isCut(this.name, other.name);
  }

  sendPacket(to: string, bytes: Uint8Array): void {
    const target = this.network.at(to);
    const { clock } = this.network.world;
    if (target === undefined || this.isCutFrom(target)) return;
    clock.after(this.network.latency(), () => target.onPacket(bytes, this));
  }

  forget(end: End): void {
    this.#ends.delete(end);
  }

  #connect(process: VirtualProcess, to: string, port: number, done: (result: ConnectResult) => void): () => void {
    const { clock } = this.network.world;
    const peer = this.network.at(to);
    let mine: End | undefined;
    let isOver = false;
    const finish = (result: ConnectResult) =>
      process.main.run(mine ?? {}, () => {
        if (isOver) return;
        isOver = true;
        done(result);
      });
    const attempt = (pause: number) => {
      if (isOver || this.process !== process || !process.isRunning) return;
      if (peer === undefined || this.isCutFrom(peer) || peer.isCutFrom(this)) {
        clock.after(pause, () => attempt(2 * pause));
        return;
      }
      const accept = peer.#listeners.get(port);
      if (accept === undefined) {
        finish({ ok: false, code: 'ECONNREFUSED', call: 'connect' });
        return;
      }
      const theirs = new End(peer, peer.process!, this.address);
      mine = new End(this, process, peer.address);
      [mine.other, theirs.other] = [theirs, mine];
      peer.#ends.add(theirs);
      this.#ends.add(mine);
      finish({ ok: true, socket: mine });
      peer.process!.main.run(theirs, () => accept(theirs, () => {}));
    };
    if (process.touches('connects to a router')) clock.after(this.network.latency(), () => attempt(SYN_RTO));
    return () => {
      if (!isOver) mine?.shut();
      isOver = true;
    };
  }
}

interface Listeners {
  data: (data: Buffer) => void;
  error: (error: NodeJS.ErrnoException) => void;
  close: () => void;
}

/** One end of a connection. */
class End implements Stream {
  readonly localAddress: string;
  readonly localPort = 0;
  readonly remoteAddress: string;
  readonly remotePort = 0;
  other!: End;
  readonly #host: VirtualHost;
  readonly #process: VirtualProcess;
  readonly #on: Listeners = { data: () => {}, error: () => {}, close: () => {} };
  #unsent: Uint8Array = new Uint8Array();
  /** `shut`: the process has closed it, and what it has written still goes out. */
  #state: 'open' | 'shut' | 'gone' = 'open';
  #isOnItsWay = false;
  #rto = FIRST_RTO;

  constructor(host: VirtualHost, process: VirtualProcess, remoteAddress: string) {
    this.#host = host;
    this.#process = process;
    this.localAddress = host.address;
    this.remoteAddress = remoteAddress;
  }

  on(event: keyof Listeners, listener: (data: never) => void): void {
    this.#on[event] = listener as never;
  }

  write(bytes: Uint8Array): void {
    if (!this.#process.touches('writes to a connection') || this.#state !== 'open') return;
    this.#unsent = Buffer.concat([this.#unsent, bytes]);
    this.#transmit(this.#host.network.latency());
  }

  destroy(): void {
    if (this.#process.touches('closes a connection')) this.shut();
  }

  destroySoon(): void {
    this.destroy();
  }

  /** What is unsent goes out, and then the end of it. */
  shut(): void {
    if (this.#state !== 'open') return;
    this.#state = 'shut';
    this.#transmit(this.#host.network.latency());
  }

  /** Without a word to anybody. */
  vanish(): void {
    this.#state = 'gone';
  }

  reset(): void {
    this.#over(() => this.#on.error(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })));
  }

  #over(before: () => void): void {
    const wasOpen = this.#state === 'open';
    this.#state = 'gone';
    this.#host.forget(this);
    if (!wasOpen) return;
    this.#process.main.run(this, () => {
      before();
      this.#on.close();
    });
  }

  #transmit(delay: number): void {
    if (this.#isOnItsWay || this.#state === 'gone' || (this.#state === 'open' && this.#unsent.length === 0)) return;
    this.#isOnItsWay = true;
    this.#host.network.world.clock.after(delay, () => {
      this.#isOnItsWay = false;
      if (this.#state !== 'gone') this.#arrive();
    });
  }

  #arrive(): void {
    const { other } = this;
    const isRefused = other.#state === 'gone';
    if (this.#host.isCutFrom(other.#host) || (isRefused && other.#host.isCutFrom(this.#host))) {
      this.#rto = Math.min(2 * this.#rto, LONGEST_RTO);
      this.#transmit(this.#rto);
      return;
    }
    this.#rto = FIRST_RTO;
    if (isRefused) {
      this.reset();
      return;
    }
    const { random } = this.#host.network.world;
    // A stream comes in pieces that have nothing to do with those that were written.
    const length = random.chance(0.1) ? random.between(1, this.#unsent.length) : this.#unsent.length;
    const bytes = Buffer.from(this.#unsent.subarray(0, length));
    this.#unsent = this.#unsent.subarray(length);
    if (bytes.length > 0) other.#receive(bytes);
    if (this.#state === 'shut' && this.#unsent.length === 0) {
      this.#state = 'gone';
      this.#host.forget(this);
      other.#finish();
      return;
    }
    this.#transmit(this.#host.network.latency());
  }

  #receive(bytes: Buffer): void {
    // Nobody is there any more to read it.
    if (this.#state === 'shut') this.other.reset();
    else
      this.#process.main.run(this, () => {
        if (this.#state === 'open') this.#on.data(bytes);
      });
  }

  /** The other side has closed: so do we, as Node does. */
  #finish(): void {
    if (this.#state !== 'open') return;
    this.#process.main.run(this, () => {
      if (this.#state !== 'open') return;
      this.shut();
      this.#on.close();
    });
  }
}
