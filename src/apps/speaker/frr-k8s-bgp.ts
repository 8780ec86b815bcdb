/**
 * BGP by frr-k8s: this node's FRRConfiguration is kept as it should be, and FRR does the rest (docs/behaviour/bgp.md#frr-k8s). Unlike upstream's
 * it is not deleted at start, and stays when the speaker ends: FRR goes on announcing.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { collectionPath, objectPath } from '../../adapters/kubernetes/resources.ts';
import type { Log } from '../../adapters/log/log.ts';
import { applyUpdates, type RouteSet } from '../../core/bgp/rib/route-update.ts';
import {
  type FrrConfiguration,
  type FrrSecrets,
  frrConfiguration,
  lostWithFrr,
} from '../../core/speaker/frr-configuration.ts';
import type { BgpOutput } from '../../core/speaker/state.ts';
import type { BgpBackend } from './bgp-backend.ts';

export interface FrrK8sOptions {
  readonly node: string;
  /** Where frr-k8s looks for FRRConfigurations. */
  readonly namespace: string;
  readonly secrets: FrrSecrets;
  readonly client: KubernetesClient;
  readonly log: Log;
}

/** Milliseconds: upstream's, from a change until it is written; until a failed write is tried again; between looks at what is there. */
const DEBOUNCE = 3000;
const RETRY = 5000;
const LOOK_AGAIN = 30_000;

export class FrrK8sBgp implements BgpBackend {
  readonly #options: FrrK8sOptions;
  #wanted: FrrConfiguration | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** A change waits for its time. */
  #isDue = false;
  #stopped = false;
  readonly #told = new Set<string>();
  readonly #audiences = new Map<number, RouteSet>();

  constructor(options: FrrK8sOptions) {
    this.#options = options;
  }

  set({ plans, routes, profiles }: BgpOutput): void {
    const { node, secrets, log } = this.#options;
    applyUpdates(this.#audiences, routes, new Set(plans.map(({ audience }) => audience)));
    const peers = plans.map(({ peer, audience }) => ({
      peer,
      routes: [...(this.#audiences.get(audience)?.routes.values() ?? [])],
    }));
    this.#wanted = frrConfiguration(node, peers, profiles, secrets);
    for (const each of peers)
      for (const what of lostWithFrr(each)) {
        const message = `frr-k8s has nothing for ${what}: it has no effect on ${each.peer.name}`;
        if (!this.#told.has(message)) log.warn({ event: 'frrLacks', peer: each.peer.name }, message);
        this.#told.add(message);
      }
    this.#later(DEBOUNCE);
  }

  links(): void {}
  onFact(): void {}
  sweep(): void {}

  /** FRR goes on without us. */
  drain(): boolean {
    return false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.race([this.#writing, sleep(RETRY)]);
  }

  /** From the first change on, not the last: whoever keeps changing things still gets them written. */
  #later(after: number): void {
    if (this.#stopped || (after === DEBOUNCE && this.#isDue)) return;
    clearTimeout(this.#timer);
    this.#isDue = after === DEBOUNCE;
    this.#timer = setTimeout(() => {
      this.#isDue = false;
      this.#writing = this.#write();
    }, after);
  }

  async #write(): Promise<void> {
    const { client, log, namespace, node } = this.#options;
    const name = `metallb-${node}`;
    const wanted = this.#wanted!;
    try {
      const path = objectPath('frrconfigurations', `${namespace}/${name}`);
      const current = await client.request({ path }).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      });
      const identity = { apiVersion: 'frrk8s.metallb.io/v1beta1', kind: 'FRRConfiguration' };
      if (current === undefined) {
        const body = { ...identity, metadata: { name, namespace }, spec: wanted };
        await client.request({ method: 'POST', path: collectionPath('frrconfigurations', namespace), body });
      } else if (canonical((current as { spec?: unknown }).spec) !== canonical(wanted)) {
        await client.request({ method: 'PUT', path, body: { ...identity, metadata: current.metadata, spec: wanted } });
      } else {
        this.#later(LOOK_AGAIN);
        return;
      }
      log.info({ event: 'frrConfigured', name, namespace }, `FRRConfiguration ${namespace}/${name} written`);
      this.#later(LOOK_AGAIN);
    } catch (error) {
      const message = `FRRConfiguration ${namespace}/${name} cannot be written: ${(error as Error).message}`;
      log.warn({ event: 'frrNotConfigured', name, namespace, error: (error as Error).message }, message);
      this.#later(RETRY);
    }
  }
}

/** The same text for the same content, whatever the order of the fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
