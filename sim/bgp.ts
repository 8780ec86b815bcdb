/**
 * A BGP session with a router, on a virtual clock: connections that break, that only one side sees broken, that both sides make at once;
 * restarts of either side, with and without grace; routes that change all the time. At rest the router holds exactly what it should.
 * @module
 */

import { Driver } from '../src/adapters/driver/driver.ts';
import { RouteTable } from '../src/core/bgp/rib/route-table.ts';
import { applyUpdate, noRoutes } from '../src/core/bgp/rib/route-update.ts';
import { sessionMachine } from '../src/core/bgp/session/fsm.ts';
import type { SessionSettings } from '../src/core/bgp/session/negotiation.ts';
import {
  type Connection,
  established,
  type Initiator,
  initialSession,
  optionsOf,
  type SessionInput,
  type SessionOutput,
  type SessionState,
} from '../src/core/bgp/session/state.ts';
import { BEFORE_OPEN, decodeMessage } from '../src/core/bgp/wire/codec.ts';
import { parseAddress } from '../src/core/net/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../src/core/net/prefix.ts';
import { AdjRibIn } from './adj-rib-in.ts';
import { VirtualClock } from './clock.ts';
import { Random } from './random.ts';

export interface BgpReport {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly happenings: readonly string[];
}

/** Virtual milliseconds of faults, and of the peace after them: the longest pause between attempts to connect is two minutes. */
const TROUBLE = 600_000;
const PEACE = 400_000;

type Name = 'speaker' | 'router';
const other = (name: Name): Name => (name === 'speaker' ? 'router' : 'speaker');

/** A TCP connection: what one side has written arrives at the other in order, or not at all. */
interface Wire {
  readonly by: Name;
  isOpen: Record<Name, boolean>;
  /** When what was written last arrives. */
  readonly arrives: Record<Name, number>;
  /** Nothing gets through any more, and neither side is told. */
  isDead: boolean;
}

class Side {
  readonly name: Name;
  driver: Driver<SessionState, SessionInput, SessionOutput>;
  readonly wires = new Map<Initiator, Wire>();
  newcomer: { readonly initiator: Initiator; readonly wire: Wire } | undefined;

  constructor(name: Name, driver: Side['driver']) {
    this.name = name;
    this.driver = driver;
  }
}

/** Never throws: problems are in the report. */
export function simulateBgp(seed: number): BgpReport {
  return new BgpSimulation(seed).run();
}

class BgpSimulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #clock = new VirtualClock();
  readonly #violations: string[] = [];
  readonly #happenings: string[] = [];
  readonly #sides: Record<Name, Side>;
  readonly #graceful: boolean;
  readonly #routerDials: boolean;
  readonly #holdTime: number;
  readonly #wanted = new RouteTable(1);
  /** What the speaker was told of it last; its process may know nothing of that yet. */
  #known = noRoutes();
  #told: number | undefined;
  /** What the router has. */
  readonly #rib = new AdjRibIn();
  #inPeace = false;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#graceful = this.#random.chance(0.5);
    this.#routerDials = this.#random.chance(0.5);
    this.#holdTime = this.#random.pick([9000, 90_000])!;
    this.#sides = { speaker: this.#side('speaker'), router: this.#side('router') };
  }

  run(): BgpReport {
    this.#changeRoutes();
    for (const side of Object.values(this.#sides)) this.#begin(side);
    for (let at = 0; at < TROUBLE; at += this.#random.between(50, 20_000)) this.#clock.after(at, () => this.#fault());
    const look = () => this.#check();
    this.#clock.runUntil(TROUBLE, look);
    this.#inPeace = true;
    this.#clock.runUntil(TROUBLE + PEACE, look);
    this.#judge();
    return { seed: this.#seed, violations: this.#violations, happenings: this.#happenings };
  }

  #side(name: Name): Side {
    const side: Side = new Side(name, undefined as never);
    side.driver = this.#driver(side);
    return side;
  }

  #driver(side: Side): Side['driver'] {
    const isSpeaker = side.name === 'speaker';
    const settings: SessionSettings = {
      asn: isSpeaker ? 64500 : 64501,
      localAsn: isSpeaker ? 64500 : 64501,
      peerAsn: isSpeaker ? 64501 : 64500,
      holdTime: this.#holdTime,
      keepaliveTime: undefined,
      connectTime: undefined,
      families: ['ipv4'],
      gracefulRestart: this.#graceful,
      passive: !isSpeaker && !this.#routerDials,
      delayOpen: isSpeaker ? 0 : this.#random.pick([0, 1000])!,
    };
    return new Driver(sessionMachine, initialSession(settings), {
      clock: this.#clock,
      perform: (output) => this.#perform(side, output),
    });
  }

  #begin(side: Side): void {
    if (side.name === 'speaker') this.#tellRoutes();
    side.driver.feed({ kind: 'start' });
  }

  #perform(side: Side, output: SessionOutput): void {
    switch (output.kind) {
      case 'connect':
        this.#dial(side);
        return;
      case 'send':
        this.#adopt(side);
        this.#send(side, output.initiator, output.bytes);
        return;
      case 'refuse':
        if (side.newcomer !== undefined) this.#shut(side, side.newcomer.wire);
        side.newcomer = undefined;
        return;
      case 'close': {
        const wire = side.wires.get(output.initiator);
        side.wires.delete(output.initiator);
        if (wire !== undefined) this.#shut(side, wire);
        return;
      }
      case 'session-down':
        this.#note(`${side.name}: ${output.why}`);
        if (side.name === 'router') this.#rib.lose(this.#graceful);
        return;
      case 'session-up':
        this.#note(`${side.name}: up`);
    }
  }

  #note(text: string): void {
    this.#happenings.push(`${Math.round(this.#clock.now())} ${text}`);
  }

  #dial(side: Side): void {
    const { driver } = side;
    this.#clock.after(this.#random.between(1, 300), () => {
      if (side.driver !== driver) return;
      const peer = this.#sides[other(side.name)];
      if (!this.#inPeace && this.#random.chance(0.2)) {
        driver.feed({ kind: 'connect-failed', why: 'refused' });
        return;
      }
      const wire: Wire = {
        by: side.name,
        isOpen: { speaker: true, router: true },
        arrives: { speaker: 0, router: 0 },
        isDead: false,
      };
      const accepted = this.#random.between(0, 50);
      // What is written before the other side has taken the connection waits for it.
      wire.arrives[peer.name] = this.#clock.now() + accepted;
      this.#clock.after(accepted, () => {
        if (wire.isOpen[peer.name]) this.#connected(peer, 'theirs', wire);
      });
      this.#connected(side, 'ours', wire);
    });
  }

  #connected(side: Side, initiator: Initiator, wire: Wire): void {
    side.newcomer = { initiator, wire };
    const local = {
      identifier: side.name === 'speaker' ? 2 : this.#seed % 2 === 0 ? 1 : 3,
      addresses: [parseAddress(side.name === 'speaker' ? '192.0.2.2' : '192.0.2.1')!],
    };
    side.driver.feed({ kind: 'connected', initiator, local });
    this.#adopt(side);
  }

  #adopt(side: Side): void {
    if (side.newcomer === undefined) return;
    side.wires.set(side.newcomer.initiator, side.newcomer.wire);
    side.newcomer = undefined;
  }

  #send(side: Side, initiator: Initiator, bytes: Uint8Array): void {
    const wire = side.wires.get(initiator);
    if (wire === undefined || wire.isDead) return;
    const peer = this.#sides[other(side.name)];
    this.#inOrder(wire, peer.name, () => this.#arrive(peer, wire, bytes));
  }

  /** Never before what was sent earlier. */
  #inOrder(wire: Wire, to: Name, act: () => void): void {
    const at = Math.max(wire.arrives[to], this.#clock.now() + this.#random.between(0, 30));
    wire.arrives[to] = at;
    this.#clock.after(at - this.#clock.now(), () => {
      if (!wire.isDead) act();
    });
  }

  #arrive(side: Side, wire: Wire, bytes: Uint8Array): void {
    const initiator = this.#initiatorOf(side, wire);
    if (initiator === undefined) return;
    const connection = side.driver.state.connections.get(initiator);
    if (side.name === 'router' && connection?.stage.kind === 'established') this.#take(connection, bytes);
    side.driver.feed({ kind: 'frame', initiator, bytes });
  }

  #initiatorOf(side: Side, wire: Wire): Initiator | undefined {
    return [...side.wires].find(([, candidate]) => candidate === wire)?.[0];
  }

  /** This side's end is closed; the other side hears of it after everything that was sent before. */
  #shut(side: Side, wire: Wire): void {
    wire.isOpen[side.name] = false;
    const peer = this.#sides[other(side.name)];
    if (wire.isDead || !wire.isOpen[peer.name]) return;
    this.#inOrder(wire, peer.name, () => {
      wire.isOpen[peer.name] = false;
      const initiator = this.#initiatorOf(peer, wire);
      if (initiator !== undefined) peer.driver.feed({ kind: 'closed', initiator, why: 'closed' });
    });
  }

  /** The router's table, by what RFC 4271 and RFC 4724 ask of it. */
  #take(connection: Connection, bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes, optionsOf(connection) ?? BEFORE_OPEN);
    if (!decoded.ok) {
      this.#violations.push(`the speaker sends what cannot be read: ${decoded.error.message}`);
      return;
    }
    const { message } = decoded;
    if (message.kind === 'update') this.#rib.update(message);
  }

  #changeRoutes(): void {
    const count = this.#random.between(0, 40);
    const kept = new Set<string>();
    for (let i = 0; i < count; i++) {
      const prefix: Prefix = parsePrefix(`198.51.100.${this.#random.between(0, 60)}/32`)!;
      const communities = this.#random.chance(0.5) ? [[64500, this.#random.between(1, 3)] as const] : [];
      this.#wanted.set({ prefix, localPref: 0, communities, largeCommunities: [] });
      kept.add(formatPrefix(prefix));
    }
    for (const key of [...this.#known.routes.keys()]) if (!kept.has(key)) this.#wanted.delete(key);
    this.#tellRoutes();
  }

  #tellRoutes(): void {
    const routes = this.#wanted.updateSince(this.#told);
    if (routes === undefined) return;
    this.#told = routes.kind === 'snapshot' ? routes.version : routes.to;
    applyUpdate(this.#known, routes);
    this.#sides.speaker.driver.feed({ kind: 'routes', routes });
  }

  #fault(): void {
    const random = this.#random;
    const side = this.#sides[random.pick(['speaker', 'router'] as const)!];
    const wire = random.pick([...side.wires.values()]);
    const faults: readonly (() => void)[] = [
      () => this.#changeRoutes(),
      () => this.#changeRoutes(),
      () => {
        if (wire === undefined) return;
        this.#note('a connection breaks without a word');
        wire.isDead = true;
      },
      () => {
        if (wire === undefined) return;
        this.#note('a connection is reset');
        wire.isDead = true;
        for (const end of Object.values(this.#sides)) {
          const initiator = this.#initiatorOf(end, wire);
          if (initiator !== undefined) end.driver.feed({ kind: 'closed', initiator, why: 'reset' });
        }
      },
      () => this.#restart(side, random.chance(0.5)),
      () => side.driver.feed({ kind: 'bfd-down' }),
    ];
    random.pick(faults)!();
  }

  /** The process loses its state; its kernel closes its connections. */
  #restart(side: Side, isPlanned: boolean): void {
    this.#note(`the ${side.name} ${isPlanned ? 'restarts' : 'is killed'}`);
    if (isPlanned) side.driver.feed({ kind: 'stop', cause: 'shutdown', why: 'restart', hold: true });
    side.driver.stop();
    for (const wire of side.wires.values()) this.#shut(side, wire);
    side.wires.clear();
    side.newcomer = undefined;
    if (side.name === 'router') this.#rib.lose(false);
    side.driver = this.#driver(side);
    if (side.name === 'speaker') this.#told = undefined;
    const { driver } = side;
    this.#clock.after(this.#random.between(10, 5000), () => {
      if (side.driver === driver) this.#begin(side);
    });
  }

  #check(): void {
    for (const { name, driver } of Object.values(this.#sides)) {
      const up = [...driver.state.connections.values()].filter(({ stage }) => stage.kind === 'established');
      if (up.length > 1) this.#violations.push(`the ${name} has two sessions at ${this.#clock.now()}`);
    }
  }

  #judge(): void {
    for (const { name, driver } of Object.values(this.#sides)) {
      if (established(driver.state) === undefined)
        this.#violations.push(
          `the ${name} has no session at the end: ${driver.state.phase}, ${driver.state.lastError}`,
        );
      if (driver.state.connections.size > 1) this.#violations.push(`the ${name} has two connections at the end`);
    }
    const has = [...this.#rib.routes].map(([prefix, { communities }]) => `${prefix} ${communities}`).sort();
    const should = [...this.#known.routes.values()]
      .map(
        ({ prefix, communities }) => `${formatPrefix(prefix)} ${communities.map((pair) => pair.join(':')).join(' ')}`,
      )
      .sort();
    if (has.join() !== should.join())
      this.#violations.push(`the router holds ${has.join(', ')} and should hold ${should.join(', ')}`);
  }
}
