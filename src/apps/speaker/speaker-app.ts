/**
 * The speaker process: wires reflectors, the speaker machine, the wire Worker and the links together.
 * @module
 */
import { createHash } from 'node:crypto';
import { Driver } from '../../adapters/driver/driver.ts';
import { Recorder } from '../../adapters/driver/recording.ts';
import type { KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { EventRecorder } from '../../adapters/kubernetes/events.ts';
import { Reflector } from '../../adapters/kubernetes/reflector.ts';
import { followLinks } from '../../adapters/linux/links.ts';
import type { Log } from '../../adapters/log/log.ts';
import type { Metrics } from '../../adapters/metrics/metrics.ts';
import type { FromWire, LivenessOptions } from '../../adapters/wire/messages.ts';
import { Wire } from '../../adapters/wire/wire.ts';
import { formatProblem } from '../../core/api/problem.ts';
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

export interface SpeakerOptions {
  readonly client: KubernetesClient;
  readonly node: string;
  readonly namespace: string | undefined;
  readonly loadBalancerClass: string;
  readonly ignoreExcludeLabel: boolean;
  /** Undefined: no speaker list, every node is taken to be alive. */
  readonly liveness: (LivenessOptions & { readonly labelSelector: string }) | undefined;
  readonly excludeLinks: readonly RegExp[];
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recordTo?: string | undefined;
}

/** Milliseconds between looks at the links. */
const LINK_INTERVAL = 1000;

export class SpeakerApp {
  readonly #options: SpeakerOptions;
  readonly #driver: Driver<SpeakerState, SpeakerInput, SpeakerOutput>;
  readonly #reflectors: readonly Reflector[];
  readonly #events: EventRecorder;
  readonly #recorder: Recorder | undefined;
  readonly #wire: Wire;
  readonly #dead = new Set<string>();
  readonly #announced = new Map<string, readonly string[]>();
  #links: { stop(): void } | undefined;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    const { client, log, metrics, liveness, node } = options;
    this.#events = new EventRecorder(client, 'metallb-speaker', node, (message) =>
      log.warn({ event: 'eventNotWritten', error: message }, message),
    );
    this.#recorder = options.recordTo === undefined ? undefined : new Recorder(options.recordTo);
    const settings = {
      node,
      loadBalancerClass: options.loadBalancerClass,
      ignoreExcludeLabel: options.ignoreExcludeLabel,
      liveness: liveness !== undefined,
    };
    const sha256 = (text: string) => createHash('sha256').update(text).digest();
    this.#driver = new Driver(speakerMachine(sha256), initialSpeaker(settings), {
      perform: (output) => this.#perform(output),
      ...(this.#recorder !== undefined && { record: this.#recorder.record }),
    });
    const { labelSelector, ...wireLiveness } = liveness ?? { labelSelector: undefined };
    this.#wire = new Wire(liveness === undefined ? undefined : (wireLiveness as LivenessOptions), (fact) =>
      this.#onFact(fact),
    );
    this.#reflectors = SPEAKER_RESOURCES.map(
      (resource) =>
        new Reflector({
          client,
          resource,
          namespace: OURS.includes(resource) ? options.namespace : undefined,
          labelSelector: resource === 'pods' ? (labelSelector ?? 'metallb.io/no-speaker-list') : undefined,
          onChange: (change) => {
            metrics.updated();
            this.#driver.feed({ ...change, resource });
          },
          onTrouble: (what, message) => {
            metrics.failed();
            log.warn({ event: what, resource, error: message }, message);
          },
        }),
    );
  }

  get ready(): boolean {
    return this.#driver.state.cache.synced;
  }

  /** Rejects when the wire Worker dies: the process is of no use then. */
  get failed(): Promise<never> {
    return this.#wire.failed;
  }

  start(): void {
    this.#links = followLinks(this.#options.excludeLinks, LINK_INTERVAL, ({ names, fit }) => {
      this.#wire.send({ kind: 'interfaces', interfaces: fit });
      this.#driver.feed({ kind: 'links', names });
    });
    for (const reflector of this.#reflectors) reflector.start();
  }

  async stop(): Promise<void> {
    this.#links?.stop();
    for (const reflector of this.#reflectors) reflector.stop();
    this.#driver.stop();
    await this.#wire.stop();
    await this.#events.flush();
    await this.#recorder?.close();
  }

  #perform(output: SpeakerOutput): void {
    const { log, metrics, node } = this.#options;
    switch (output.kind) {
      case 'announce':
        this.#wire.send({ kind: 'announce', announcements: output.announcements });
        log.info(
          { event: 'announcing', addresses: output.announcements.map(({ address }) => formatAddress(address)) },
          'layer 2 state handed to the wire',
        );
        return;
      case 'members':
        this.#wire.send({ kind: 'members', members: output.members });
        return;
      case 'emit-event': {
        const { target, reason, message } = output;
        log.info({ event: reason, object: `${target.kind} ${target.namespace}/${target.name}` }, message);
        this.#events.record(target, { reason, message });
        return;
      }
      case 'configuration':
        for (const problem of output.problems) log.error({ event: 'invalidConfiguration' }, formatProblem(problem));
        metrics.configured(output.problems.length);
        return;
      case 'service-decided': {
        const { service, announced, election } = output;
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

  #onFact(fact: FromWire): void {
    const { log, metrics } = this.#options;
    switch (fact.kind) {
      case 'ready':
        return;
      case 'node-died':
        log.warn(
          { event: 'nodeDied', node: fact.node, silentFor: Math.round(fact.silentFor) },
          `speaker on ${fact.node} does not answer`,
        );
        this.#dead.add(fact.node);
        this.#driver.feed({ kind: 'dead-nodes', nodes: [...this.#dead].sort() });
        return;
      case 'node-came-alive':
      case 'node-forgotten':
        log.info({ event: fact.kind, node: fact.node }, `speaker on ${fact.node} no longer counts as dead`);
        this.#dead.delete(fact.node);
        this.#driver.feed({ kind: 'dead-nodes', nodes: [...this.#dead].sort() });
        return;
      case 'counts':
        for (const { counter, address, by } of fact.counts) metrics.layer2(counter, address, by);
        return;
      case 'failed':
        log.error({ event: 'wireFailed', what: fact.what, on: fact.on, error: fact.message }, describeFailure(fact));
    }
  }
}

const OURS: readonly SpeakerResource[] = ['ipaddresspools', 'l2advertisements', 'pods'];

function describeFailure({ what, on, code }: Extract<FromWire, { kind: 'failed' }>): string {
  if (what === 'raw-socket' && code === 'EPERM') {
    return `ARP cannot be answered on ${on}: the capability NET_RAW is missing; run as root, or grant it (securityContext.capabilities.add: [NET_RAW], setcap cap_net_raw+ep)`;
  }
  if (what === 'liveness-socket') {
    return `heartbeats cannot be received at ${on}: ${code}${code === 'EADDRINUSE' ? '; another speaker runs on this node, or choose another --ml-bindport' : ''}`;
  }
  return `ARP cannot be answered on ${on}: ${code}`;
}
