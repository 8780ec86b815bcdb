/**
 * A router with a neighbor on every node: our own sessions and BFD on the other side of the wire, and the tables that it keeps.
 * @module
 */

import type { BfdSessions } from '../src/adapters/wire/bfd-sessions.ts';
import type { FromWire } from '../src/adapters/wire/messages.ts';
import { BgpSessions } from '../src/apps/speaker/bgp-sessions.ts';
import { BFD_DEFAULTS } from '../src/core/bfd/fsm.ts';
import type { PeersInput, PeersOutput } from '../src/core/bgp/peers/state.ts';
import type { PeerPlan } from '../src/core/bgp/peers/wanted.ts';
import { established, optionsOf } from '../src/core/bgp/session/state.ts';
import { decodeMessage } from '../src/core/bgp/wire/codec.ts';
import type { Peer } from '../src/core/config/config.ts';
import type { Tick } from '../src/core/machine.ts';
import { parseAddress } from '../src/core/net/address.ts';
import { AdjRibIn } from './adj-rib-in.ts';
import { bfdOn } from './virtual-bfd.ts';
import { VirtualProcess, type World } from './virtual-process.ts';
import type { VirtualHost } from './virtual-tcp.ts';

export const ROUTER = { name: 'router', address: '192.0.2.254', asn: 64501 };
export const NODE_ASN = 64500;
export const BGP_PORT = 179;
/** Milliseconds that routes of a neighbor which restarts gracefully are kept: the router's own choice, shorter than what it is asked for. */
export const STALE_TIME = 30_000;

export interface RouterSettings {
  /** By node: its address. */
  readonly neighbors: ReadonlyMap<string, string>;
  /** The router connects as well. */
  readonly dials: boolean;
  readonly gracefulRestart: boolean;
}

/** What is known of one neighbor's session. */
interface Neighbor {
  readonly rib: AdjRibIn;
  /** Whether its routes are kept when the session goes without a word. */
  isHelped: boolean;
  /** One side has said, or BFD, that it is over for good. */
  isHard: boolean;
  /** Counts sessions: a timer of an earlier one is of no interest. */
  sessions: number;
}

export class VirtualRouter {
  readonly #world: World;
  readonly #host: VirtualHost;
  readonly #settings: RouterSettings;
  readonly #neighbors = new Map<string, Neighbor>();
  #process!: VirtualProcess;
  #sessions!: BgpSessions;
  #bfd!: BfdSessions;
  #starts = 0;

  constructor(world: World, host: VirtualHost, settings: RouterSettings) {
    this.#world = world;
    this.#host = host;
    this.#settings = settings;
    for (const node of settings.neighbors.keys())
      this.#neighbors.set(node, { rib: new AdjRibIn(), isHelped: false, isHard: false, sessions: 0 });
    this.start();
  }

  get isRunning(): boolean {
    return this.#process.isRunning;
  }

  /** What it has of a node. */
  tableOf(node: string): AdjRibIn['routes'] {
    return this.#neighbors.get(node)!.rib.routes;
  }

  hasSession(node: string): boolean {
    const session = this.#sessions.session(node);
    return session !== undefined && established(session) !== undefined;
  }

  start(): void {
    const { neighbors } = this.#settings;
    this.#process = new VirtualProcess(this.#world, `${ROUTER.name}-${++this.#starts}`);
    const process = this.#process;
    this.#sessions = new BgpSessions({
      node: ROUTER.name,
      listenPort: BGP_PORT,
      clock: process.main.clock,
      network: this.#host.start(process),
      record: (input) => this.#hear(input),
      onOutput: (output) => this.#perform(output),
      onListenFailed: (why) => this.#world.onBreach(`the router cannot listen: ${why}`),
    });
    this.#bfd = bfdOn(this.#host, process, (fact) => this.#onBfd(fact));
    const plans = [...neighbors].map(
      ([node, address]): PeerPlan => ({ peer: this.#peer(node, address), bfd: BFD, audience: 1 }),
    );
    this.#sessions.feed({ kind: 'wanted', plans, routes: [] });
  }

  /** It has no tables any more; with its power gone, nobody is told. */
  kill(isPowerGone: boolean): void {
    this.#process.kill();
    if (isPowerGone) this.#host.powerOff();
    else this.#host.processGone();
    for (const neighbor of this.#neighbors.values()) neighbor.rib.routes.clear();
  }

  sleep(milliseconds: number): void {
    this.#process.sleep(milliseconds);
  }

  #peer(name: string, address: string): Peer {
    const { dials, gracefulRestart } = this.#settings;
    return {
      name,
      myASN: ROUTER.asn,
      peerASN: NODE_ASN,
      target: { kind: 'address', address: parseAddress(address)! },
      port: BGP_PORT,
      nodeSelectors: [],
      gracefulRestart,
      ebgpMultiHop: false,
      vrf: '',
      dualStack: false,
      disableMP: false,
      passive: !dials,
      delayOpen: 0,
      ttlSecurityHops: undefined,
      bfdProfile: BFD.name,
    };
  }

  /** Every input before it is stepped. */
  #hear(input: PeersInput | Tick): void {
    if (input.kind === 'bfd-changed' && !input.up && !input.administrative)
      this.#neighbors.get(input.peer)!.isHard = true;
    if (input.kind !== 'session' || input.input.kind !== 'frame') return;
    const { initiator, bytes } = input.input;
    const connection = this.#sessions.session(input.peer)?.connections.get(initiator);
    if (connection === undefined) return;
    const neighbor = this.#neighbors.get(input.peer)!;
    if (isHardReset(bytes)) neighbor.isHard = true;
    const decoded = decodeMessage(bytes, optionsOf(connection));
    if (!decoded.ok) this.#world.onBreach(`${input.peer} sends what cannot be read: ${decoded.error.message}`);
    else if (decoded.message.kind === 'update' && connection.stage.kind === 'established')
      neighbor.rib.update(decoded.message);
  }

  #perform(output: PeersOutput): void {
    if (output.kind === 'bfd') {
      const { targets } = output;
      this.#process.wire.run('bfd targets', () => this.#bfd.set(targets));
    }
    if (output.kind !== 'session') return;
    const neighbor = this.#neighbors.get(output.peer)!;
    const { output: what } = output;
    if (what.kind === 'send' && isHardReset(what.bytes)) neighbor.isHard = true;
    if (what.kind === 'send' && isBadNotification(what.bytes))
      this.#world.onBreach(
        `the router finds fault with ${output.peer}: NOTIFICATION ${what.bytes.slice(19, 21).join('/')}`,
      );
    if (what.kind === 'session-up') {
      neighbor.isHard = false;
      neighbor.sessions++;
      neighbor.isHelped = this.#settings.gracefulRestart && what.negotiated.gracefulRestart !== undefined;
      if (!neighbor.isHelped) neighbor.rib.dropStale();
    }
    if (what.kind === 'session-down') this.#lose(neighbor);
  }

  #lose(neighbor: Neighbor): void {
    neighbor.rib.lose(neighbor.isHelped && !neighbor.isHard);
    const { clock } = this.#process.main;
    const before = neighbor.sessions;
    clock.at(clock.now() + STALE_TIME, () => {
      if (neighbor.sessions === before) neighbor.rib.dropStale();
    });
  }

  #onBfd(fact: FromWire): void {
    if (fact.kind !== 'bfd-changed') return;
    const { peer, up, administrative = false } = fact;
    this.#process.main.run('bfd', () => this.#sessions.feed({ kind: 'bfd-changed', peer, up, administrative }));
  }
}

const BFD = { name: 'bfd', ...BFD_DEFAULTS, echoMode: false, passiveMode: true };

/** NOTIFICATION with Cease/Hard Reset (RFC 8538). */
function isHardReset(bytes: Uint8Array): boolean {
  return bytes[18] === 3 && bytes[19] === 6 && bytes[20] === 9;
}

/** NOTIFICATION of anything but the hold timer or a Cease: the other side has broken the protocol. */
function isBadNotification(bytes: Uint8Array): boolean {
  return bytes[18] === 3 && bytes[19] !== 4 && bytes[19] !== 6;
}
