/**
 * The wire Worker of one speaker, with the virtual network for its sockets.
 * @module
 */

import type { BfdSessions } from '../src/adapters/wire/bfd-sessions.ts';
import type { Links } from '../src/adapters/wire/links.ts';
import type { FromWire, ToWire, WireOptions } from '../src/adapters/wire/messages.ts';
import type { WirePort } from '../src/adapters/wire/wire.ts';
import { WireMachines } from '../src/adapters/wire/wire-machines.ts';
import { encodeArp } from '../src/core/layer2/arp-codec.ts';
import { encodeMessage } from '../src/core/liveness/codec.ts';
import type { Message } from '../src/core/liveness/messages.ts';
import { type IpAddress, parseAddress } from '../src/core/net/address.ts';
import { BROADCAST_MAC, type MacAddress } from '../src/core/net/mac.ts';
import { bfdOn } from './virtual-bfd.ts';
import type { Station, VirtualLan } from './virtual-lan.ts';
import type { VirtualProcess, World } from './virtual-process.ts';
import type { VirtualHost } from './virtual-tcp.ts';

/** Index of the only link of every node. */
export const LINK = 2;

export class VirtualWire implements WirePort, Station {
  readonly #world: World;
  readonly #process: VirtualProcess;
  readonly #onFact: (fact: FromWire) => void;
  readonly #machines: WireMachines;
  readonly #bfd: BfdSessions;
  /** Collects its replies while `answers` asks; undefined: frames go onto the LAN. */
  #replies: Uint8Array[] | undefined;

  /** `readLinks` gives the links of the node as they are now; `nodeAt` says whose an address is. */
  constructor(
    world: World & { readonly lan: VirtualLan },
    process: VirtualProcess,
    host: VirtualHost,
    { layer2, liveness }: Omit<WireOptions, 'wakeFd'>,
    readLinks: () => Links,
    nodeAt: (address: string) => string,
    onFact: (fact: FromWire) => void,
  ) {
    this.#world = world;
    this.#process = process;
    this.#onFact = onFact;
    this.#bfd = bfdOn(host, process, (fact) => this.#report(fact));
    const { lan } = world;
    const { name } = process;
    this.#machines = new WireMachines(
      { layer2, liveness },
      {
        clock: process.wire.clock,
        readLinks,
        openLinks: (links) => links,
        sendFrame: ({ bytes }) => {
          if (this.#replies !== undefined) this.#replies.push(bytes);
          else if (process.touches('sends a frame')) lan.broadcast(name, bytes);
        },
        joinGroups: () => {},
        sendMessage: (message, to) => {
          // It throws on what cannot be said.
          encodeMessage(message);
          if (process.touches('sends a liveness message')) lan.send(name, nodeAt(to.address), message);
        },
        report: (fact) => this.#report(fact),
        onFault: (where, error) =>
          world.onBreach(`${name}: ${where} throws ${error instanceof Error ? error.stack : error}`),
      },
    );
  }

  /** Never: a thread of the simulation dies with its process only. */
  get failed(): Promise<never> {
    return new Promise(() => {});
  }

  send(message: ToWire): void {
    if (!this.#process.touches(`says ${message.kind} to the wire`)) return;
    this.#world.clock.after(0, () => this.#process.wire.run('messages', () => this.#take(message)));
  }

  stop(onStopped: () => void): void {
    this.#world.clock.after(0, () =>
      this.#process.wire.run('messages', () => {
        this.#machines.stop();
        this.#bfd.close();
        this.#world.clock.after(0, () => this.#process.main.run('wire', onStopped));
      }),
    );
  }

  messageReceived(message: Message): void {
    this.#process.wire.run('liveness', () => this.#machines.messageReceived(message));
  }

  frameReceived(bytes: Uint8Array): void {
    this.#process.wire.run('frames', () => this.#machines.frameReceived(LINK, bytes));
  }

  /** As netlink reports a change. */
  linksChanged(): void {
    this.#process.wire.run('netlink', () => this.#machines.linksChanged());
  }

  /** A client asks by ARP who has the address: does this node answer? */
  answers(address: string): boolean {
    if (this.#process.isAsleep || !this.#process.isRunning) return false;
    this.#replies = [];
    this.#machines.frameReceived(LINK, questionFor(address));
    const answered = this.#replies.length > 0;
    this.#replies = undefined;
    return answered;
  }

  /** The addresses that it believes it owns. */
  get owned(): readonly string[] {
    return this.#machines.owned;
  }

  #take(message: ToWire): void {
    if (message.kind === 'bfd') this.#bfd.set(message.targets);
    else if (message.kind !== 'discover' && message.kind !== 'secrets' && message.kind !== 'stop')
      this.#machines.take(message);
  }

  #report(fact: FromWire): void {
    if (!this.#process.touches(`reports ${fact.kind}`)) return;
    this.#world.clock.after(0, () => this.#process.main.run('wire', () => this.#onFact(fact)));
  }
}

const questions = new Map<string, Uint8Array>();

/** Cached across runs: the question is asked thousands of times. */
function questionFor(address: string): Uint8Array {
  const known = questions.get(address) ?? question(address);
  questions.set(address, known);
  return known;
}

function question(address: string): Uint8Array {
  const client = Uint8Array.of(2, 0, 0, 0, 1, 0);
  const ip = (text: string): IpAddress => parseAddress(text)!;
  return encodeArp({
    destination: BROADCAST_MAC,
    source: client,
    operation: 'request',
    senderMac: client,
    senderAddress: ip('192.0.2.254'),
    targetMac: new Uint8Array(6),
    targetAddress: ip(address),
  });
}

/** An ARP reply, to everybody: the address is that station's. */
export function claimBy(mac: MacAddress, address: string): Uint8Array {
  const claimed = parseAddress(address)!;
  return encodeArp({
    destination: BROADCAST_MAC,
    source: mac,
    operation: 'reply',
    senderMac: mac,
    senderAddress: claimed,
    targetMac: BROADCAST_MAC,
    targetAddress: claimed,
  });
}
