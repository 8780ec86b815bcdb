/**
 * What a speaker says of itself in objects: ServiceL2Status and ServiceBGPStatus, one for each Service that this node announces (see
 * docs/behaviour/status.md), and BGPSessionStatus, one for each router.
 * @module
 */
import { createHash } from 'node:crypto';
import type { BGPSessionStatus } from '../../core/api/kinds.ts';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { duplicateAddress } from '../../core/reasons/conditions.ts';
import { APPLY_PATCH, ApiError, type KubernetesClient } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';
import { timestamp } from './timestamp.ts';
import { WriteQueue } from './write-queue.ts';

export interface SpeakerStatusOptions {
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

type Labels = Readonly<Record<string, string>>;

const NODE = 'metallb.io/node';

/** The key of a Service is `namespace/name`. */
function serviceOf(key: string): { serviceName: string; serviceNamespace: string } {
  const [serviceNamespace = '', serviceName = ''] = key.split('/');
  return { serviceName, serviceNamespace };
}

function serviceLabels(key: string): Labels {
  const { serviceName, serviceNamespace } = serviceOf(key);
  return { 'metallb.io/service-name': serviceName, 'metallb.io/service-namespace': serviceNamespace };
}

/** Characters that the value of a label may have. */
const LONGEST_LABEL = 63;

/** The key of a session is the name of the BGPPeer, which may be longer than a label. */
function peerLabels(key: string): Labels {
  return { 'metallb.io/bgp-peer': key.slice(0, LONGEST_LABEL).replace(/[^a-z0-9]+$/, '') };
}

/** What the kinds differ in. */
interface Flavour<T> {
  readonly kind: string;
  readonly resource: 'servicel2statuses' | 'servicebgpstatuses' | 'bgpsessionstatuses';
  /** What the object is about, for those who look for it. */
  readonly labelsOf: (key: string) => Labels;
  /** Of names, as upstream generates them. */
  readonly prefix: string;
  readonly fieldManager: string;
  /** One node only announces a Service: the objects of others are of the past. */
  readonly isSole: boolean;
  /** The kind is ours: a cluster with upstream's CRDs does not have it. */
  readonly isOptional: boolean;
  readonly statusOf: (told: T, key: string) => object;
}

export const L2: Flavour<AnnouncedOn> = {
  kind: 'ServiceL2Status',
  resource: 'servicel2statuses',
  labelsOf: serviceLabels,
  prefix: 'l2-',
  fieldManager: 'metallb-speaker-l2',
  isSole: true,
  isOptional: false,
  statusOf: ({ interfaces, duplicates }, key) => ({
    ...serviceOf(key),
    interfaces: interfaces.map((name) => ({ name })),
    conditions: duplicates.length === 0 ? [] : [duplicateAddress(duplicates, timestamp())],
  }),
};

/** Names of the BGPPeers that are told of the Service. */
export const BGP: Flavour<readonly string[]> = {
  kind: 'ServiceBGPStatus',
  resource: 'servicebgpstatuses',
  labelsOf: serviceLabels,
  prefix: 'bgp-',
  fieldManager: 'metallb-speaker-bgp',
  isSole: false,
  isOptional: false,
  statusOf: (peers, key) => ({ ...serviceOf(key), peers }),
};

export const SESSION: Flavour<Omit<BGPSessionStatus, 'node' | 'peer'>> = {
  kind: 'BGPSessionStatus',
  resource: 'bgpsessionstatuses',
  labelsOf: peerLabels,
  prefix: 'session-',
  fieldManager: 'metallb-speaker-bgp',
  isSole: false,
  isOptional: true,
  statusOf: (session, peer) => ({ peer, ...session }),
};

/** Milliseconds until a failed write is tried again. */
const RETRY = 5000;
/** Milliseconds from the last write until a look at whether it has stayed. */
const SWEEP_AFTER = 5000;

export class SpeakerStatus<T> {
  readonly #flavour: Flavour<T>;
  readonly #options: SpeakerStatusOptions;
  readonly #queue = new WriteQueue();
  /** By key. Undefined: there is nothing to say any more. */
  readonly #wanted = new Map<string, T | undefined>();
  /** Keys with a write in the queue, which will do what is wanted when its turn comes. */
  readonly #queued = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #owner: Promise<object[]> | undefined;
  #stopped = false;
  #sweepTimer: NodeJS.Timeout | undefined;

  constructor(flavour: Flavour<T>, options: SpeakerStatusOptions) {
    this.#flavour = flavour;
    this.#options = options;
  }

  /** What there is to say, or that there is nothing any more. Never fails. */
  set(key: string, told: T | undefined): void {
    const old = this.#wanted.get(key);
    if (JSON.stringify(old) === JSON.stringify(told)) return;
    this.#wanted.set(key, told);
    this.#enqueue(key);
  }

  /**
   * Makes the objects of this node those that are wanted: removes what an earlier life of it left behind, and writes again what
   * another node has removed, which did not know yet that the Service had moved on. To be called when everything that is announced
   * has been set; afterwards it comes again by itself, some time after each write.
   */
  sweep(): void {
    this.#queue.add(async () => {
      try {
        const missing = new Map(
          [...this.#wanted].flatMap(([key, told]) => (told === undefined ? [] : [[this.#nameOf(key), key] as const])),
        );
        for (const { metadata } of await this.#list({ [NODE]: this.#options.node }))
          if (!missing.delete(metadata.name)) await this.#delete(metadata.name);
        for (const key of missing.values()) this.#enqueue(key);
      } catch (error) {
        this.#failed(error, () => this.sweep());
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#sweepTimer);
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#queue.stop();
  }

  #enqueue(key: string): void {
    if (this.#queued.has(key) || this.#stopped) return;
    this.#queued.add(key);
    this.#queue.add(async () => {
      this.#queued.delete(key);
      try {
        await this.#write(key);
      } catch (error) {
        this.#failed(error, () => this.#enqueue(key));
      }
    });
  }

  #failed(error: unknown, again: () => void): void {
    if (this.#stopped) return;
    const { kind, isOptional } = this.#flavour;
    if (isOptional && error instanceof ApiError && error.status === 404) {
      this.#stopped = true;
      this.#options.onTrouble(
        `there will be no ${kind} objects: this cluster has no such kind; install our CRDs to see them`,
      );
      return;
    }
    this.#options.onTrouble((error as Error).message);
    this.#later(again);
  }

  #later(act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, RETRY);
    timer.unref();
    this.#timers.add(timer);
  }

  async #write(key: string): Promise<void> {
    const { client, namespace, node } = this.#options;
    const { kind, resource, labelsOf, fieldManager, isSole, statusOf } = this.#flavour;
    const told = this.#wanted.get(key);
    const own = this.#nameOf(key);
    if (told === undefined) {
      this.#wanted.delete(key);
      await this.#delete(own);
      return;
    }
    const about = labelsOf(key);
    // Whoever announced before us may not be there any more to take its own object back.
    const others = isSole ? (await this.#list(about)).filter(({ metadata }) => metadata.name !== own) : [];
    // It may have moved on meanwhile: then what is there is not ours to remove.
    if (this.#wanted.get(key) !== told) return this.#write(key);
    for (const { metadata } of others) await this.#delete(metadata.name);
    const labels = { [NODE]: node, ...about };
    const ownerReferences = await this.#owners();
    const apply = (subresource: 'status' | undefined, body: object) =>
      client.request({
        method: 'PATCH',
        path: objectPath(resource, `${namespace}/${own}`, subresource),
        query: { fieldManager, force: true },
        contentType: APPLY_PATCH,
        body: { apiVersion: 'metallb.io/v1beta1', kind, ...body },
      });
    const metadata = { name: own, namespace, labels, ...(ownerReferences.length > 0 && { ownerReferences }) };
    await apply(undefined, { metadata });
    const status = { node, ...statusOf(told, key) };
    await apply('status', { metadata: { name: own, namespace }, status });
    clearTimeout(this.#sweepTimer);
    this.#sweepTimer = setTimeout(() => this.sweep(), SWEEP_AFTER).unref();
  }

  async #delete(name: string): Promise<void> {
    const { client, namespace } = this.#options;
    await client.remove(objectPath(this.#flavour.resource, `${namespace}/${name}`));
  }

  #list(labels: Labels): Promise<readonly KubernetesObject[]> {
    const { client, namespace } = this.#options;
    const labelSelector = Object.entries(labels)
      .map((pair) => pair.join('='))
      .join();
    return client.list(collectionPath(this.#flavour.resource, namespace), { labelSelector });
  }

  /** Upstream's names are generated with the same prefix; ours cannot come twice. */
  #nameOf(key: string): string {
    const hash = createHash('sha256').update(`${this.#options.node} ${key}`).digest('hex');
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
