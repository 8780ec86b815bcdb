/**
 * Up to thousands of speakers reduced to their liveness, on a virtual clock and a virtual network with faults.
 * @module
 */
import { Driver } from '../src/adapters/driver/driver.ts';
import type { SpeakerHealth } from '../src/core/election/election.ts';
import { encodeMessage } from '../src/core/liveness/codec.ts';
import { type LivenessInput, livenessMachine } from '../src/core/liveness/fsm.ts';
import type { Message } from '../src/core/liveness/messages.ts';
import {
  initialLiveness,
  type LivenessOutput,
  type LivenessSettings,
  type LivenessState,
} from '../src/core/liveness/state.ts';
import { livenessView } from '../src/core/liveness/view.ts';
import { VirtualClock } from './clock.ts';
import { Random } from './random.ts';
import { VirtualProcess, type World } from './virtual-process.ts';

export interface ClusterOptions {
  readonly size: number;
  readonly seed?: number;
  /** Share of datagrams that get lost, 0 to 1. */
  readonly loss?: number;
  readonly fenced?: boolean;
}

interface Speaker {
  readonly process: VirtualProcess;
  readonly driver: Driver<LivenessState, LivenessInput, LivenessOutput>;
}

/** One change of one speaker's view. */
export interface Change {
  readonly at: number;
  readonly by: string;
  readonly node: string;
  readonly state: SpeakerHealth | 'forgotten';
}

export const INTERVAL = 100;

export class LivenessCluster {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly names: readonly string[];
  readonly changes: Change[] = [];
  /** Datagrams sent, and their bytes where `weigh` asks for them. */
  sent = 0;
  bytes = 0;
  weigh = false;
  loss: number;
  /** What somebody on the LAN has recorded, where it is asked for. */
  recorded: { readonly to: string; readonly message: Message }[] | undefined;
  /** True: no datagram gets from one to the other. */
  cut: (from: string, to: string) => boolean = () => false;
  readonly #fenced: boolean;
  readonly #speakers = new Map<string, Speaker>();
  readonly #world: World;

  constructor({ size, seed = 1, loss = 0, fenced = false }: ClusterOptions) {
    this.random = new Random(seed);
    this.loss = loss;
    this.#fenced = fenced;
    const onBreach = (text: string) => {
      throw new Error(text);
    };
    this.#world = { clock: this.clock, random: this.random, onBreach };
    this.names = Array.from({ length: size }, (_, i) => `node-${i + 1}`);
  }

  /** All of them, within an interval, and until they have settled. */
  startAll(): this {
    for (const name of this.names) this.clock.after(this.random.between(0, INTERVAL - 1), () => this.start(name));
    this.run(2500);
    this.changes.length = 0;
    return this;
  }

  start(name: string, settings: Partial<LivenessSettings> = {}): void {
    const state = initialLiveness({
      self: name,
      incarnation: BigInt(Math.round(this.clock.now())) + 1n,
      interval: INTERVAL,
      misses: 3,
      fenced: this.#fenced,
      ...settings,
    });
    const process = new VirtualProcess(this.#world, name);
    const driver = new Driver(livenessMachine, state, {
      clock: process.wire.clock,
      perform: (output) => this.#perform(name, output),
    });
    this.#speakers.set(name, { process, driver });
    this.feed(name, { kind: 'start' });
    const members = this.names.map((node) => ({ node, address: node }));
    this.feed(name, { kind: 'members', members });
    this.feed(name, { kind: 'ready' });
  }

  kill(name: string): void {
    this.#speakers.get(name)?.process.kill();
    this.#speakers.delete(name);
  }

  /** It stalls, as under SIGSTOP or a long garbage collection; then it handles what has arrived in the meantime. */
  sleep(name: string, milliseconds: number): void {
    this.#speakers.get(name)?.process.sleep(milliseconds);
  }

  run(milliseconds: number): void {
    this.clock.runUntil(this.clock.now() + milliseconds, () => {});
  }

  feed(name: string, input: LivenessInput): void {
    const speaker = this.#speakers.get(name);
    speaker?.process.wire.run('sockets', () => speaker.driver.feed(input));
  }

  get running(): string[] {
    return [...this.#speakers.keys()];
  }

  state(name: string): LivenessState {
    return this.#speakers.get(name)!.driver.state;
  }

  /** How each running speaker sees a node, except the node itself. */
  opinions(about: string): SpeakerHealth[] {
    return this.running.filter((name) => name !== about).map((name) => this.state(name).peers.get(about)!.reported);
  }

  hasQuorum(name: string): boolean {
    return livenessView(this.state(name)).quorum;
  }

  #perform(name: string, output: LivenessOutput): void {
    if (output.kind === 'node-changed')
      this.changes.push({ at: this.clock.now(), by: name, node: output.node, state: output.state });
    if (output.kind === 'send-message') this.#deliver(name, output.message, output.to.node);
  }

  #deliver(name: string, message: Message, to: string): void {
    this.sent++;
    this.recorded?.push({ to, message });
    if (this.weigh) this.bytes += encodeMessage(message).length;
    if (this.random.chance(this.loss) || this.cut(name, to)) return;
    this.clock.after(this.random.next() * 2, () => this.feed(to, { kind: 'received', message }));
  }
}
