/**
 * BGP by frr-k8s: this node's FRRConfiguration is kept as it should be, and FRR does the rest (docs/behaviour/bgp.md#frr-k8s). Unlike upstream's
 * it is not deleted at start, and stays when the speaker ends: FRR goes on announcing.
 * @module
 */
import type { Clock } from '../../adapters/driver/clock.ts';
import type { ApiTransport } from '../../adapters/kubernetes/transport.ts';
import { Writer } from '../../adapters/kubernetes/writer.ts';
import type { Log } from '../../adapters/log/log.ts';
import { applyUpdates, type RouteSet } from '../../core/bgp/rib/route-update.ts';
import {
  type FrrSecrets,
  frrConfiguration,
  frrName,
  frrObject,
  lostWithFrr,
} from '../../core/speaker/frr-configuration.ts';
import type { BgpOutput } from '../../core/speaker/state.ts';
import type { BgpBackend } from './bgp-backend.ts';

export interface FrrK8sOptions {
  readonly node: string;
  /** Where frr-k8s looks for FRRConfigurations. */
  readonly namespace: string;
  readonly secrets: FrrSecrets;
  readonly client: ApiTransport;
  readonly log: Log;
  readonly clock?: Clock | undefined;
}

/** Milliseconds from a change until it is written: upstream's. */
const GATHER = 3000;

export class FrrK8sBgp implements BgpBackend {
  readonly #options: FrrK8sOptions;
  readonly #writer: Writer;
  readonly #told = new Set<string>();
  readonly #audiences = new Map<number, RouteSet>();

  constructor(options: FrrK8sOptions) {
    this.#options = options;
    const { node, namespace, client, log, clock } = options;
    const name = frrName(node);
    const object = `FRRConfiguration ${namespace}/${name}`;
    this.#writer = new Writer({
      client,
      namespace,
      clock,
      watched: { frrconfigurations: { fieldSelector: `metadata.name=${name}` } },
      whenMissing: () => `${object} cannot be written: this cluster has no such kind; install frr-k8s`,
      fieldManager: '',
      podName: '',
      identity: node,
      settings: { mode: 'replace', mark: {}, gather: GATHER },
      onTrouble: (error, what) =>
        log.warn(
          { event: 'frrNotConfigured', name, namespace, error },
          what === 'failed' ? `${object} cannot be written: ${error}` : error,
        ),
      onDone: () => log.info({ event: 'frrConfigured', name, namespace }, `${object} written`),
    });
  }

  set({ plans, routes, profiles }: BgpOutput): void {
    const { node, secrets, log } = this.#options;
    applyUpdates(this.#audiences, routes, new Set(plans.map(({ audience }) => audience)));
    const peers = plans.map(({ peer, audience }) => ({
      peer,
      routes: [...(this.#audiences.get(audience)?.routes.values() ?? [])],
    }));
    const spec = frrConfiguration(node, peers, profiles, secrets);
    this.#writer.start();
    this.#writer.set('frrconfigurations', frrName(node), frrObject(node, spec));
    for (const each of peers)
      for (const what of lostWithFrr(each)) {
        const message = `frr-k8s has nothing for ${what}: it has no effect on ${each.peer.name}`;
        if (!this.#told.has(message)) log.warn({ event: 'frrLacks', peer: each.peer.name }, message);
        this.#told.add(message);
      }
  }

  links(): void {}
  onFact(): void {}
  sweep(): void {}

  /** FRR goes on without us. */
  drain(): boolean {
    return false;
  }

  stop(onStopped: () => void): void {
    this.#writer.stop(onStopped);
  }
}
