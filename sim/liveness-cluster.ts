/**
 * Speakers without anything but their liveness, on a virtual clock and a virtual network with faults: up to thousands of them.
 * @module
 */
import { encodeMessage } from '../src/core/liveness/codec.ts';
import { type LivenessInput, livenessMachine } from '../src/core/liveness/fsm.ts';
import type { Message, NodeState } from '../src/core/liveness/messages.ts';
import {
  initialLiveness,
  type LivenessOutput,
  type LivenessSettings,
  type LivenessState,
} from '../src/core/liveness/state.ts';
import { livenessView } from '../src/core/liveness/view.ts';
import type { Tick } from '../src/core/machine.ts';
import { VirtualClock } from './clock.ts';
import { Random } from './random.ts';

export interface ClusterOptions {
  readonly size: number;
  readonly seed?: number;
  /** Share of datagrams that get lost, 0 to 1. */
  readonly loss?: number;
  readonly fenced?: boolean;
}

interface Process {
  state: LivenessState;
  /** Deadline for which a tick is planned. */
  armedFor: number;
  /** What waits while it stands still. */
  asleep: (() => void)[] | undefined;
}

/** One change of one speaker's view. */
export interface Change {
  readonly at: number;
  readonly by: string;
  readonly node: string;
  readonly state: NodeState | 'forgotten';
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
  /** True: nothing gets from the one to the other. */
  cut: (from: string, to: string) => boolean = () => false;
  readonly #fenced: boolean;
  readonly #processes = new Map<string, Process>();

  constructor({ size, seed = 1, loss = 0, fenced = false }: ClusterOptions) {
    this.random = new Random(seed);
    this.loss = loss;
    this.#fenced = fenced;
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
      incarnation: BigInt(Math.round(this.clock.now)) + 1n,
      interval: INTERVAL,
      misses: 3,
      fenced: this.#fenced,
      ...settings,
    });
    this.#processes.set(name, { state, armedFor: Number.POSITIVE_INFINITY, asleep: undefined });
    this.feed(name, { kind: 'start' });
    const members = this.names.map((node) => ({ node, address: node }));
    this.feed(name, { kind: 'members', members });
    this.feed(name, { kind: 'ready' });
  }

  kill(name: string): void {
    this.#processes.delete(name);
  }

  /** It stands still, as under SIGSTOP or a long garbage collection; then it takes in what has come meanwhile. */
  sleep(name: string, milliseconds: number): void {
    const process = this.#processes.get(name);
    if (process === undefined || process.asleep !== undefined) return;
    process.asleep = [];
    this.clock.after(milliseconds, () => {
      const waiting = process.asleep ?? [];
      process.asleep = undefined;
      for (const run of waiting) run();
      if (this.#processes.get(name) === process) this.feed(name, { kind: 'tick' });
    });
  }

  run(milliseconds: number): void {
    this.clock.runUntil(this.clock.now + milliseconds, () => {});
  }

  feed(name: string, input: LivenessInput | Tick): void {
    const process = this.#processes.get(name);
    if (process === undefined) return;
    if (process.asleep !== undefined) {
      if (input.kind === 'received') process.asleep.push(() => this.feed(name, input));
      return;
    }
    const { outputs } = livenessMachine.step(process.state, input, this.clock.now);
    for (const output of outputs) this.#perform(name, output);
    this.#arm(name, process);
  }

  get running(): string[] {
    return [...this.#processes.keys()];
  }

  state(name: string): LivenessState {
    return this.#processes.get(name)!.state;
  }

  /** What each running speaker makes of a node; its own view left out. */
  opinions(about: string): NodeState[] {
    return this.running
      .filter((name) => name !== about)
      .map((name) => this.#processes.get(name)!.state.peers.get(about)!.reported);
  }

  hasQuorum(name: string): boolean {
    return livenessView(this.state(name)).quorum;
  }

  #arm(name: string, process: Process): void {
    const at = livenessMachine.nextDeadline(process.state)?.at;
    if (at === undefined || at >= process.armedFor) return;
    process.armedFor = at;
    this.clock.after(at - this.clock.now, () => {
      if (process.armedFor !== at || this.#processes.get(name) !== process) return;
      process.armedFor = Number.POSITIVE_INFINITY;
      this.feed(name, { kind: 'tick' });
    });
  }

  #perform(name: string, output: LivenessOutput): void {
    if (output.kind === 'node-changed')
      this.changes.push({ at: this.clock.now, by: name, node: output.node, state: output.state });
    if (output.kind === 'send-message') this.#deliver(name, output.message, output.to.node);
  }

  #deliver(name: string, message: Message, to: string): void {
    this.sent++;
    if (this.weigh) this.bytes += encodeMessage(message).length;
    if (this.random.chance(this.loss) || this.cut(name, to)) return;
    this.clock.after(this.random.next() * 2, () => this.feed(to, { kind: 'received', message }));
  }
}
