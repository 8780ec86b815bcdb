/**
 * ServiceL2Status and ServiceBGPStatus: one object for each Service that this node announces (behaviour reference §4.11, §5.7), for
 * `kubectl get servicel2statuses` and `servicebgpstatuses`.
 * @module
 */
import { createHash } from 'node:crypto';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { duplicateAddress } from '../../core/reconcile/conditions.ts';
import { APPLY_PATCH, type KubernetesClient } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';
import { timestamp } from './timestamp.ts';
import { WriteQueue } from './write-queue.ts';

export interface ServiceStatusOptions {
  readonly client: KubernetesClient;
  /** Where the objects are kept. */
  readonly namespace: string;
  readonly node: string;
  /** Own Pod: the objects go with it. Empty: nobody's. */
  readonly podName: string;
  readonly onTrouble: (message: string) => void;
}

/** How a Service is announced at layer 2. */
export interface AnnouncedOn {
  /** Empty: on all. */
  readonly interfaces: readonly string[];
  /** In words: who else claims its addresses. */
  readonly duplicates: readonly string[];
}

const LABELS = { node: 'metallb.io/node', name: 'metallb.io/service-name', namespace: 'metallb.io/service-namespace' };

/** What the two kinds differ in. */
interface Flavour<T> {
  readonly kind: string;
  readonly resource: 'servicel2statuses' | 'servicebgpstatuses';
  /** Of names, as upstream generates them. */
  readonly prefix: string;
  readonly fieldManager: string;
  /** One node only announces a Service: the objects of others are of the past. */
  readonly isSole: boolean;
  readonly statusOf: (announced: T) => object;
}

export const L2: Flavour<AnnouncedOn> = {
  kind: 'ServiceL2Status',
  resource: 'servicel2statuses',
  prefix: 'l2-',
  fieldManager: 'metallb-speaker-l2',
  isSole: true,
  statusOf: ({ interfaces, duplicates }) => ({
    interfaces: interfaces.map((name) => ({ name })),
    conditions: duplicates.length === 0 ? [] : [duplicateAddress(duplicates, timestamp())],
  }),
};

/** Names of the BGPPeers that are told of the Service. */
export const BGP: Flavour<readonly string[]> = {
  kind: 'ServiceBGPStatus',
  resource: 'servicebgpstatuses',
  prefix: 'bgp-',
  fieldManager: 'metallb-speaker-bgp',
  isSole: false,
  statusOf: (peers) => ({ peers }),
};

/** Milliseconds until a failed write is tried again. */
const RETRY = 5000;
/** Milliseconds from the last write until a look at whether it has stayed. */
const SWEEP_AFTER = 5000;

export class ServiceStatus<T> {
  readonly #flavour: Flavour<T>;
  readonly #options: ServiceStatusOptions;
  readonly #queue = new WriteQueue();
  /** By Service key. Undefined: not announced by this node. */
  readonly #wanted = new Map<string, T | undefined>();
  /** Services with a write in the queue, which will do what is wanted when its turn comes. */
  readonly #queued = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #owner: Promise<object[]> | undefined;
  #stopped = false;
  #sweepTimer: NodeJS.Timeout | undefined;

  constructor(flavour: Flavour<T>, options: ServiceStatusOptions) {
    this.#flavour = flavour;
    this.#options = options;
  }

  /** How this node announces the Service, or that it does so no longer. Never fails. */
  set(service: string, announced: T | undefined): void {
    const old = this.#wanted.get(service);
    if (JSON.stringify(old) === JSON.stringify(announced)) return;
    this.#wanted.set(service, announced);
    this.#enqueue(service);
  }

  /**
   * Makes the objects of this node those that are wanted: removes what an earlier life of it left behind, and writes again what
   * another node has removed, which did not know yet that the Service had moved on. To be called when everything that is announced
   * has been set; afterwards it comes again by itself, some time after each write.
   */
  sweep(): void {
    this.#queue.add(async () => {
      try {
        const missing = new Set([...this.#wanted].flatMap(([key, announced]) => (announced === undefined ? [] : key)));
        for (const { metadata } of await this.#list(`${LABELS.node}=${this.#options.node}`)) {
          const { [LABELS.namespace]: namespace, [LABELS.name]: name } = metadata.labels ?? {};
          const key = `${namespace}/${name}`;
          missing.delete(key);
          if (this.#wanted.get(key) === undefined) await this.#delete(metadata.name);
        }
        for (const key of missing) this.#enqueue(key);
      } catch (error) {
        this.#options.onTrouble((error as Error).message);
        this.#later(() => this.sweep());
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#sweepTimer);
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#queue.stop();
  }

  #enqueue(service: string): void {
    if (this.#queued.has(service) || this.#stopped) return;
    this.#queued.add(service);
    this.#queue.add(async () => {
      this.#queued.delete(service);
      try {
        await this.#write(service);
      } catch (error) {
        this.#options.onTrouble((error as Error).message);
        this.#later(() => this.#enqueue(service));
      }
    });
  }

  #later(act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, RETRY);
    timer.unref();
    this.#timers.add(timer);
  }

  async #write(service: string): Promise<void> {
    const { client, namespace, node } = this.#options;
    const { kind, resource, fieldManager, isSole, statusOf } = this.#flavour;
    const announced = this.#wanted.get(service);
    const own = this.#nameOf(service);
    if (announced === undefined) {
      this.#wanted.delete(service);
      await this.#delete(own);
      return;
    }
    const [serviceNamespace, serviceName] = service.split('/') as [string, string];
    const selector = `${LABELS.name}=${serviceName},${LABELS.namespace}=${serviceNamespace}`;
    // Whoever announced before us may not be there any more to take its own object back.
    const others = isSole ? (await this.#list(selector)).filter(({ metadata }) => metadata.name !== own) : [];
    // It may have moved on meanwhile: then what is there is not ours to remove.
    if (this.#wanted.get(service) !== announced) return this.#write(service);
    for (const { metadata } of others) await this.#delete(metadata.name);
    const labels = { [LABELS.node]: node, [LABELS.name]: serviceName, [LABELS.namespace]: serviceNamespace };
    const ownerReferences = await this.#owners();
    const identity = { apiVersion: 'metallb.io/v1beta1', kind };
    const apply = (subresource: 'status' | undefined, body: object) =>
      client.request({
        method: 'PATCH',
        path: objectPath(resource, `${namespace}/${own}`, subresource),
        query: { fieldManager, force: true },
        contentType: APPLY_PATCH,
        body: { ...identity, ...body },
      });
    const metadata = { name: own, namespace, labels, ...(ownerReferences.length > 0 && { ownerReferences }) };
    await apply(undefined, { metadata });
    const status = { node, serviceName, serviceNamespace, ...statusOf(announced) };
    await apply('status', { metadata: { name: own, namespace }, status });
    clearTimeout(this.#sweepTimer);
    this.#sweepTimer = setTimeout(() => this.sweep(), SWEEP_AFTER).unref();
  }

  #delete(name: string): Promise<void> {
    const { client, namespace } = this.#options;
    return client.remove(objectPath(this.#flavour.resource, `${namespace}/${name}`));
  }

  #list(labelSelector: string): Promise<readonly KubernetesObject[]> {
    const { client, namespace } = this.#options;
    return client.list(collectionPath(this.#flavour.resource, namespace), { labelSelector });
  }

  /** Upstream's names are generated with the same prefix; ours cannot come twice. */
  #nameOf(service: string): string {
    const hash = createHash('sha256').update(`${this.#options.node} ${service}`).digest('hex');
    return `${this.#flavour.prefix}${hash.slice(0, 10)}`;
  }

  #owners(): Promise<object[]> {
    const { client, namespace, podName } = this.#options;
    if (podName === '') return Promise.resolve([]);
    this.#owner ??= client.request({ path: objectPath('pods', `${namespace}/${podName}`) }).then(
      ({ metadata }) => [{ apiVersion: 'v1', kind: 'Pod', name: podName, uid: metadata.uid }],
      (error: unknown) => {
        this.#owner = undefined;
        throw error;
      },
    );
    return this.#owner;
  }
}
