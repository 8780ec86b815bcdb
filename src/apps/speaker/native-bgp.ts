/**
 * BGP in this process: wires the machine of all sessions with logs, metrics, status objects, and the wire Worker.
 * @module
 */
import { type Clock, realWallClock } from '../../adapters/driver/clock.ts';
import { Recorder } from '../../adapters/driver/recording.ts';
import { SpeakerStatus, type SpeakerStatusOptions } from '../../adapters/kubernetes/speaker-status.ts';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import type { Log } from '../../adapters/log/log.ts';
import type { Metrics } from '../../adapters/metrics/metrics.ts';
import type { FromWire, ToWire } from '../../adapters/wire/messages.ts';
import type { BGPSessionStatus } from '../../core/api/kinds.ts';
import { HASTY } from '../../core/bgp/peers/bfd-target.ts';
import { addressLabel, sessionLabel } from '../../core/bgp/peers/peer-label.ts';
import { isRerouting, type PeersOutput, type SessionStatus, type SilentPeer } from '../../core/bgp/peers/state.ts';
import { established } from '../../core/bgp/session/state.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import { parseAddress } from '../../core/net/address.ts';
import type { BgpOutput } from '../../core/speaker/state.ts';
import { SESSION_STATUS } from '../../core/speaker/status-objects.ts';
import type { BgpBackend } from './bgp-backend.ts';
import { type BgpNetwork, KERNEL } from './bgp-network.ts';
import { BgpSessions } from './bgp-sessions.ts';
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
  readonly clock?: Clock;
  /** Default: the kernel's. */
  readonly network?: BgpNetwork | undefined;
  /** File that every input is recorded to. */
  readonly recordTo?: string | undefined;
}

export class NativeBgp implements BgpBackend {
  readonly #options: NativeBgpOptions;
  readonly #sessions: BgpSessions;
  readonly #statuses: SpeakerStatus<Omit<BGPSessionStatus, 'node' | 'peer'>>;
  readonly #exporter: BmpExporter | undefined;
  readonly #recorder: Recorder | undefined;
  /** By BGPPeer: the time that its status gives, on the machine's clock and as everybody's. */
  readonly #since = new Map<string, { readonly at: number; readonly text: string }>();
  #onStopped: () => void = () => {};

  constructor(options: NativeBgpOptions) {
    this.#options = options;
    const { node, log, metrics, listenPort, station, status, clock, network, recordTo } = options;
    this.#recorder = recordTo === undefined ? undefined : new Recorder(recordTo);
    this.#recorder?.write({ machine: 'bgp-peers', settings: {} });
    this.#sessions = new BgpSessions({
      node,
      listenPort,
      ...(clock !== undefined && { clock }),
      network,
      record: this.#recorder?.record,
      onOutput: (output) => this.#perform(output),
      onListenFailed: (why) =>
        log.error(
          { event: 'bgpListenFailed', port: listenPort, error: why },
          `routers cannot connect to port ${listenPort}: ${why}; another BGP (a CNI’s) may have it, or the capability NET_BIND_SERVICE is missing: choose another --bgp-listen-port`,
        ),
    });
    this.#statuses = new SpeakerStatus(SESSION_STATUS, status);
    this.#exporter =
      station && new BmpExporter({ station, node, log, sessions: this.#sessions, clock, wallClock: status.wallClock });
    metrics.beforeScrape(() => {
      for (const { plan, session } of this.#sessions.state.peers.values()) {
        const isUp = established(session) !== undefined;
        metrics.bgpSession(sessionLabel(plan.peer), isUp, session.sent.size, session.wanted.routes.size);
      }
    });
  }

  set({ plans, routes }: BgpOutput): void {
    this.#sessions.feed({ kind: 'wanted', plans, routes });
  }

  links(links: readonly Interface[]): void {
    const { network = KERNEL } = this.#options;
    this.#sessions.feed({ kind: 'links', links, forwardsIpv4: network.forwardsIpv4() });
  }

  sweep(): void {
    this.#statuses.sweep();
  }

  drain(): boolean {
    this.#sessions.feed({ kind: 'drain' });
    return isRerouting(this.#sessions.state);
  }

  stop(onStopped: () => void): void {
    this.#onStopped = () => {
      this.#exporter?.stop();
      this.#statuses.stop(() => {
        if (this.#recorder === undefined) onStopped();
        else void this.#recorder.close().then(onStopped);
      });
    };
    this.#sessions.feed({ kind: 'stop', why: 'the speaker is being stopped' });
  }

  onFact(fact: Extract<FromWire, { kind: 'bfd-changed' | 'bfd-counts' | 'router-found' }>): void {
    const { log, metrics } = this.#options;
    switch (fact.kind) {
      case 'bfd-changed': {
        const { peer, up, why, administrative = false } = fact;
        const address = this.#addressLabel(peer);
        if (address !== undefined) metrics.bfdSession(address, up);
        log[up ? 'info' : 'warn'](
          { event: 'bfd', peer, up, error: why },
          up ? `BFD with ${peer} is up` : `BFD with ${peer}: ${why}`,
        );
        this.#sessions.feed({ kind: 'bfd-changed', peer, up, administrative });
        return;
      }
      case 'bfd-counts':
        for (const { peer, counter, by } of fact.counts) {
          const address = this.#addressLabel(peer);
          if (address !== undefined) metrics.bfdCounted(address, counter, by);
        }
        return;
      case 'router-found': {
        const { interface: name, address } = fact;
        log.info({ event: 'routerFound', interface: name, address }, `the router on ${name} is ${address}`);
        this.#sessions.feed({ kind: 'router-found', interface: name, address: parseAddress(address)! });
      }
    }
  }

  #addressLabel(peer: string): string | undefined {
    const known = this.#sessions.state.peers.get(peer);
    return known && addressLabel(known.plan.peer);
  }

  #perform(output: PeersOutput): void {
    const { log, metrics, toWire, onSilence } = this.#options;
    switch (output.kind) {
      case 'gone':
        metrics.bgpForget(sessionLabel(output.peer));
        return;
      case 'session':
        this.#onSession(output);
        return;
      case 'attempt-failed': {
        const { peer, why, isNews } = output;
        log[isNews ? 'warn' : 'debug'](
          { event: 'sessionFailed', peer, error: why },
          `no BGP session with ${peer}: ${why}`,
        );
        return;
      }
      case 'bfd':
        metrics.bfdWatches(new Set(output.targets.flatMap(({ peer }) => this.#addressLabel(peer) ?? [])));
        toWire(output);
        return;
      case 'discover':
        toWire(output);
        return;
      case 'hasty-bfd': {
        const { peer, profile, interval } = output;
        const message = `BFDProfile ${profile} asks for packets every ${interval} ms: on a busy node that is likely to take ${peer} for dead; ${HASTY} ms is safe`;
        log.warn({ event: 'bfdHasty', peer, profile, interval }, message);
        return;
      }
      case 'silence':
        onSilence(output.peers, output.isAll);
        return;
      case 'status':
        this.#tell(output.peer, output.status);
        return;
      case 'stopped':
        this.#onStopped();
    }
  }

  #onSession({ peer, output }: Extract<PeersOutput, { kind: 'session' }>): void {
    const { log, metrics } = this.#options;
    this.#exporter?.onOutput(peer, output);
    if (output.kind === 'session-up') {
      const { peerAsn, families, holdTime } = output.negotiated;
      log.info(
        { event: 'sessionUp', peer, peerASN: peerAsn, families, holdTime: holdTime / 1000 },
        `BGP session with ${peer} established`,
      );
    } else if (output.kind === 'session-down')
      log.warn({ event: 'sessionDown', peer, error: output.why }, `BGP session with ${peer} ended: ${output.why}`);
    else if (output.kind === 'counted') {
      const known = this.#sessions.state.peers.get(peer);
      if (known !== undefined) metrics.bgpCounted(sessionLabel(known.plan.peer), output.counter, output.by);
    }
  }

  #tell(peer: string, status: SessionStatus | undefined): void {
    if (status === undefined) {
      this.#since.delete(peer);
      this.#statuses.set(peer, undefined);
      return;
    }
    const { since: at } = status;
    const { wallClock = realWallClock } = this.#options.status;
    let since = this.#since.get(peer);
    if (since?.at !== at) {
      since = { at, text: timestamp(wallClock() - (this.#sessions.now - at)) };
      this.#since.set(peer, since);
    }
    this.#statuses.set(peer, { ...status, since: since.text });
  }
}
