/**
 * Performs the lists and watches of the reflector machine.
 * @module
 */
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import {
  type AfterFailure,
  initialReflector,
  type ReflectorInput,
  type ReflectorOutput,
  type ReflectorState,
  reflectorMachine,
} from '../../core/kubernetes/reflector/fsm.ts';
import type { Cancel, Clock } from '../driver/clock.ts';
import { Driver, type DriverOptions } from '../driver/driver.ts';
import { collectionPath, type ResourceName } from './resources.ts';
import type { ApiFailure, ApiTransport } from './transport.ts';

export type ReflectedChange =
  /** `version`: of the list. */
  | { readonly kind: 'replaced'; readonly objects: readonly KubernetesObject[]; readonly version: string }
  | { readonly kind: 'applied'; readonly object: KubernetesObject }
  | { readonly kind: 'deleted'; readonly object: KubernetesObject };

export interface ReflectorOptions {
  readonly client: ApiTransport;
  readonly resource: ResourceName;
  /** Undefined: all namespaces, or a cluster-scoped resource. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly onChange: (change: ReflectedChange) => void;
  /** What was reported may be out of date; the next change is `replaced`. */
  readonly onInterrupted?: (() => void) | undefined;
  readonly onTrouble: (what: string, message: string) => void;
  /** Default: resume. */
  readonly afterFailure?: AfterFailure | undefined;
  /** Default: the clock of this process. */
  readonly clock?: Clock | undefined;
  /** Seed of the jitter; default: random. */
  readonly seed?: number | undefined;
  readonly record?: DriverOptions<ReflectorInput, ReflectorOutput>['record'];
}

interface ListAnswer {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items?: readonly KubernetesObject[];
}

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #driver: Driver<ReflectorState, ReflectorInput, ReflectorOutput>;
  #cancel: Cancel | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    const { clock, record, afterFailure, seed = Math.trunc(Math.random() * 2 ** 32) } = options;
    this.#driver = new Driver(reflectorMachine, initialReflector(seed, afterFailure), {
      perform: (output) => this.#perform(output),
      clock,
      record,
    });
  }

  start(): void {
    this.#driver.feed({ kind: 'start' });
  }

  /** Abandons the request in flight and lists again; the result is at least as new as this call. */
  relist(): void {
    this.#driver.feed({ kind: 'relist' });
  }

  stop(): void {
    this.#driver.stop();
    this.#cancel?.();
  }

  #perform(output: ReflectorOutput): void {
    switch (output.kind) {
      case 'list':
        this.#list(output);
        return;
      case 'watch':
        this.#watch(output);
        return;
      case 'abandon':
        this.#cancel?.();
        return;
      case 'interrupted':
        this.#options.onInterrupted?.();
        return;
      case 'reported':
        this.#options.onTrouble(output.what, output.message);
        return;
      default:
        this.#options.onChange(output);
    }
  }

  #list({ request, limit, continue: token }: Extract<ReflectorOutput, { kind: 'list' }>): void {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const path = collectionPath(resource, namespace);
    const query = { limit, continue: token, labelSelector, fieldSelector };
    this.#cancel = client.send<ListAnswer>({ path, query }, (answer) => {
      if (!answer.ok) return this.#failed(request, answer.failure);
      const { metadata, items = [] } = answer.body;
      const { resourceVersion, continue: more } = metadata;
      this.#driver.feed({
        kind: 'page-received',
        request,
        items: items.map(forget),
        resourceVersion,
        ...(more && { continue: more }),
      });
    });
  }

  #watch({ request, resourceVersion, timeoutSeconds }: Extract<ReflectorOutput, { kind: 'watch' }>): void {
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
    this.#cancel = client.open(
      { path, query },
      {
        onOpen: () => this.#driver.feed({ kind: 'watch-opened', request }),
        onEvent: (type, object) => this.#driver.feed({ kind: 'event-received', request, type, object: forget(object) }),
        onClose: (failure) => {
          if (failure === undefined) this.#driver.feed({ kind: 'watch-closed', request });
          else this.#failed(request, failure);
        },
      },
    );
  }

  #failed(request: number, { status, message }: ApiFailure): void {
    this.#driver.feed({ kind: 'failed', request, status, message });
  }
}

/** Drops managedFields, which are often half of an object and never read here. */
function forget(object: KubernetesObject): KubernetesObject {
  const metadata = object.metadata as { managedFields?: unknown } | undefined;
  if (metadata !== undefined) delete metadata.managedFields;
  return object;
}
