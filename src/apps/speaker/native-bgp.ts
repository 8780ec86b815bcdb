/**
 * BGP in this process: sessions, BFD, router discovery, and everything that is told of them.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SESSION, SpeakerStatus, type SpeakerStatusOptions } from '../../adapters/kubernetes/speaker-status.ts';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import type { Log } from '../../adapters/log/log.ts';
import type { Metrics } from '../../adapters/metrics/metrics.ts';
import type { FromWire, ToWire } from '../../adapters/wire/messages.ts';
import type { BGPSessionStatus } from '../../core/api/kinds.ts';
import { listen, listenAgain, NO_SILENCE } from '../../core/bgp/session/silence.ts';
import { established, type SessionPhase } from '../../core/bgp/session/state.ts';
import type { Capability } from '../../core/bgp/wire/messages.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import { formatAddress, parseAddress } from '../../core/net/address.ts';
import type { MacAddress } from '../../core/net/mac.ts';
import type { BgpOutput, SilentPeer } from '../../core/speaker/state.ts';
import { bfdTarget } from './bfd-target.ts';
import type { BgpBackend } from './bgp-backend.ts';
import { type BgpSession, labelOf, type SessionNews, whereabouts } from './bgp-session.ts';
import { BgpSessions, type SessionPlan } from './bgp-sessions.ts';
import { BmpExporter, type Station } from './bmp-exporter.ts';

export interface NativeBgpOptions {
  readonly node: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly status: SpeakerStatusOptions;
  readonly toWire: (message: ToWire) => void;
  /** 0: routers may not connect to us. */
  readonly listenPort: number;
  /** Undefined: nobody watches. */
  readonly station: Station | undefined;
  /** The whole of the BGPPeers that there has been no session with for a while; `isAll`: there is none at all. */
  readonly onSilence: (peers: readonly SilentPeer[], isAll: boolean) => void;
}

/** Milliseconds from a change until the status objects are looked at: several changes often come together. */
const STATUS_PAUSE = 200;
/** The same where only the number of routes has changed, which every Service does to every speaker. */
const COUNT_PAUSE = 3000;
/** Milliseconds between two lines that say the same of a router that cannot be reached. */
const REPEAT = 60_000;
/** Milliseconds from the end of sessions whose routes are kept until the end of BFD. */
const BFD_GRACE = 300;
/** Of BFD packets in milliseconds, below which a busy node is likely to take a router for dead. */
const HASTY = 50;

export class NativeBgp implements BgpBackend {
  readonly #options: NativeBgpOptions;
  readonly #sessions: BgpSessions;
  readonly #statuses: SpeakerStatus<Omit<BGPSessionStatus, 'node' | 'peer'>>;
  readonly #exporter: BmpExporter | undefined;
  #plans: readonly SessionPlan[] = [];
  #links: readonly Interface[] = [];
  /** By BGPPeer. */
  readonly #bfd = new Map<string, boolean>();
  /** By BGPPeer: when the session was established or lost, on its own clock and as everybody's time. */
  readonly #since = new Map<string, { readonly at: number; readonly text: string }>();
  readonly #told = new Set<string>();
  /** By BGPPeer: why there was no session when it was last said. */
  readonly #failures = new Map<string, { readonly why: string; readonly at: number }>();
  #silence = NO_SILENCE;
  #isUnheard = false;
  #silenceTimer: NodeJS.Timeout | undefined;
  #statusTimer: NodeJS.Timeout | undefined;
  #statusAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: NativeBgpOptions) {
    this.#options = options;
    const { node, log, metrics, listenPort, station, status } = options;
    this.#sessions = new BgpSessions({
      node,
      listenPort,
      onNews: (session, news) => this.#onNews(session, news),
      onListenFailed: (why) =>
        log.error(
          { event: 'bgpListenFailed', port: listenPort, error: why },
          `routers cannot connect to port ${listenPort}: ${why}; another BGP (a CNI’s) may have it, or the capability NET_BIND_SERVICE is missing: choose another --bgp-listen-port`,
        ),
      onRemoved: (peer) => metrics.bgpForget(labelOf(peer), whereabouts(peer)),
    });
    this.#statuses = new SpeakerStatus(SESSION, status);
    this.#exporter = station && new BmpExporter(station, node, log, () => this.#sessions.all);
    metrics.beforeScrape(() => {
      for (const { peer, state } of this.#sessions.all)
        metrics.bgpSession(labelOf(peer), established(state) !== undefined, state.sent.size, state.wanted.size);
    });
  }

  set({ plans }: BgpOutput): void {
    this.#plans = plans;
    this.#sessions.set(plans);
    this.#watch();
    this.#warn();
    this.#listen();
    this.#tell(COUNT_PAUSE);
  }

  links(links: readonly Interface[]): void {
    this.#links = links;
    this.#watch();
  }

  sweep(): void {
    this.#statuses.sweep();
  }

  drain(): boolean {
    return this.#sessions.drain();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#statusTimer);
    clearTimeout(this.#silenceTimer);
    const areHeld = this.#sessions.stop('the speaker is being stopped');
    this.#exporter?.stop();
    // FRR takes even a goodbye of BFD for a failure, and drops what it was to keep, unless it has noticed before that the session is gone.
    if (areHeld) await sleep(BFD_GRACE);
    this.#options.toWire({ kind: 'bfd', targets: [] });
    await this.#statuses.stop();
  }

  onFact(fact: Extract<FromWire, { kind: 'bfd-changed' | 'bfd-counts' | 'router-found' }>): void {
    const { log, metrics } = this.#options;
    switch (fact.kind) {
      case 'bfd-changed': {
        const { peer, up, why, administrative } = fact;
        const session = this.#sessions.get(peer);
        this.#bfd.set(peer, up);
        if (session !== undefined) metrics.bfdSession(whereabouts(session.peer), up);
        log[up ? 'info' : 'warn'](
          { event: 'bfd', peer, up, error: why },
          up ? `BFD with ${peer} is up` : `BFD with ${peer}: ${why}`,
        );
        if (!up && administrative !== true) session?.feed({ kind: 'bfd-down' });
        this.#tell();
        return;
      }
      case 'bfd-counts':
        for (const { peer, counter, by } of fact.counts) {
          const session = this.#sessions.get(peer);
          if (session !== undefined) metrics.bfdCounted(whereabouts(session.peer), counter, by);
        }
        return;
      case 'router-found': {
        const address = parseAddress(fact.address)!;
        log.info(
          { event: 'routerFound', interface: fact.interface, address: fact.address },
          `the router on ${fact.interface} is ${fact.address}`,
        );
        this.#sessions.routerFound(fact.interface, address);
        this.#watch();
      }
    }
  }

  /** Tells the wire whom BFD is to watch, and where to look for routers. */
  #watch(): void {
    if (this.#stopped) return;
    const targets = this.#plans.flatMap((plan) => bfdTarget(plan, this.#sessions.get(plan.peer.name)?.found));
    this.#options.toWire({ kind: 'bfd', targets });
    const watched = new Set(targets.map(({ peer }) => peer));
    for (const peer of this.#bfd.keys()) if (!watched.has(peer)) this.#bfd.delete(peer);
    const wanted = this.#plans.flatMap(({ peer: { target } }) => (target.kind === 'interface' ? target.name : []));
    const interfaces = new Map<string, MacAddress>();
    for (const { name, mac } of this.#links) if (wanted.includes(name)) interfaces.set(name, mac);
    this.#options.toWire({ kind: 'discover', interfaces });
  }

  #warn(): void {
    for (const { peer, bfd } of this.#plans) {
      const interval = Math.min(bfd?.transmitInterval ?? HASTY, bfd?.receiveInterval ?? HASTY);
      if (interval >= HASTY || this.#told.has(peer.name)) continue;
      this.#told.add(peer.name);
      const message = `BFDProfile ${bfd!.name} asks for packets every ${interval} ms: on a busy node that is likely to take ${peer.name} for dead; ${HASTY} ms is safe`;
      this.#options.log.warn({ event: 'bfdHasty', peer: peer.name, profile: bfd!.name, interval }, message);
    }
  }

  #onNews(session: BgpSession, news: SessionNews): void {
    const { log, metrics } = this.#options;
    const { peer: object } = session;
    const peer = object.name;
    this.#exporter?.news(session, news);
    switch (news.kind) {
      case 'session-up': {
        const { peerAsn, families, holdTime } = news.negotiated;
        this.#failures.delete(peer);
        log.info(
          { event: 'sessionUp', peer, peerASN: peerAsn, families, holdTime: holdTime / 1000 },
          `BGP session with ${peer} established`,
        );
        break;
      }
      case 'session-down':
        log.warn({ event: 'sessionDown', peer, error: news.why }, `BGP session with ${peer} ended: ${news.why}`);
        break;
      case 'attempt-failed': {
        const said = this.#failures.get(peer);
        const isNews = said?.why !== news.why || performance.now() - said.at > REPEAT;
        if (isNews) this.#failures.set(peer, { why: news.why, at: performance.now() });
        const level = isNews ? 'warn' : 'debug';
        log[level]({ event: 'sessionFailed', peer, error: news.why }, `no BGP session with ${peer}: ${news.why}`);
        break;
      }
      case 'counted':
        metrics.bgpCounted(labelOf(object), news.counter, news.by);
        return;
      case 'send':
        return;
    }
    this.#listen();
    this.#tell();
  }

  #listen(): void {
    if (this.#stopped) return;
    clearTimeout(this.#silenceTimer);
    const now = performance.now();
    const sessions = this.#sessions.all;
    const isUp = new Map(sessions.map(({ peer: { name }, state }) => [name, established(state) !== undefined]));
    const before = this.#silence;
    this.#silence = listen(before, isUp, now);
    const next = listenAgain(this.#silence);
    if (next !== undefined) this.#silenceTimer = setTimeout(() => this.#listen(), next.at - now + 1);
    const { peers } = this.#silence;
    const isAll = sessions.length > 0 && peers.length === sessions.length;
    if (peers.join() === before.peers.join() && isAll === this.#isUnheard) return;
    this.#isUnheard = isAll;
    const silent = peers.map((peer) => {
      const why = this.#sessions.get(peer)?.state.lastError ?? 'there was none yet';
      return { peer, why };
    });
    // Later than the step of the speaker that may have led here.
    setImmediate(() => this.#options.onSilence(silent, isAll));
  }

  #tell(after = STATUS_PAUSE): void {
    const at = performance.now() + after;
    if (this.#stopped || this.#statusAt <= at) return;
    clearTimeout(this.#statusTimer);
    this.#statusAt = at;
    this.#statusTimer = setTimeout(() => {
      this.#statusAt = Number.POSITIVE_INFINITY;
      const sessions = this.#sessions.all;
      for (const session of sessions) this.#statuses.set(session.peer.name, this.#statusOf(session));
      const names = new Set(sessions.map(({ peer: { name } }) => name));
      for (const name of this.#since.keys())
        if (!names.has(name)) {
          this.#since.delete(name);
          this.#statuses.set(name, undefined);
        }
    }, STATUS_PAUSE);
  }

  #statusOf(session: BgpSession): Omit<BGPSessionStatus, 'node' | 'peer'> {
    const { peer, state } = session;
    const { negotiated } = established(state) ?? {};
    const bfd = this.#bfd.get(peer.name);
    const hasBfd = this.#plans.some((plan) => plan.peer.name === peer.name && plan.bfd !== undefined);
    return {
      address: session.found === undefined ? whereabouts(peer) : `${formatAddress(session.found)}%${whereabouts(peer)}`,
      localASN: state.settings.localAsn,
      ...(negotiated && {
        peerASN: negotiated.peerAsn,
        holdTimeSeconds: negotiated.holdTime / 1000,
        families: [...negotiated.families],
        capabilities: [...new Set(negotiated.capabilities.map(describeCapability))],
      }),
      // Between attempts it goes back and forth: what matters is that it is not up.
      state: negotiated === undefined ? 'Active' : STATES[state.phase],
      since: this.#sinceOf(session, negotiated !== undefined),
      prefixes: state.sent.size,
      wantedPrefixes: state.wanted.size,
      bfd: !hasBfd ? 'None' : bfd === true ? 'Up' : 'Down',
      ...(state.lastError !== undefined && { lastError: state.lastError }),
    };
  }

  #sinceOf({ peer: { name }, state, now }: BgpSession, isUp: boolean): string {
    const known = this.#since.get(name);
    const at = isUp ? state.since : -1;
    if (known?.at === at) return known.text;
    const text = timestamp(isUp ? Date.now() - (now - state.since) : Date.now());
    this.#since.set(name, { at, text });
    return text;
  }
}

const STATES: Readonly<Record<SessionPhase, BGPSessionStatus['state']>> = {
  idle: 'Idle',
  active: 'Active',
  connect: 'Connect',
  'open-sent': 'OpenSent',
  'open-confirm': 'OpenConfirm',
  established: 'Established',
};

function describeCapability(capability: Capability): string {
  return capability.kind === 'unknown' ? `code ${capability.code}` : capability.kind;
}
