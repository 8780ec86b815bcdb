/**
 * The controller and the speakers of the simulation: the production apps, in virtual processes, on a virtual API server and a virtual LAN.
 * @module
 */
import type { WallClock } from '../src/adapters/driver/clock.ts';
import type { ApiTransport } from '../src/adapters/kubernetes/transport.ts';
import { createLog, type Log } from '../src/adapters/log/log.ts';
import type { Metrics } from '../src/adapters/metrics/metrics.ts';
import type { Links } from '../src/adapters/wire/links.ts';
import type { FromWire } from '../src/adapters/wire/messages.ts';
import { ControllerApp } from '../src/apps/controller/controller-app.ts';
import { SpeakerApp } from '../src/apps/speaker/speaker-app.ts';
import type { Interface } from '../src/core/layer2/messages.ts';
import type { MacAddress } from '../src/core/net/mac.ts';
import { SPEAKER_DEFAULTS } from '../src/core/speaker/state.ts';
import { type VirtualApi, VirtualTransport } from './virtual-api.ts';
import type { VirtualLan } from './virtual-lan.ts';
import { VirtualProcess, type World } from './virtual-process.ts';
import { BGP_PORT } from './virtual-router.ts';
import type { VirtualHost } from './virtual-tcp.ts';
import { LINK, VirtualWire } from './virtual-wire.ts';

export interface Environment extends World {
  readonly api: VirtualApi;
  readonly lan: VirtualLan;
}

export const NAMESPACE = 'metallb-system';
/** Labels of the speakers' Pods. */
export const SPEAKER_LABELS = { component: 'speaker' };
/** Milliseconds between pings, and misses until death: the speaker's defaults. */
export const LIVENESS = { interval: 100, misses: 3 };
/** Milliseconds that an address stays after its pool has gone: the default. */
export const POOL_CHANGE_GRACE = 5000;
/** When virtual time begins, in milliseconds since 1970. */
const EPOCH = Date.parse('2026-01-01T00:00:00Z');

const SILENT = createLog('none', {});
/** Discards everything: a real registry would cost more than a whole run. */
const NO_METRICS = new Proxy({}, { get: () => () => {} }) as Metrics;

/** The MAC of the n-th node. */
export function macOf(index: number): MacAddress {
  return Uint8Array.of(2, 0, 0, 0, 0, index);
}

/** What both processes have in common. */
function common({ clock, random }: Environment, process: VirtualProcess, client: ApiTransport) {
  const wallClock: WallClock = () => EPOCH + clock.now();
  return {
    client,
    namespace: NAMESPACE,
    loadBalancerClass: '',
    poolChangeGrace: POOL_CHANGE_GRACE,
    log: SILENT,
    metrics: NO_METRICS,
    clock: process.main.clock,
    wallClock,
    random: () => random.next(),
  };
}

/** One of two controllers with leader election. */
export class ControllerProcess {
  readonly #env: Environment;
  readonly #process: VirtualProcess;
  readonly #app: ControllerApp;
  readonly #onEnd: () => void;
  /** Dies at its n-th write from now on: before it is sent, or right after. */
  #death: { writes: number; readonly sent: boolean } | undefined;
  #isEnding = false;
  #hasDecided = false;
  readonly identity: string;

  /** `onEnd` is called once, when the process has ended for whatever reason. */
  constructor(env: Environment, identity: string, onEnd: () => void) {
    this.#env = env;
    this.identity = identity;
    this.#onEnd = onEnd;
    this.#process = new VirtualProcess(env, identity);
    const heard = ({ event }: { readonly event?: string }) => {
      this.#hasDecided ||= event === 'configLoaded';
    };
    const transport = new VirtualTransport(env, this.#process, ({ method = 'GET', path }, send) => {
      const isWrite = method !== 'GET' && !path.includes('/leases');
      if (!isWrite || this.#death === undefined || --this.#death.writes > 0) {
        send();
        return;
      }
      if (this.#death.sent) send();
      this.kill();
    });
    this.#app = new ControllerApp({
      ...common(env, this.#process, transport),
      log: Object.create(SILENT, { info: { value: heard } }) as Log,
      host: identity,
      leaderElection: { namespace: NAMESPACE, identity, onStepDown: () => this.kill() },
    });
    this.#app.start();
  }

  get leads(): boolean {
    return this.#process.isRunning && this.#app.readiness.state.startsWith('leading');
  }

  /** It has led and seen everything at least once: only from then on it knows what Services have. */
  get hasDecided(): boolean {
    return this.#hasDecided;
  }

  kill(): void {
    if (!this.#process.isRunning) return;
    this.#process.kill();
    this.#onEnd();
  }

  /** Dies at its n-th write from now on. */
  dieAt(writes: number, sent: boolean): void {
    this.#death = { writes, sent };
  }

  /** SIGTERM. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#process.main.run('signal', () =>
      this.#app.stop(() => {
        this.#process.end();
        this.#env.clock.after(0, this.#onEnd);
      }),
    );
  }

  sleep(milliseconds: number): void {
    this.#process.sleep(milliseconds);
  }
}

export class SpeakerProcess {
  readonly name: string;
  readonly #env: Environment;
  readonly #process: VirtualProcess;
  readonly #app: SpeakerApp;
  readonly #host: VirtualHost;
  readonly #link: Interface;
  #wire: VirtualWire | undefined;
  #isLinkUp = true;
  #isHeldDown = false;
  #isEnding = false;

  /** `nodeAt` says whose an address is. */
  constructor(env: Environment, host: VirtualHost, index: number, nodeAt: (address: string) => string) {
    const { name, address } = host;
    this.name = name;
    this.#host = host;
    this.#env = env;
    this.#process = new VirtualProcess(env, name);
    this.#link = { name: 'eth0', index: LINK, mac: macOf(index), arp: true, ndp: true };
    const { ignoreExcludeLabel, drainOnCordon, drainWait, rules } = SPEAKER_DEFAULTS;
    const { clock } = env;
    this.#app = new SpeakerApp({
      ...common(env, this.#process, new VirtualTransport(env, this.#process)),
      ...{ ignoreExcludeLabel, drainOnCordon, drainWait, rules },
      node: name,
      liveness: {
        ...LIVENESS,
        self: name,
        incarnation: BigInt(Math.floor(clock.now())) + 1n,
        fenced: false,
        bindAddress: address,
        port: 7946,
        secrets: [],
        labelSelector: 'component=speaker',
      },
      excludeLinks: [],
      layer2: { refreshInterval: 0, probeBeforeUse: false, answerPing: false },
      bgp: { engine: 'native', listenPort: BGP_PORT, station: undefined },
      openWire: (options, onFact) => {
        const told = (fact: FromWire) => {
          if (fact.kind === 'liveness')
            this.#isHeldDown = fact.view.nodes.some(({ node, state }) => node === name && state === 'unsteady');
          onFact(fact);
        };
        this.#wire = new VirtualWire(env, this.#process, host, options, () => this.#links, nodeAt, told);
        return this.#wire;
      },
      network: host.start(this.#process),
    });
    env.lan.plug(name, this.#wire!);
    this.#app.start();
  }

  /** With the power of the node gone, its connections are not even closed. */
  kill(isPowerGone: boolean): void {
    this.#process.kill();
    if (isPowerGone) this.#host.powerOff();
    else this.#host.processGone();
  }

  /** SIGTERM: it stops deciding, says goodbye, and hands its addresses over; if it has not ended after `grace`, it is killed. */
  end(grace: number, onEnded: () => void): void {
    this.#isEnding = true;
    this.#process.main.run('signal', () =>
      this.#app.stop(() => {
        this.#process.end();
        this.#host.processGone();
        onEnded();
      }),
    );
    this.#env.clock.after(grace, () => {
      if (!this.#process.isRunning) return;
      this.kill(false);
      onEnded();
    });
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** It has come and gone too often lately, and says so itself: it owns only what no other can. */
  get isHeldDown(): boolean {
    return this.#isHeldDown;
  }

  sleep(milliseconds: number): void {
    if (!this.#isEnding) this.#process.sleep(milliseconds);
  }

  /** Its main thread alone stands still: layer 2, liveness and BFD go on. */
  stall(milliseconds: number): void {
    if (!this.#isEnding) this.#process.stall(milliseconds);
  }

  get #links(): Links {
    return { names: [this.#link.name], fit: this.#isLinkUp ? [this.#link] : [], gateways: [] };
  }

  /** The cable is pulled or put back. What is on its way at this moment is the LAN's business. */
  setLink(isUp: boolean): void {
    this.#isLinkUp = isUp;
    this.#wire!.linksChanged();
  }

  /** A client asks by ARP who has the address: does this node answer? */
  answers(address: string): boolean {
    return this.#wire!.answers(address);
  }

  /** The addresses that it believes it owns. */
  get owned(): readonly string[] {
    return this.#wire!.owned;
  }
}
