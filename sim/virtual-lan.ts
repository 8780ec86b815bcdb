/**
 * The network between the nodes: it delays, loses liveness messages, and can be cut.
 * @module
 */
import type { Message } from '../src/core/liveness/messages.ts';
import type { VirtualClock } from './clock.ts';
import type { Random } from './random.ts';

/** A node's end of it. */
export interface Station {
  messageReceived(message: Message): void;
  frameReceived(bytes: Uint8Array): void;
}

export class VirtualLan {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  /** Share of liveness messages that get lost, 0 to 1. */
  readonly #loss: number;
  readonly #stations = new Map<string, Station>();
  /** The last message of each node, as a member with the key could have it. */
  readonly overheard = new Map<string, Message>();
  /** Messages that are dropped now. */
  readonly #cuts = new Set<(from: string, to: string) => boolean>();

  constructor(clock: VirtualClock, random: Random, loss: number) {
    this.#clock = clock;
    this.#random = random;
    this.#loss = loss;
  }

  /** Takes the place of the station that was there. */
  plug(node: string, station: Station): void {
    this.#stations.set(node, station);
  }

  unplug(node: string): void {
    this.#stations.delete(node);
  }

  send(from: string, to: string, message: Message): void {
    this.overheard.set(from, message);
    this.inject(from, to, message);
  }

  /** Sends what the node has not said itself. */
  inject(from: string, to: string, message: Message): void {
    if (this.#random.chance(this.#loss) || this.isCut(from, to)) return;
    this.#clock.after(this.#random.between(0, 3), () => this.#stations.get(to)?.messageReceived(message));
  }

  broadcast(from: string, bytes: Uint8Array): void {
    this.#clock.after(this.#random.between(0, 2), () => {
      for (const [to, station] of this.#stations)
        if (to !== from && !this.isCut(from, to)) station.frameReceived(bytes);
    });
  }

  /** For so many milliseconds nothing gets through where `cuts` says so. */
  cut(milliseconds: number, cuts: (from: string, to: string) => boolean): void {
    this.#cuts.add(cuts);
    this.#clock.after(milliseconds, () => this.#cuts.delete(cuts));
  }

  /** Nothing gets through now. */
  isCut(from: string, to: string): boolean {
    for (const cuts of this.#cuts) if (cuts(from, to)) return true;
    return false;
  }
}
