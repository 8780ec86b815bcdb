/**
 * The controller and the speakers of the simulation: the real machines, wired to the virtual API and the virtual LAN.
 * @module
 */
import { createHash } from 'node:crypto';
import type { KubernetesObject, Service } from '../src/core/api/kubernetes.ts';
import { controllerMachine } from '../src/core/controller/fsm.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  type ControllerState,
  initialController,
} from '../src/core/controller/state.ts';
import {
  holdsLease,
  initialLeadership,
  type LeadershipInput,
  type LeadershipOutput,
  type LeadershipState,
  leadershipMachine,
} from '../src/core/kubernetes/leadership/fsm.ts';
import type { LeaseRecord } from '../src/core/kubernetes/leadership/messages.ts';
import { encodeArp } from '../src/core/layer2/arp-codec.ts';
import { layer2Machine } from '../src/core/layer2/fsm.ts';
import type { Interface } from '../src/core/layer2/messages.ts';
import { initialLayer2, type Layer2Input, type Layer2Output, type Layer2State } from '../src/core/layer2/state.ts';
import { type LivenessInput, livenessMachine } from '../src/core/liveness/fsm.ts';
import type { Message } from '../src/core/liveness/messages.ts';
import { initialLiveness, type LivenessOutput, type LivenessState } from '../src/core/liveness/state.ts';
import { livenessView } from '../src/core/liveness/view.ts';
import { type IpAddress, parseAddress } from '../src/core/net/address.ts';
import { BROADCAST_MAC, formatMac } from '../src/core/net/mac.ts';
import { ALLOCATED_CONDITION, withCondition } from '../src/core/reasons/conditions.ts';
import { speakerMachine } from '../src/core/speaker/fsm.ts';
import {
  initialSpeaker,
  SPEAKER_DEFAULTS,
  SPEAKER_RESOURCES,
  type SpeakerInput,
  type SpeakerOutput,
  type SpeakerState,
} from '../src/core/speaker/state.ts';
import { type Gate, type VirtualClock, VirtualDriver } from './clock.ts';
import type { Random } from './random.ts';
import { type VirtualApi, VirtualReflector } from './virtual-api.ts';

export interface Environment {
  readonly api: VirtualApi;
  readonly clock: VirtualClock;
  readonly random: Random;
}

interface SimLease extends KubernetesObject {
  readonly spec: { readonly holder: string; readonly transitions: number };
}

const LEASE = { name: 'metallb-controller', namespace: 'metallb-system' };
const LEASE_KEY = `${LEASE.namespace}/${LEASE.name}`;

type Sleep = Record<'work' | 'leadership', (() => void)[]>;

/** One of two controllers with leader election, wired as the controller process is. */
export class SimController {
  readonly #env: Environment;
  readonly #driver: VirtualDriver<ControllerState, ControllerInput, ControllerOutput>;
  readonly #leadership: VirtualDriver<LeadershipState, LeadershipInput, LeadershipOutput>;
  readonly #reflectors: ReadonlyMap<string, VirtualReflector>;
  readonly #onEnd: () => void;
  #state: 'running' | 'ending' | 'dead' = 'running';
  /** What has to wait while the process sleeps; of both kinds each keeps its order. */
  #sleeping: Sleep | undefined;
  #writesUnderWay = 0;
  /** Dies at this one of its writes from now on: before it is sent, or right after. */
  #death: { writes: number; readonly sent: boolean } | undefined;

  /** `onEnd` is called once, when the process has ended for whatever reason. */
  constructor(env: Environment, identity: string, onEnd: () => void) {
    this.#env = env;
    this.#onEnd = onEnd;
    const { api, clock, random } = env;
    const gate: Gate = (run) => this.#run('work', run);
    const initial = initialController({ loadBalancerClass: '', standby: true });
    this.#driver = new VirtualDriver(controllerMachine, initial, clock, (output) => this.#perform(output), gate);
    this.#leadership = new VirtualDriver(
      leadershipMachine,
      initialLeadership(identity),
      clock,
      (output) => this.#performLeadership(output),
      (run) => this.#run('leadership', run),
    );
    this.#reflectors = new Map(
      CONTROLLER_RESOURCES.map((resource) => {
        const feed = (change: Parameters<ConstructorParameters<typeof VirtualReflector>[4]>[0]) =>
          this.#driver.feed({ ...change, resource });
        return [resource, new VirtualReflector(api, clock, random, resource, feed, gate)] as const;
      }),
    );
    for (const reflector of this.#reflectors.values()) reflector.start();
    this.#leadership.feed({ kind: 'start' });
  }

  get leads(): boolean {
    return this.#state === 'running' && this.#leadership.state.role === 'leading';
  }

  kill(): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#stop();
    this.#leadership.stop();
    this.#onEnd();
  }

  /** Dies at its n-th write from now on. */
  dieAt(writes: number, sent: boolean): void {
    this.#death = { writes, sent };
  }

  /** SIGTERM: what was sent is waited for, then the Lease is given back. */
  end(): void {
    if (this.#state !== 'running') return;
    this.#state = 'ending';
    this.#stop();
    this.#resignWhenQuiet();
  }

  /** The whole process stands still, as under SIGSTOP or a long garbage collection. */
  sleep(milliseconds: number): void {
    if (this.#state !== 'running' || this.#sleeping !== undefined) return;
    const { clock, random } = this.#env;
    const waiting: Sleep = { work: [], leadership: [] };
    this.#sleeping = waiting;
    clock.after(milliseconds, () => {
      this.#sleeping = undefined;
      // Nothing says which timer or socket an event loop turns to first when it wakes.
      const [first, then] = random.chance(0.5)
        ? [waiting.work, waiting.leadership]
        : [waiting.leadership, waiting.work];
      for (const run of [...first, ...then]) if (this.#state !== 'dead') run();
    });
  }

  #run(kind: 'work' | 'leadership', run: () => void): void {
    if (this.#sleeping === undefined) run();
    else this.#sleeping[kind].push(run);
  }

  #stop(): void {
    this.#driver.stop();
    for (const reflector of this.#reflectors.values()) reflector.stop();
  }

  #resignWhenQuiet(): void {
    if (this.#state !== 'ending' || this.#writesUnderWay > 0) return;
    this.#leadership.feed({ kind: 'resign' });
    this.#env.clock.after(50, () => this.kill());
  }

  #perform(output: ControllerOutput): void {
    if (output.kind === 'relist') this.#reflectors.get(output.resource)!.relist();
    if (output.kind !== 'write-service' && output.kind !== 'write-status') return;
    const { api, clock } = this.#env;
    if (!holdsLease(this.#leadership.state, clock.now)) return;
    if (this.#death !== undefined && --this.#death.writes <= 0 && !this.#death.sent) {
      clock.after(0, () => this.kill());
      return;
    }
    const resource = output.kind === 'write-service' ? 'services' : output.resource;
    const resourceVersion = output.kind === 'write-service' ? output.resourceVersion : undefined;
    const change =
      output.kind === 'write-service'
        ? (object: KubernetesObject) => withAddresses(object, output)
        : (object: KubernetesObject) => ({ ...object, status: output.usage });
    this.#writesUnderWay++;
    this.#request(
      'work',
      () => api.update(resource, output.key, resourceVersion, change),
      (result) => {
        this.#writesUnderWay--;
        this.#resignWhenQuiet();
        this.#driver.feed(
          result.ok
            ? { kind: 'written', resource, object: result.object }
            : { kind: 'write-failed', resource, key: output.key, status: result.status, message: '' },
        );
      },
    );
    if (this.#death !== undefined && this.#death.writes <= 0) clock.after(0, () => this.kill());
  }

  #performLeadership(output: LeadershipOutput): void {
    const { api } = this.#env;
    const failed = { kind: 'request-failed', message: '' } as const;
    switch (output.kind) {
      case 'lead':
        this.#driver.feed({ kind: 'lead' });
        return;
      case 'step-down':
        this.kill();
        return;
      case 'read-lease':
        this.#request(
          'leadership',
          () => (api.isUp ? { lease: api.get('leases', LEASE_KEY) as SimLease | undefined } : undefined),
          (answer) =>
            this.#leadership.feed(
              answer === undefined ? failed : { kind: 'lease-read', record: answer.lease && toRecord(answer.lease) },
            ),
        );
        return;
      case 'write-lease': {
        const { holder, transitions, version } = output;
        const lease: SimLease = { metadata: LEASE, spec: { holder, transitions } };
        this.#request(
          'leadership',
          () =>
            version === undefined ? api.create('leases', lease) : api.update('leases', LEASE_KEY, version, () => lease),
          (result) =>
            this.#leadership.feed(
              result.ok ? { kind: 'lease-written', record: toRecord(result.object as SimLease) } : failed,
            ),
        );
      }
    }
  }

  /** Sends a request and takes the answer in. A killed process may still have had its request on the way. */
  #request<T>(kind: 'work' | 'leadership', act: () => T, onAnswer: (answer: T) => void): void {
    const { clock, random } = this.#env;
    clock.after(random.between(1, 15), () => {
      const answer = act();
      clock.after(random.between(1, 15), () => {
        this.#run(kind, () => {
          if (this.#state !== 'dead') onAnswer(answer);
        });
      });
    });
  }
}

function toRecord({ metadata, spec }: SimLease): LeaseRecord {
  return { ...spec, version: metadata.resourceVersion ?? '' };
}

function withAddresses(
  object: KubernetesObject,
  output: Extract<ControllerOutput, { kind: 'write-service' }>,
): KubernetesObject {
  const annotations = { ...object.metadata.annotations } as Record<string, string>;
  for (const [key, value] of Object.entries(output.annotations)) {
    if (value === null) delete annotations[key];
    else annotations[key] = value;
  }
  const service: Service = {
    ...object,
    metadata: { ...object.metadata, annotations },
    status: {
      loadBalancer: { ingress: output.addresses.map((ip) => ({ ip })) },
      conditions: withCondition(output.conditions, ALLOCATED_CONDITION, output.condition, '1970-01-01T00:00:00Z'),
    },
  };
  return service;
}

/** Milliseconds between pings, and misses until death, as the speaker has them by default. */
export const LIVENESS = { interval: 100, misses: 3 };

const sha256 = (text: string) => createHash('sha256').update(text).digest();

export class SimSpeaker {
  readonly name: string;
  readonly #speaker: VirtualDriver<SpeakerState, SpeakerInput, SpeakerOutput>;
  readonly #layer2: VirtualDriver<Layer2State, Layer2Input, Layer2Output>;
  readonly #liveness: VirtualDriver<LivenessState, LivenessInput, LivenessOutput>;
  readonly #reflectors: readonly VirtualReflector[];
  readonly #link: Interface;
  /** What it sends while it is being asked something; undefined: nobody asks, frames go onto the LAN. */
  #replies: Uint8Array[] | undefined;
  #ending = false;
  #sleeping: (() => void)[] | undefined;
  readonly #clock: VirtualClock;

  /** `send` puts a liveness message on the LAN, `broadcast` a frame. */
  constructor(
    { api, clock, random }: Environment,
    name: string,
    index: number,
    send: (message: Message, to: string) => void,
    broadcast: (bytes: Uint8Array) => void,
  ) {
    const gate = this.#run;
    this.name = name;
    this.#clock = clock;
    this.#link = { name: 'eth0', index: 2, mac: Uint8Array.of(2, 0, 0, 0, 0, index), arp: true, ndp: true };
    const layer2Settings = { refreshInterval: 0, probeBeforeUse: false, answerPing: false };
    const performLayer2 = (output: Layer2Output) => {
      if (output.kind !== 'send') return;
      if (this.#replies === undefined) broadcast(output.bytes);
      else this.#replies.push(output.bytes);
    };
    this.#layer2 = new VirtualDriver(layer2Machine, initialLayer2(layer2Settings), clock, performLayer2, gate);
    const settings = { self: name, incarnation: BigInt(clock.now) + 1n, fenced: false, ...LIVENESS };
    const performLiveness = (output: LivenessOutput) => {
      if (output.kind === 'send-message') send(output.message, output.to.address);
      if (output.kind === 'view-changed') clock.after(0, () => this.#run(() => this.#tellView()));
    };
    this.#liveness = new VirtualDriver(livenessMachine, initialLiveness(settings), clock, performLiveness, gate);
    const speakerSettings = {
      node: name,
      ...SPEAKER_DEFAULTS,
      liveness: true,
    };
    const perform = (output: SpeakerOutput) => {
      if (output.kind === 'announce') this.#layer2.feed(output);
      if (output.kind === 'members') this.#liveness.feed(output);
      if (output.kind === 'configuration')
        clock.after(0, () => this.#run(() => this.#liveness.feed({ kind: 'ready' })));
    };
    this.#speaker = new VirtualDriver(speakerMachine(sha256), initialSpeaker(speakerSettings), clock, perform, gate);
    this.#reflectors = SPEAKER_RESOURCES.map(
      (resource) =>
        new VirtualReflector(
          api,
          clock,
          random,
          resource,
          (change) => this.#speaker.feed({ ...change, resource }),
          gate,
        ),
    );
    this.#liveness.feed({ kind: 'start' });
    this.setLink(true);
    for (const reflector of this.#reflectors) reflector.start();
  }

  kill(): void {
    for (const driver of [this.#speaker, this.#layer2, this.#liveness]) driver.stop();
    for (const reflector of this.#reflectors) reflector.stop();
  }

  /** SIGTERM: it decides nothing any more, says goodbye, and hands its addresses over. */
  end(): void {
    this.#ending = true;
    this.#speaker.stop();
    for (const reflector of this.#reflectors) reflector.stop();
    this.#liveness.feed({ kind: 'leave' });
    this.#layer2.feed({ kind: 'leave' });
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** A frame of another station. */
  see(bytes: Uint8Array): void {
    this.#run(() => this.#layer2.feed({ kind: 'frame-received', interface: 2, bytes }));
  }

  hear(message: Message): void {
    this.#run(() => this.#liveness.feed({ kind: 'received', message }));
  }

  #tellView(): void {
    const view = livenessView(this.#liveness.state);
    const macs = view.nodes.flatMap(({ node, links }) =>
      node === this.name ? [] : (links ?? []).map(({ mac }) => formatMac(mac)),
    );
    this.#layer2.feed({ kind: 'siblings', macs: new Set(macs) });
    this.#speaker.feed({ kind: 'liveness', view });
  }

  /** The whole process stands still, as under SIGSTOP or a long garbage collection; what comes in meanwhile waits. */
  sleep(milliseconds: number): void {
    if (this.#sleeping !== undefined || this.#ending) return;
    const waiting: (() => void)[] = [];
    this.#sleeping = waiting;
    this.#clock.after(milliseconds, () => {
      this.#sleeping = undefined;
      for (const run of waiting) run();
    });
  }

  /** The cable is pulled or put back. What is on its way at this moment is the LAN's business. */
  setLink(isUp: boolean): void {
    const links = isUp ? [this.#link] : [];
    this.#run(() => {
      this.#layer2.feed({ kind: 'interfaces', interfaces: links });
      this.#liveness.feed({ kind: 'links', links });
      this.#speaker.feed({ kind: 'links', names: ['eth0'], fit: links.map(({ name }) => name) });
    });
  }

  readonly #run: Gate = (run) => {
    if (this.#sleeping === undefined) run();
    else this.#sleeping.push(run);
  };

  /** A client asks by ARP who has the address: does this node answer? */
  answers(address: string): boolean {
    if (this.#sleeping !== undefined) return false;
    this.#replies = [];
    this.#layer2.feed({ kind: 'frame-received', interface: 2, bytes: question(address) });
    const answered = this.#replies.length > 0;
    this.#replies = undefined;
    return answered;
  }

  /** The addresses that it holds itself the owner of. */
  get announced(): string[] {
    return [...this.#layer2.state.owned.keys()];
  }
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
