/**
 * The speaker process: wires reflectors, the speaker machine, the wire Worker and the links together.
 * @module
 */
import { createHash } from 'node:crypto';
import type { Readiness } from '../../adapters/http/health.ts';
import { ServiceL2Status } from '../../adapters/kubernetes/service-l2-status.ts';
import { LinkFollower } from '../../adapters/linux/links.ts';
import type { FromWire, LivenessOptions } from '../../adapters/wire/messages.ts';
import { Wire } from '../../adapters/wire/wire.ts';
import { CONFIG_RESOURCES } from '../../core/config/resolve.ts';
import { formatAddress } from '../../core/net/address.ts';
import { NODE_VERDICTS } from '../../core/reconcile/reasons.ts';
import {
  initialSpeaker,
  SPEAKER_RESOURCES,
  type SpeakerInput,
  type SpeakerOutput,
  type SpeakerResource,
  type SpeakerState,
  speakerMachine,
} from '../../core/reconcile/speaker.ts';
import { DEFAULT_NAMESPACE, MachineProcess, type ProcessOptions } from '../machine-process.ts';

export interface SpeakerOptions extends ProcessOptions {
  readonly node: string;
  readonly ignoreExcludeLabel: boolean;
  readonly drainOnCordon: boolean;
  /** Undefined: no speaker list, every node is taken to be alive. */
  readonly liveness: (LivenessOptions & { readonly labelSelector: string }) | undefined;
  readonly excludeLinks: readonly RegExp[];
  /** Milliseconds between gratuitous packets once an address has settled; 0: none. */
  readonly refreshInterval: number;
}

/** Milliseconds between looks at the links that nobody asked for: netlink tells of changes at once. */
const LINK_INTERVAL = 10_000;

export class SpeakerApp {
  readonly #options: SpeakerOptions;
  readonly #process: MachineProcess<SpeakerResource, SpeakerState, SpeakerInput, SpeakerOutput>;
  readonly #wire: Wire;
  readonly #dead = new Set<string>();
  readonly #passive = new Set<string>();
  #onHandedOver: () => void = () => {};
  readonly #announced = new Map<string, readonly string[]>();
  readonly #statuses: ServiceL2Status;
  #isActive = false;
  #links: LinkFollower | undefined;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    const { node, loadBalancerClass, ignoreExcludeLabel, drainOnCordon, namespace } = options;
    const { labelSelector, ...liveness } = options.liveness ?? { labelSelector: NO_PODS };
    this.#statuses = new ServiceL2Status({
      client: options.client,
      namespace: namespace ?? DEFAULT_NAMESPACE,
      node,
      podName: options.podName ?? '',
      onTrouble: (message) => options.log.warn({ event: 'l2StatusNotWritten', error: message }, message),
    });
    const sha256 = (text: string) => createHash('sha256').update(text).digest();
    const wire = {
      layer2: { refreshInterval: options.refreshInterval },
      liveness: options.liveness === undefined ? undefined : (liveness as LivenessOptions),
    };
    this.#wire = new Wire(wire, (fact) => this.#onFact(fact));
    this.#process = new MachineProcess(
      options,
      {
        component: 'metallb-speaker',
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
        liveness: options.liveness !== undefined,
      }),
      SPEAKER_RESOURCES.map((resource) => ({
        resource,
        namespace: OURS.includes(resource) ? namespace : undefined,
        ...(resource === 'pods' && { labelSelector }),
        ...(resource === 'secrets' && { fieldSelector: PASSWORDS }),
      })),
      (output) => this.#perform(output),
    );
  }

  get readiness(): Readiness {
    const { cache, announced } = this.#process.state;
    if (!cache.synced) return { ready: false, state: `waiting for the API server to list ${cache.missing.join(', ')}` };
    return { ready: true, state: `announcing ${(JSON.parse(announced) as unknown[][])[0]!.length} addresses` };
  }

  /** Rejects when the wire Worker dies: the process is of no use then. */
  get failed(): Promise<never> {
    return this.#wire.failed;
  }

  start(): void {
    this.#links = new LinkFollower(this.#options.excludeLinks, LINK_INTERVAL, ({ names, fit }) => {
      this.#wire.send({ kind: 'interfaces', interfaces: fit });
      this.#process.feed({ kind: 'links', names });
    });
    this.#process.start();
  }

  /** Hands the addresses over and ends: others are told, and each address is answered for until its successor claims it. */
  async stop(): Promise<void> {
    // Nothing is decided any more from here on; Events that are still to be written must not hold the move up.
    const stopped = this.#process.stop();
    if (this.#options.liveness !== undefined) await this.#leave();
    await stopped;
    this.#links?.stop();
    await this.#wire.stop();
    await this.#statuses.stop();
  }

  #leave(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LEAVE_GRACE);
      this.#onHandedOver = () => {
        clearTimeout(timer);
        this.#options.log.info({ event: 'handedOver' }, 'every address has a new owner');
        resolve();
      };
      this.#wire.send({ kind: 'leave' });
    });
  }

  #perform(output: SpeakerOutput): void {
    const { log, metrics, node } = this.#options;
    switch (output.kind) {
      case 'announce':
        this.#wire.send(output);
        log.info(
          { event: 'announcing', addresses: output.announcements.map(({ address }) => formatAddress(address)) },
          'layer 2 state handed to the wire',
        );
        return;
      case 'members':
        this.#wire.send({ kind: 'members', members: output.members });
        return;
      case 'emit-event':
        this.#process.tell(output.target, output);
        return;
      case 'configuration':
        this.#process.configured(output.problems);
        // The first configuration comes with the first decision about every Service.
        if (!this.#isActive) setImmediate(() => this.#begin());
        return;
      case 'service-decided': {
        const { service, announced, interfaces, election } = output;
        this.#statuses.set(service, announced.length === 0 ? undefined : interfaces);
        metrics.announced(service, node, this.#announced.get(service) ?? [], announced);
        this.#announced.set(service, announced);
        const checks = election?.checks.map(({ node: name, verdict }) => `${name}: ${NODE_VERDICTS[verdict]}`);
        log.info(
          { event: 'serviceDecided', service, announced, owner: election?.owner, checks },
          'decided who announces',
        );
      }
    }
  }

  /** Everything that this node owns is announced: now the others may know. */
  #begin(): void {
    if (this.#isActive) return;
    this.#isActive = true;
    this.#wire.send({ kind: 'ready' });
    this.#statuses.sweep();
  }

  #feedLiveness(): void {
    this.#process.feed({ kind: 'dead-nodes', nodes: [...this.#dead].sort(), passive: [...this.#passive].sort() });
  }

  #onFact(fact: FromWire): void {
    const { log, metrics } = this.#options;
    switch (fact.kind) {
      case 'ready':
        return;
      case 'links-changed':
        this.#links?.look();
        return;
      case 'conflict':
        this.#process.feed(fact);
        return;
      case 'node-died':
        log.warn(
          { event: 'nodeDied', node: fact.node, silentFor: Math.round(fact.silentFor) },
          `speaker on ${fact.node} does not answer`,
        );
        this.#dead.add(fact.node);
        this.#feedLiveness();
        return;
      case 'node-passive':
        log.info(
          { event: 'nodePassive', node: fact.node },
          `speaker on ${fact.node} is not up yet, or is being stopped`,
        );
        this.#dead.delete(fact.node);
        this.#passive.add(fact.node);
        this.#feedLiveness();
        return;
      case 'all-handed-over':
        this.#onHandedOver();
        return;
      case 'node-came-alive':
      case 'node-forgotten':
        log.info({ event: fact.kind, node: fact.node }, `speaker on ${fact.node} counts as alive`);
        this.#dead.delete(fact.node);
        this.#passive.delete(fact.node);
        this.#feedLiveness();
        return;
      case 'counts':
        for (const { counter, address, by } of fact.counts) metrics.layer2(counter, address, by);
        return;
      case 'failed':
        log.error({ event: 'wireFailed', what: fact.what, on: fact.on, error: fact.message }, describeFailure(fact));
    }
  }
}

/** Milliseconds that a speaker that is asked to end waits for successors. With none, the address falls silent then. */
const LEAVE_GRACE = 1500;

/** Selects no Pod: without a speaker list the Pods are of no interest. */
const NO_PODS = 'metallb.io/no-speaker-list';

const OURS: readonly SpeakerResource[] = [...CONFIG_RESOURCES, 'pods', 'secrets'];

/** Passwords of BGP peers; the other Secrets of the namespace are none of a speaker's business. */
const PASSWORDS = 'type=kubernetes.io/basic-auth';

function describeFailure({ what, on, code }: Extract<FromWire, { kind: 'failed' }>): string {
  if (what === 'raw-socket' && code === 'EPERM') {
    return `neighbours cannot be answered on ${on}: the capability NET_RAW is missing; run as root, or grant it (securityContext.capabilities.add: [NET_RAW], setcap cap_net_raw+ep)`;
  }
  if (what === 'multicast-group') return `solicitations cannot be heard: joining ${on} failed: ${code}`;
  if (what === 'netlink-socket')
    return `changes of links are seen ${LINK_INTERVAL / 1000} s late: netlink failed: ${code}`;
  if (what === 'liveness-socket') {
    return `heartbeats cannot be received at ${on}: ${code}${code === 'EADDRINUSE' ? '; another speaker runs on this node, or choose another --ml-bindport' : ''}`;
  }
  return `neighbours cannot be answered on ${on}: ${code}`;
}
