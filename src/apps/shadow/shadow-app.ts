/**
 * The shadow mode: decides all that a controller and a speaker decide, writes nothing, sends nothing, and reports where the load balancer that
 * runs now does something else.
 * @module
 */

import { Driver } from '../../adapters/driver/driver.ts';
import type { Readiness } from '../../adapters/http/health.ts';
import { ApiError, type KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { Reflector } from '../../adapters/kubernetes/reflector.ts';
import { collectionPath } from '../../adapters/kubernetes/resources.ts';
import type { Log } from '../../adapters/log/log.ts';
import { sha256 } from '../../adapters/sha256.ts';
import { formatProblem } from '../../core/api/problem.ts';
import { CONFIG_RESOURCES } from '../../core/config/resolve.ts';
import { Cache } from '../../core/kubernetes/cache.ts';
import {
  type Aspect,
  type ComparedResource,
  type Comparison,
  compareWithCluster,
} from '../../core/offline/differences.ts';
import {
  INITIAL_SHADOW,
  type ShadowInput,
  type ShadowOutput,
  type ShadowState,
  shadowMachine,
} from '../../core/offline/shadow.ts';
import { SPEAKER_RESOURCES } from '../../core/speaker/state.ts';

export interface ShadowOptions {
  readonly client: KubernetesClient;
  readonly log: Log;
  /** Of the configuration. */
  readonly namespace: string;
  readonly loadBalancerClass: string;
  readonly aspects: readonly Aspect[];
  /** Only what this node does; undefined: all nodes. */
  readonly node?: string;
}

/** Who announces what, as speakers tell it. MetalLB before 0.14 does not. */
const TOLD = ['servicel2statuses', 'servicebgpstatuses'] as const;

/** Pods and Secrets say who is alive and what passwords are; neither is compared. */
const WATCHED = SPEAKER_RESOURCES.filter((resource) => resource !== 'pods' && resource !== 'secrets');

export class ShadowApp {
  readonly #options: ShadowOptions;
  #cache = new Cache<ComparedResource>([]);
  #resources: readonly ComparedResource[] = [];
  #reflectors: Reflector[] = [];
  #aspects: readonly Aspect[] = [];
  readonly #driver: Driver<ShadowState, ShadowInput, ShadowOutput>;

  constructor(options: ShadowOptions) {
    this.#options = options;
    this.#driver = new Driver(shadowMachine, INITIAL_SHADOW, { perform: (output) => this.#perform(output) });
  }

  get readiness(): Readiness {
    const { synced, missing } = this.#cache;
    if (this.#reflectors.length > 0 && synced) return { ready: true, state: 'comparing' };
    return { ready: false, state: `waiting for the API server to list ${missing.join(', ')}` };
  }

  /** Rejects with ApiError when the API server does not answer. */
  async start(): Promise<void> {
    const { client, log, namespace, aspects } = this.#options;
    const there = await Promise.all(
      TOLD.map(async (resource) => ((await isServed(client, resource)) ? [resource] : [])),
    );
    const told = there.flat();
    const kinds = { layer2: TOLD[0], bgp: TOLD[1], addresses: undefined };
    this.#aspects = aspects.filter((aspect) => kinds[aspect] === undefined || told.includes(kinds[aspect]));
    for (const aspect of aspects)
      if (!this.#aspects.includes(aspect))
        log.warn({ event: 'notCompared', aspect }, `${aspect} is not compared: this cluster has no ${kinds[aspect]}`);
    this.#resources = [...WATCHED, ...told];
    this.#cache = new Cache<ComparedResource>(this.#resources);
    const ours: readonly string[] = [...CONFIG_RESOURCES, ...TOLD];
    this.#reflectors = this.#resources.map(
      (resource) =>
        new Reflector({
          client,
          resource,
          namespace: ours.includes(resource) ? namespace : undefined,
          onChange: (change) => {
            this.#cache.apply({ ...change, resource });
            // A part of the cluster would differ from the whole.
            if (this.#cache.synced) this.#driver.feed({ kind: 'changed' });
          },
          onTrouble: (what, message) => log.warn({ event: what, resource, error: message }, message),
        }),
    );
    for (const reflector of this.#reflectors) reflector.start();
  }

  stop(): void {
    this.#driver.stop();
    for (const reflector of this.#reflectors) reflector.stop();
  }

  #perform(output: ShadowOutput): void {
    const { log } = this.#options;
    switch (output.kind) {
      case 'compare':
        this.#driver.feed({ kind: 'compared', comparison: this.#compare() });
        return;
      case 'differs':
        log.warn({ event: 'shadowDiffers' }, output.text);
        return;
      case 'agrees-again':
        log.info({ event: 'shadowAgreesAgain' }, `resolved: ${output.text}`);
        return;
      case 'problems':
        for (const problem of output.problems) log.warn({ event: 'invalidConfiguration' }, formatProblem(problem));
        return;
      case 'summary': {
        const { services, differing } = output;
        const summary = `${services - differing} of ${services} Services unchanged`;
        log.info({ event: 'shadowCompared', services, differing, aspects: this.#aspects }, summary);
      }
    }
  }

  #compare(): Comparison {
    const { loadBalancerClass, node } = this.#options;
    return compareWithCluster(this.#cache.of(this.#resources), this.#aspects, loadBalancerClass, sha256, node);
  }
}

async function isServed(client: KubernetesClient, resource: (typeof TOLD)[number]): Promise<boolean> {
  try {
    await client.list(collectionPath(resource), { limit: 1 });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}
