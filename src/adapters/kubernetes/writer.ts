/**
 * Performs the requests of the writer machine on a transport, and its watches by reflectors.
 * @module
 */
import { createHash } from 'node:crypto';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { writerMachine } from '../../core/kubernetes/writer/fsm.ts';
import type {
  Desired,
  WriteAnswer,
  WriteCall,
  WriterInput,
  WriterOutput,
} from '../../core/kubernetes/writer/messages.ts';
import { initialWriter, type WriterSettings, type WriterState } from '../../core/kubernetes/writer/state.ts';
import type { Clock } from '../driver/clock.ts';
import { Driver } from '../driver/driver.ts';
import { APPLY_PATCH } from './client.ts';
import { MAX_REQUESTS } from './connection.ts';
import { type ReflectedChange, Reflector } from './reflector.ts';
import { collectionPath, objectPath, type ResourceName } from './resources.ts';
import type { ApiRequest, ApiTransport } from './transport.ts';

/** Which part of a resource to watch: best no more than our own objects. */
export interface WatchedPart {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WriterOptions {
  readonly client: ApiTransport;
  readonly namespace: string;
  /** By resource; undefined: the process watches it itself and passes changes to `observe`. */
  readonly watched: Readonly<Partial<Record<ResourceName, WatchedPart | undefined>>>;
  /** The message when the cluster does not have the kind of a resource. */
  readonly whenMissing: (resource: string) => string;
  readonly fieldManager: string;
  /** Our own Pod, which owns the objects so that they are deleted with it. Empty: they have no owner. */
  readonly podName: string;
  /** Unique to this process: it seeds the jitter, so that processes do not retry in step. */
  readonly identity: string;
  readonly settings: Pick<WriterSettings, 'mark'> &
    Partial<Pick<WriterSettings, 'mode' | 'adopts' | 'limit' | 'gather'>>;
  readonly onTrouble: (message: string, what: Trouble['what']) => void;
  readonly onDone?: (what: 'written' | 'removed', resource: ResourceName, name: string) => void;
  /** Default: the clock of this process. */
  readonly clock?: Clock | undefined;
}

type Trouble = Extract<WriterOutput, { kind: 'trouble' }>;

interface ListAnswer {
  readonly items?: readonly KubernetesObject[];
}

export class Writer {
  readonly #options: WriterOptions;
  readonly #driver: Driver<WriterState, WriterInput, WriterOutput>;
  readonly #reflectors = new Map<string, Reflector>();
  readonly #seed: number;
  #onStopped: () => void = () => {};

  constructor(options: WriterOptions) {
    this.#options = options;
    const { watched, whenMissing, namespace, podName, identity, fieldManager, settings, clock } = options;
    const resources = Object.keys(watched);
    this.#seed = createHash('sha256')
      .update([identity, fieldManager, ...resources].join(' '))
      .digest()
      .readUInt32BE();
    const initial = initialWriter({
      mode: 'apply',
      adopts: true,
      limit: MAX_REQUESTS,
      gather: 0,
      ...settings,
      resources: resources.map((resource) => ({
        resource,
        isWatchedByUs: watched[resource as ResourceName] !== undefined,
        whenMissing: whenMissing(resource),
      })),
      namespace,
      isOwned: podName !== '',
      seed: this.#seed,
    });
    this.#driver = new Driver(writerMachine, initial, { perform: (output) => this.#perform(output), clock });
  }

  start(): void {
    this.#driver.feed({ kind: 'start' });
  }

  /** Sets the desired state of an object; undefined: delete it. Never fails. */
  set(resource: ResourceName, name: string, desired: Desired | undefined): void {
    this.#driver.feed({ kind: 'set', resource, name, desired });
  }

  /** To be called once all desired objects are set: deletes all others with our labels. */
  sweep(): void {
    this.#driver.feed({ kind: 'sweep' });
  }

  /** Passes on a change of a resource that the process watches itself. */
  observe(resource: ResourceName, change: ReflectedChange): void {
    const isHere = ({ metadata }: KubernetesObject) => metadata.namespace === this.#options.namespace;
    if (change.kind === 'replaced') {
      const { objects, version } = change;
      this.#driver.feed({ kind: 'replaced', resource, objects: objects.filter(isHere), version });
    } else if (isHere(change.object)) this.#driver.feed({ ...change, resource });
  }

  /** Sends nothing more. Calls back when no request is in flight any more, or after a timeout. */
  stop(onStopped: () => void = () => {}): void {
    for (const reflector of this.#reflectors.values()) reflector.stop();
    this.#reflectors.clear();
    this.#onStopped = onStopped;
    this.#driver.feed({ kind: 'stop' });
  }

  #perform(output: WriterOutput): void {
    switch (output.kind) {
      case 'send':
        this.#send(output.id, output.call);
        return;
      case 'watch':
        this.#watch(output.resource as ResourceName);
        return;
      case 'unwatch':
        this.#reflectors.get(output.resource)?.stop();
        this.#reflectors.delete(output.resource);
        return;
      case 'trouble':
        this.#options.onTrouble(output.message, output.what);
        return;
      case 'stopped':
        this.#driver.stop();
        this.#onStopped();
        return;
      default:
        this.#options.onDone?.(output.kind, output.resource as ResourceName, output.name);
    }
  }

  #watch(resource: ResourceName): void {
    const { client, namespace, watched, clock, onTrouble } = this.#options;
    const reflector = new Reflector({
      client,
      clock,
      seed: this.#seed,
      resource,
      namespace,
      ...watched[resource],
      onChange: (change) => this.observe(resource, change),
      onTrouble: (_, message) => onTrouble(message, 'failed'),
    });
    this.#reflectors.set(resource, reflector);
    reflector.start();
  }

  #send(id: number, call: WriteCall): void {
    this.#options.client.send<KubernetesObject & ListAnswer>(this.#requestOf(call), (given) => {
      const answer: WriteAnswer = given.ok
        ? { ok: true, objects: call.verb === 'list' ? (given.body.items ?? []) : [given.body] }
        : { ok: false, status: given.failure.status, message: given.failure.message };
      this.#driver.feed({ kind: 'answered', id, answer });
    });
  }

  #requestOf(call: WriteCall): ApiRequest {
    const { namespace, podName, fieldManager, watched } = this.#options;
    if (call.verb === 'read-owner') return { path: objectPath('pods', `${namespace}/${podName}`) };
    const resource = call.resource as ResourceName;
    const collection = collectionPath(resource, namespace);
    if (call.verb === 'look') return { path: collection, query: { limit: 1, ...watched[resource] } };
    if (call.verb === 'list') return { path: collection, query: { labelSelector: selectorOf(call.labels) } };
    const path = objectPath(resource, `${namespace}/${call.name}`);
    switch (call.verb) {
      case 'read':
        return { path };
      case 'create':
        return { method: 'POST', path: collection, body: call.body };
      case 'replace':
        return { method: 'PUT', path, body: call.body };
      case 'delete':
        return {
          method: 'DELETE',
          path,
          ...(call.uid !== undefined && { body: { preconditions: { uid: call.uid } } }),
        };
      case 'apply':
        return {
          method: 'PATCH',
          path: objectPath(resource, `${namespace}/${call.name}`, call.subresource),
          query: { fieldManager, force: true },
          contentType: APPLY_PATCH,
          body: call.body,
        };
    }
  }
}

/** The labels as a `labelSelector` of the API. */
export function selectorOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map((pair) => pair.join('='))
    .join();
}
