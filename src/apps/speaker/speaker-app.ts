/**
 * The speaker process: wires reflectors, the speaker machine, the wire Worker and the links together.
 * @module
 */

import { type Clock, realClock } from '../../adapters/driver/clock.ts';
import type { Readiness } from '../../adapters/http/health.ts';
import { SpeakerStatus, type SpeakerStatusOptions } from '../../adapters/kubernetes/speaker-status.ts';
import { sha256 } from '../../adapters/sha256.ts';
import { LINK_INTERVAL } from '../../adapters/wire/links.ts';
import type { FromWire, LivenessOptions, WireOptions } from '../../adapters/wire/messages.ts';
import { Wire, type WirePort } from '../../adapters/wire/wire.ts';
import { CONFIG_RESOURCES } from '../../core/config/resolve.ts';
import type { AssignmentRules } from '../../core/election/assignment.ts';
import type { SpeakerHealth } from '../../core/election/election.ts';
import type { Layer2Settings } from '../../core/layer2/state.ts';
import { formatAddress } from '../../core/net/address.ts';
import { NODE_VERDICTS } from '../../core/reasons/reasons.ts';
import { speakerMachine } from '../../core/speaker/fsm.ts';
import {
  INCUMBENTS,
  initialSpeaker,
  type SpeakerInput,
  type SpeakerOutput,
  type SpeakerResource,
  type SpeakerState,
  speakerResources,
} from '../../core/speaker/state.ts';
import { type AnnouncedOn, BGP_STATUS, L2_STATUS } from '../../core/speaker/status-objects.ts';
import { DEFAULT_NAMESPACE, MachineProcess, type ProcessOptions } from '../machine-process.ts';
import type { BgpBackend } from './bgp-backend.ts';
import type { BgpNetwork } from './bgp-network.ts';
import type { Station } from './bmp-exporter.ts';
import { FrrK8sBgp, type FrrK8sOptions } from './frr-k8s-bgp.ts';
import { NativeBgp } from './native-bgp.ts';
import { WireRecording } from './wire-recording.ts';

export interface SpeakerOptions extends ProcessOptions {
  readonly node: string;
  readonly ignoreExcludeLabel: boolean;
  readonly drainOnCordon: boolean;
  /** Milliseconds. */
  readonly drainWait: number;
  /** --pool-change-grace, in milliseconds. */
  readonly poolChangeGrace: number;
  readonly rules: AssignmentRules;
  /** Undefined: no speaker list, every node is taken to be alive. */
  readonly liveness: (LivenessOptions & { readonly labelSelector: string }) | undefined;
  readonly excludeLinks: readonly RegExp[];
  readonly layer2: Layer2Settings;
  readonly bgp: NativeOptions | FrrOptions;
  /** Default: the wire Worker. */
  readonly openWire?: (options: Omit<WireOptions, 'wakeFd'>, onFact: (fact: FromWire) => void) => WirePort;
  /** Default: the kernel's. */
  readonly network?: BgpNetwork;
}

type NativeOptions = { readonly engine: 'native'; readonly listenPort: number; readonly station: Station | undefined };
type FrrOptions = { readonly engine: 'frr-k8s'; readonly secretPassthrough: boolean } & Pick<
  FrrK8sOptions,
  'namespace' | 'secrets'
>;

export class SpeakerApp {
  readonly #options: SpeakerOptions;
  readonly #process: MachineProcess<SpeakerResource, SpeakerState, SpeakerInput, SpeakerOutput>;
  readonly #wire: WirePort;
  readonly #clock: Clock;
  #onHandedOver: () => void = () => {};
  readonly #bgp: BgpBackend;
  readonly #statuses: SpeakerStatus<AnnouncedOn>;
  readonly #bgpStatuses: SpeakerStatus<readonly string[]>;
  readonly #recording: WireRecording;
  #isActive = false;
  /** Done when the links are known for the first time: without them every decision would be a wrong one. */
  #linksKnown = awaited();

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? realClock();
    const { node, loadBalancerClass, ignoreExcludeLabel, drainOnCordon, drainWait, poolChangeGrace, namespace, rules } =
      options;
    const { labelSelector, ...liveness } = options.liveness ?? { labelSelector: NO_PODS };
    const statuses = {
      client: options.client,
      namespace: namespace ?? DEFAULT_NAMESPACE,
      node,
      podName: options.podName ?? '',
      clock: options.clock,
      wallClock: options.wallClock,
      onTrouble: (message: string) => options.log.warn({ event: 'statusNotWritten', error: message }, message),
    };
    const resources = speakerResources(rules);
    this.#statuses = new SpeakerStatus(L2_STATUS, statuses, resources.includes(INCUMBENTS));
    this.#bgpStatuses = new SpeakerStatus(BGP_STATUS, statuses);
    const wire = {
      layer2: options.layer2,
      excludeLinks: options.excludeLinks,
      liveness: options.liveness === undefined ? undefined : (liveness as LivenessOptions),
      isRecorded: options.recordTo !== undefined,
    };
    const { openWire = (...wiring) => new Wire(...wiring) } = options;
    this.#recording = new WireRecording(options.recordTo ?? '');
    this.#wire = openWire(wire, (fact) => this.#onFact(fact));
    this.#bgp = this.#openBgp(statuses);
    this.#process = new MachineProcess(
      options,
      {
        component: 'metallb-speaker',
        machine: 'speaker',
        host: node,
        state: {
          name: `speaker-${node}`,
          labels: { 'metallb.io/component-type': 'speaker', 'metallb.io/node-name': node },
          conditionType: 'configReconcilerValid',
          fieldManager: 'configReconciler',
        },
      },
      speakerMachine(sha256),
      initialSpeaker({
        node,
        loadBalancerClass,
        ignoreExcludeLabel,
        drainOnCordon,
        drainWait,
        poolChangeGrace,
        liveness: options.liveness !== undefined,
        fenced: options.liveness?.fenced ?? false,
        rules,
        bgpEngine: options.bgp.engine,
        secretPassthrough: options.bgp.engine === 'frr-k8s' && options.bgp.secretPassthrough,
      }),
      resources.map((resource) => ({
        resource,
        namespace: OURS.includes(resource) ? namespace : undefined,
        ...(resource === 'pods' && { labelSelector }),
        ...(resource === 'secrets' && { fieldSelector: PASSWORDS }),
      })),
      (output) => this.#perform(output),
      () => this.#begin(),
    );
    if (resources.includes(INCUMBENTS)) this.#process.follow(INCUMBENTS, (change) => this.#statuses.observe(change));
  }

  get readiness(): Readiness {
    const { cache, announced } = this.#process.state;
    if (!cache.synced) return { ready: false, state: `waiting for the API server to list ${cache.missing.join(', ')}` };
    return { ready: true, state: `announcing ${announced.announcements.length} addresses` };
  }

  /** Rejects when the wire Worker dies: the process is of no use then. */
  get failed(): Promise<never> {
    return this.#wire.failed;
  }

  /** Keys of the liveness messages from now on: the first seals, all open. */
  useSecrets(secrets: readonly Uint8Array[]): void {
    this.#wire.send({ kind: 'secrets', secrets });
  }

  start(): void {
    this.#linksKnown.wait(() => {
      this.#process.start();
      this.#process.speak();
    });
  }

  /**
   * Hands the addresses over and ends: others are told, and each address is answered for until its successor claims it. Calls back
   * when the process may end.
   */
  stop(onStopped: () => void): void {
    this.#linksKnown = awaited();
    const endWire = () => {
      this.#wire.stop(() => this.#statuses.stop(() => this.#bgpStatuses.stop(() => this.#recording.close(onStopped))));
    };
    // Nothing is decided any more from here on; Events that are still to be written must not hold the move up.
    const isStopped = awaited();
    this.#process.stop(isStopped.done);
    const isRerouted = awaited();
    if (this.#bgp.drain()) this.#clock.at(this.#clock.now() + REROUTE_GRACE, isRerouted.done);
    else isRerouted.done();
    this.#leave(() =>
      isRerouted.wait(() => {
        // The wire is still needed for BFD's goodbye.
        this.#bgp.stop(() => isStopped.wait(endWire));
      }),
    );
  }

  #openBgp(status: SpeakerStatusOptions): BgpBackend {
    const { bgp, node, log, metrics, client, clock, network, recordTo } = this.#options;
    if (bgp.engine === 'frr-k8s') return new FrrK8sBgp({ ...bgp, node, log, client, clock });
    return new NativeBgp({
      ...bgp,
      node,
      log,
      metrics,
      clock: this.#clock,
      network,
      recordTo: recordTo && `${recordTo}.bgp`,
      status,
      toWire: (message) => this.#wire.send(message),
      onSilence: (peers, isAll) => {
        this.#wire.send({ kind: 'unheard', unheard: isAll });
        this.#process.feed({ kind: 'silence', peers });
      },
    });
  }

  #leave(onLeft: () => void): void {
    if (this.#options.liveness === undefined) {
      onLeft();
      return;
    }
    const cancel = this.#clock.at(this.#clock.now() + LEAVE_GRACE, () => {
      this.#onHandedOver = () => {};
      onLeft();
    });
    this.#onHandedOver = () => {
      cancel();
      this.#onHandedOver = () => {};
      this.#options.log.info({ event: 'handedOver' }, 'every address has a new owner');
      onLeft();
    };
    this.#wire.send({ kind: 'leave' });
  }

  #perform(output: SpeakerOutput): void {
    const { log, metrics, node } = this.#options;
    switch (output.kind) {
      case 'announce': {
        const addresses = output.announcements.map(({ address }) => formatAddress(address));
        metrics.layer2Announces(new Set(addresses));
        this.#wire.send(output);
        log.info({ event: 'announcing', addresses }, 'layer 2 state handed to the wire');
        return;
      }
      case 'members':
        this.#wire.send({ kind: 'members', members: output.members });
        return;
      case 'emit-event':
        this.#process.tell(output.target, output);
        return;
      case 'configuration':
        this.#process.configured(output.problems);
        return;
      case 'bgp':
        this.#bgp.set(output);
        return;
      case 'bgp-decided': {
        const { service, verdict, prefixes, addresses, peers, unheard } = output;
        const now = peers.length === 0 ? [] : addresses;
        metrics.announced('bgp', service, node, now);
        this.#bgpStatuses.set(service, peers.length === 0 ? undefined : peers);
        log.info({ event: 'bgpDecided', service, verdict, prefixes, peers, unheard }, 'decided what routers are told');
        return;
      }
      case 'service-decided': {
        const { service, announced, election, ...on } = output;
        this.#statuses.set(service, announced.length === 0 ? undefined : on);
        metrics.announced('layer2', service, node, announced);
        const checks = election?.checks.map(({ node: name, verdict }) => `${name}: ${NODE_VERDICTS[verdict]}`);
        log.info(
          { event: 'serviceDecided', service, announced, owner: election?.owner, checks, disputes: on.disputes },
          'decided who announces',
        );
      }
    }
  }

  /** Once everything that this node owns is announced, the others may know. */
  #begin(): void {
    if (this.#isActive || !this.#process.state.cache.synced) return;
    this.#isActive = true;
    this.#wire.send({ kind: 'ready' });
    this.#statuses.sweep();
    this.#bgpStatuses.sweep();
    this.#bgp.sweep();
  }

  #onFact(fact: FromWire): void {
    const { log, metrics } = this.#options;
    switch (fact.kind) {
      case 'ready':
        return;
      case 'recorded':
        this.#recording.write(fact);
        return;
      case 'links': {
        const { names, fit, gateways } = fact;
        this.#bgp.links(fit);
        this.#process.feed({ kind: 'links', names, fit: fit.map(({ name }) => name), gateways });
        this.#linksKnown.done();
        return;
      }
      case 'conflict':
      case 'conflict-ended':
      case 'disputed':
      case 'dispute-ended':
        this.#process.feed(fact);
        return;
      case 'liveness':
        metrics.nodes(fact.view.nodes.flatMap(({ node, state }) => (node === this.#options.node ? [] : state)));
        this.#process.feed(fact);
        return;
      case 'node-changed': {
        const { node, state, silentFor } = fact;
        const silence = silentFor === undefined ? {} : { silentFor: Math.round(silentFor) };
        log[state === 'dead' ? 'warn' : 'info'](
          { event: 'nodeChanged', node, state, ...silence },
          NODE_NEWS[state](node),
        );
        return;
      }
      case 'isolation-changed':
        metrics.isolated(fact.isolated);
        log.warn(
          { event: 'isolation', isolated: fact.isolated },
          fact.isolated
            ? 'no other speaker is heard any more: the cable or the network of this node, or all others, have failed'
            : 'other speakers are heard again',
        );
        return;
      case 'bfd-changed':
      case 'bfd-counts':
      case 'router-found':
        this.#bgp.onFact(fact);
        return;
      case 'peers':
        metrics.peers(fact.peers);
        return;
      case 'failed-over':
        metrics.failedOver(fact.phases);
        log.info({ event: 'failedOver', ...fact.phases }, 'addresses of a dead node taken over');
        return;
      case 'all-handed-over':
        this.#onHandedOver();
        return;
      case 'counts':
        for (const { counter, address, by } of fact.counts) metrics.layer2(counter, address, by);
        return;
      case 'refused':
        metrics.datagramsRefused(fact.why, fact.times);
        return;
      case 'fault': {
        const { where, error, times } = fact;
        metrics.wireFault(where, times);
        log.error({ event: 'wireFault', where, error, times }, 'the wire thread has met a bug of ours and goes on');
        return;
      }
      case 'failed':
        log.error({ event: 'wireFailed', what: fact.what, on: fact.on, error: fact.message }, describeFailure(fact));
    }
  }
}

/** Something that others wait for. */
function awaited() {
  let isDone = false;
  let run = () => {};
  return {
    done: () => {
      if (isDone) return;
      isDone = true;
      run();
    },
    wait: (next: () => void) => {
      if (isDone) next();
      else run = next;
    },
  };
}

const NODE_NEWS: Readonly<Record<SpeakerHealth | 'forgotten', (node: string) => string>> = {
  alive: (node) => `speaker on ${node} counts as alive`,
  unsteady: (node) =>
    `speaker on ${node} comes and goes, or is not heard by others: it announces only what no other can`,
  passive: (node) => `speaker on ${node} is not up yet, or is being stopped`,
  dead: (node) => `speaker on ${node} does not answer`,
  forgotten: (node) => `there is to be no speaker on ${node} any more`,
};

/** Milliseconds that routers get to send elsewhere before the routes are withdrawn (RFC 8326 §3). */
const REROUTE_GRACE = 1000;

/** Milliseconds that a speaker that is asked to end waits for successors. With none, the address falls silent then. */
const LEAVE_GRACE = 1500;

/** Selects no Pod: without a speaker list the Pods are of no interest. */
const NO_PODS = 'metallb.io/no-speaker-list';

const OURS: readonly SpeakerResource[] = [...CONFIG_RESOURCES, 'pods', 'secrets', 'servicel2statuses'];

/** Passwords of BGP peers; the other Secrets of the namespace are none of a speaker's business. */
const PASSWORDS = 'type=kubernetes.io/basic-auth';

function describeFailure({ what, on, code }: Extract<FromWire, { kind: 'failed' }>): string {
  if (what === 'raw-socket' && code === 'EPERM') {
    return `neighbours cannot be answered on ${on}: the capability NET_RAW is missing; run as root, or grant it (securityContext.capabilities.add: [NET_RAW], setcap cap_net_raw+ep)`;
  }
  if (what === 'discovery-socket') {
    return `the router of the unnumbered BGPPeer on ${on} cannot be found: ${code}${code === 'EPERM' ? '; the capability NET_RAW is missing' : ''}`;
  }
  if (what === 'multicast-group') return `solicitations cannot be heard: joining ${on} failed: ${code}`;
  if (what === 'netlink-socket')
    return `changes of links are seen ${LINK_INTERVAL / 1000} s late: netlink failed: ${code}`;
  if (what === 'bfd-socket')
    return `BFD with ${on} cannot run: ${code}${code === 'EADDRINUSE' ? '; another BFD (FRR, BIRD, a CNI) has the port on this node' : ''}`;
  if (what === 'liveness-socket') {
    return `liveness messages cannot be received at ${on}: ${code}${code === 'EADDRINUSE' ? '; another speaker runs on this node, or choose another --ml-bindport' : ''}`;
  }
  return `neighbours cannot be answered on ${on}: ${code}`;
}
