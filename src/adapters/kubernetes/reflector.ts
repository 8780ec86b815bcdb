/**
 * Performs what the reflector machine asks for: real lists and real watches.
 * @module
 */
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import {
  INITIAL_REFLECTOR,
  type ReflectorInput,
  type ReflectorOutput,
  type ReflectorState,
  reflectorMachine,
} from '../../core/kubernetes/reflector/fsm.ts';
import { Driver } from '../driver/driver.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import { collectionPath, type ResourceName } from './resources.ts';

export type ReflectedChange =
  | { readonly kind: 'replaced'; readonly objects: readonly KubernetesObject[] }
  | { readonly kind: 'applied'; readonly object: KubernetesObject }
  | { readonly kind: 'deleted'; readonly object: KubernetesObject };

export interface ReflectorOptions {
  readonly client: KubernetesClient;
  readonly resource: ResourceName;
  /** Undefined: all namespaces, or a cluster-scoped resource. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly onChange: (change: ReflectedChange) => void;
  readonly onTrouble: (what: string, message: string) => void;
}

interface ListAnswer {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items?: readonly KubernetesObject[];
}

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #driver: Driver<ReflectorState, ReflectorInput, ReflectorOutput>;
  #request: AbortController | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#driver = new Driver(reflectorMachine, INITIAL_REFLECTOR, { perform: (output) => this.#perform(output) });
  }

  start(): void {
    this.#driver.feed({ kind: 'start' });
  }

  /** Gives up what is under way and reads the whole collection, as it is now or later. */
  listAnew(): void {
    this.#driver.feed({ kind: 'list-anew' });
  }

  stop(): void {
    this.#driver.stop();
    this.#request?.abort();
  }

  #perform(output: ReflectorOutput): void {
    switch (output.kind) {
      case 'list':
        void this.#list(output);
        return;
      case 'watch':
        void this.#watch(output);
        return;
      case 'abandon':
        this.#request?.abort();
        return;
      case 'reported':
        this.#options.onTrouble(output.what, output.message);
        return;
      default:
        this.#options.onChange(output);
    }
  }

  async #list({ request, limit, continue: token }: Extract<ReflectorOutput, { kind: 'list' }>): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const path = collectionPath(resource, namespace);
    try {
      const query = { limit, continue: token, labelSelector, fieldSelector };
      const answer = await client.request<ListAnswer>({ path, query, signal: this.#open() });
      const { resourceVersion, continue: more } = answer.metadata;
      const items = (answer.items ?? []).map(forget);
      this.#driver.feed({ kind: 'page-received', request, items, resourceVersion, ...(more && { continue: more }) });
    } catch (error) {
      this.#failed(request, error);
    }
  }

  async #watch({
    request,
    resourceVersion,
    timeoutSeconds,
  }: Extract<ReflectorOutput, { kind: 'watch' }>): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const path = collectionPath(resource, namespace);
    const query = {
      watch: true,
      resourceVersion,
      timeoutSeconds,
      allowWatchBookmarks: true,
      labelSelector,
      fieldSelector,
    };
    try {
      await client.watch(
        { path, query, signal: this.#open() },
        () => this.#driver.feed({ kind: 'watch-opened', request }),
        (type, object) => this.#driver.feed({ kind: 'event-received', request, type, object: forget(object) }),
      );
      this.#driver.feed({ kind: 'watch-closed', request });
    } catch (error) {
      this.#failed(request, error);
    }
  }

  #open(): AbortSignal {
    this.#request = new AbortController();
    return this.#request.signal;
  }

  #failed(request: number, error: unknown): void {
    const status = error instanceof ApiError ? error.status : 0;
    this.#driver.feed({ kind: 'failed', request, status, message: (error as Error).message });
  }
}

/** managedFields are often half of an object and nobody here reads them. */
function forget(object: KubernetesObject): KubernetesObject {
  const metadata = object.metadata as { managedFields?: unknown } | undefined;
  if (metadata !== undefined) delete metadata.managedFields;
  return object;
}
