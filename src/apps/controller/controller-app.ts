/**
 * The controller process: wires reflectors, the controller machine and status writes together.
 * @module
 */
import type { Readiness } from '../../adapters/http/health.ts';
import { MERGE_PATCH } from '../../adapters/kubernetes/client.ts';
import { LeaderElection } from '../../adapters/kubernetes/lease.ts';
import { RequestQueue } from '../../adapters/kubernetes/request-queue.ts';
import { objectPath } from '../../adapters/kubernetes/resources.ts';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import type { Service } from '../../core/api/kubernetes.ts';
import type { Problem } from '../../core/api/problem.ts';
import type { BgpEngine } from '../../core/config/config.ts';
import { CONFIG_RESOURCES, isConfigResource } from '../../core/config/resolve.ts';
import { controllerMachine } from '../../core/controller/fsm.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  type ControllerResource,
  type ControllerState,
  initialController,
  type WrittenResource,
} from '../../core/controller/state.ts';
import { withConditions } from '../../core/reasons/conditions.ts';
import { MachineProcess, type ProcessOptions } from '../machine-process.ts';
import { ConfigMapFollower } from './config-map-follower.ts';

export interface ControllerOptions extends ProcessOptions {
  readonly host: string;
  /** --pool-change-grace, in milliseconds. */
  readonly poolChangeGrace: number;
  /** --keep-address-until-served. */
  readonly keepUntilServed?: boolean;
  /** Who speaks BGP on the nodes; default: native. */
  readonly bgpEngine?: BgpEngine;
  /** --share-across-namespaces; absent: true. */
  readonly shareAcrossNamespaces?: boolean;
  /** ConfigMap in the format before 0.13 to follow, in the namespace of the configuration. */
  readonly configMap?: string | undefined;
  /** Present: lead only while holding the Lease of this namespace; `onStepDown` is called when it is lost. */
  readonly leaderElection?: {
    readonly namespace: string;
    readonly identity: string;
    readonly onStepDown: (why: string) => void;
  };
}

interface Problems {
  readonly resources: readonly Problem[];
  readonly configMap: readonly Problem[];
}

const STATE = {
  name: 'controller',
  labels: { 'metallb.io/component-type': 'controller' },
  conditionType: 'poolReconcilerValid',
  fieldManager: 'poolReconciler',
};

/** Name of the Lease. */
const LEASE = 'metallb-controller';

export class ControllerApp {
  readonly #options: ControllerOptions;
  readonly #election: LeaderElection | undefined;
  readonly #configMap: ConfigMapFollower | undefined;
  readonly #writes = new RequestQueue();
  /** What is wrong with the resources, and with the ConfigMap that some of them come from. */
  #problems: Problems = { resources: [], configMap: [] };
  readonly #process: MachineProcess<ControllerResource, ControllerState, ControllerInput, ControllerOutput>;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#election = this.#elect();
    this.#process = new MachineProcess(
      options,
      { component: 'metallb-controller', machine: 'controller', host: options.host, state: STATE },
      controllerMachine,
      initialController({
        loadBalancerClass: options.loadBalancerClass,
        poolChangeGrace: options.poolChangeGrace,
        keepUntilServed: options.keepUntilServed ?? false,
        bgpEngine: options.bgpEngine,
        namespace: options.namespace,
        shareAcrossNamespaces: options.shareAcrossNamespaces,
        standby: options.leaderElection !== undefined,
      }),
      CONTROLLER_RESOURCES.map((resource) => ({
        resource,
        namespace: isConfigResource(resource) ? options.namespace : undefined,
        // Of Services there may be many, and what is decided on an old one is not written; an old configuration would be gone by.
        afterFailure: resource === 'services' ? 'resume' : 'list',
        onInterrupted: () => this.#process.feed({ kind: 'interrupted', resource }),
      })),
      (output) => this.#perform(output),
    );
    const { client, log, metrics, namespace, configMap, host, clock } = options;
    metrics.beforeScrape(() => {
      const { allocator, config, services, leading } = this.#process.state;
      metrics.pools(new Map(config.pools.map(({ name }) => [name, allocator.usage(name)])));
      metrics.unserved(services.unservedReasons());
      metrics.leading(leading);
    });
    if (configMap === undefined) return;
    const follower = new ConfigMapFollower({
      client,
      clock,
      host,
      log,
      namespace: namespace!,
      name: configMap,
      tell: (target, note) => this.#process.tell(target, note),
      onProblems: (problems) => this.#configured({ configMap: problems }),
    });
    for (const resource of CONFIG_RESOURCES)
      this.#process.follow(resource, (change) => follower.observe(resource, change));
    this.#configMap = follower;
  }

  get readiness(): Readiness {
    const { cache, leading, catchingUp } = this.#process.state;
    if (!cache.synced) return { ready: false, state: `waiting for the API server to list ${cache.missing.join(', ')}` };
    const role = leading ? 'leading' : 'standby';
    const behind = [...catchingUp].join(', ');
    return { ready: true, state: behind === '' ? role : `${role}, waiting for the API server to list ${behind} again` };
  }

  /** The Services of the cluster, as far as they are known. */
  get services(): readonly Service[] {
    return this.#process.state.cache.all<Service>('services');
  }

  start(): void {
    this.#process.start();
    if (this.#election === undefined) this.#speak();
    else this.#election.start();
  }

  /** Calls back when the process may end. */
  stop(onStopped: () => void): void {
    const resign = () => {
      if (this.#election === undefined) onStopped();
      else this.#election.resign(onStopped);
    };
    // The next leader must see everything that we have written.
    this.#process.stop(() =>
      this.#writes.stop(() => {
        if (this.#configMap === undefined) resign();
        else this.#configMap.stop(resign);
      }),
    );
  }

  #elect(): LeaderElection | undefined {
    const { leaderElection, client, log, clock, wallClock } = this.#options;
    if (leaderElection === undefined) return undefined;
    return new LeaderElection({
      client,
      clock,
      wallClock,
      ...leaderElection,
      name: LEASE,
      onLead: () => {
        log.info({ event: 'leading', identity: leaderElection.identity }, 'this controller leads');
        this.#process.feed({ kind: 'lead' });
        this.#speak();
      },
      onTrouble: (message) => log.warn({ event: 'leaseTrouble', error: message }, message),
    });
  }

  #speak(): void {
    this.#process.speak();
    this.#configMap?.start();
  }

  #configured(news: Partial<Problems>): void {
    this.#problems = { ...this.#problems, ...news };
    this.#process.configured([...this.#problems.resources, ...this.#problems.configMap]);
  }

  #perform(output: ControllerOutput): void {
    const { log, metrics } = this.#options;
    switch (output.kind) {
      case 'emit-event':
        this.#process.tell(output.target, output);
        return;
      case 'configuration':
        this.#configured({ resources: output.problems });
        log.info({ event: 'configLoaded', pools: output.config.pools.map(({ name }) => name) }, 'configuration loaded');
        return;
      case 'write-service': {
        const { key, resourceVersion, annotations, addresses } = output;
        this.#write('services', key, () => {
          const ingress = addresses.length === 0 ? null : addresses.map((ip) => ({ ip }));
          const conditions = withConditions(output.conditions, output.wishes, this.#timestamp());
          return { metadata: { resourceVersion, annotations }, status: { loadBalancer: { ingress }, conditions } };
        });
        return;
      }
      case 'relist':
        this.#process.relist(output.resource);
        return;
      case 'service-served':
        metrics.served(output.after);
        return;
      case 'write-status': {
        const { resource, key, usage, wishes } = output;
        this.#write(resource, key, () => {
          const conditions = withConditions(output.conditions, wishes, this.#timestamp());
          return { status: { ...usage, ...(wishes.length > 0 && { conditions }) } };
        });
      }
    }
  }

  #timestamp(): string {
    return timestamp(this.#options.wallClock?.());
  }

  #write(resource: WrittenResource, key: string, body: () => object): void {
    this.#writes.add((done) => {
      if (this.#election?.holds !== false) {
        this.#request(resource, key, body(), done);
        return;
      }
      // The process has slept, and somebody else may lead. If nobody does, the answer to our last renewal is still to be read:
      // then this controller goes on, and what was not written is still to be written.
      const message = 'not sent: this controller does not know whether it still holds the Lease';
      this.#process.feed({ kind: 'write-failed', resource, key, status: 0, message });
      done();
    });
  }

  #request(resource: WrittenResource, key: string, body: object, done: () => void): void {
    const { client, log, metrics } = this.#options;
    const path = objectPath(resource, key, 'status');
    client.send({ method: 'PATCH', path, contentType: MERGE_PATCH, body }, (answer) => {
      if (answer.ok) this.#process.feed({ kind: 'written', resource, object: answer.body });
      else {
        const { status, message } = answer.failure;
        metrics.failed();
        log.warn({ event: 'writeFailed', resource, key, error: message }, message);
        this.#process.feed({ kind: 'write-failed', resource, key, status, message });
      }
      done();
    });
  }
}
