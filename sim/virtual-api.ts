/**
 * An API server in a few lines: versions, conflicts, watches with history, outages and compaction.
 * @module
 */
import { type KubernetesObject, objectKey } from '../src/core/api/kubernetes.ts';
import {
  initialReflector,
  type ReflectorInput,
  type ReflectorOutput,
  type ReflectorState,
  reflectorMachine,
} from '../src/core/kubernetes/reflector/fsm.ts';
import { type Gate, type VirtualClock, VirtualDriver } from './clock.ts';
import type { Random } from './random.ts';

interface HistoryEntry {
  readonly version: number;
  readonly resource: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubernetesObject;
}

interface Watch {
  readonly resource: string;
  readonly onEvent: (type: string, object: KubernetesObject) => void;
  readonly onClose: () => void;
}

export type WriteResult =
  | { readonly ok: true; readonly object: KubernetesObject }
  | { readonly ok: false; readonly status: number };

export class VirtualApi {
  isUp = true;
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  readonly #history: HistoryEntry[] = [];
  readonly #watches = new Set<Watch>();
  #version = 1;
  #compacted = 1;

  all(resource: string): KubernetesObject[] {
    return [...(this.#objects.get(resource)?.values() ?? [])];
  }

  get(resource: string, key: string): KubernetesObject | undefined {
    return this.#objects.get(resource)?.get(key);
  }

  get version(): number {
    return this.#version;
  }

  /** Writes whatever is there; what a user with kubectl does. */
  put(resource: string, object: KubernetesObject): KubernetesObject {
    const key = objectKey(object);
    const type = this.get(resource, key) === undefined ? 'ADDED' : 'MODIFIED';
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version + 1) } };
    const objects = this.#objects.get(resource) ?? new Map<string, KubernetesObject>();
    this.#objects.set(resource, objects.set(key, stored));
    this.#tell(resource, type, stored);
    return stored;
  }

  remove(resource: string, key: string): void {
    const object = this.get(resource, key);
    if (object === undefined) return;
    this.#objects.get(resource)!.delete(key);
    this.#tell(resource, 'DELETED', {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(this.#version + 1) },
    });
  }

  /** A write that must fail when the object has changed since `resourceVersion`. */
  update(
    resource: string,
    key: string,
    resourceVersion: string | undefined,
    change: (object: KubernetesObject) => KubernetesObject,
  ): WriteResult {
    if (!this.isUp) return { ok: false, status: 0 };
    const old = this.get(resource, key);
    if (old === undefined) return { ok: false, status: 404 };
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
      return { ok: false, status: 409 };
    return { ok: true, object: this.put(resource, change(old)) };
  }

  /** Creates what must not be there yet. */
  create(resource: string, object: KubernetesObject): WriteResult {
    if (!this.isUp) return { ok: false, status: 0 };
    if (this.get(resource, objectKey(object)) !== undefined) return { ok: false, status: 409 };
    return { ok: true, object: this.put(resource, object) };
  }

  watch(watch: Watch, since: number): boolean {
    if (since < this.#compacted) return false;
    for (const entry of this.#history)
      if (entry.version > since && entry.resource === watch.resource) watch.onEvent(entry.type, entry.object);
    this.#watches.add(watch);
    return true;
  }

  forget(watch: Watch): void {
    this.#watches.delete(watch);
  }

  /** Breaks every watch, as a restart or a load balancer in between does. */
  resetWatches(): void {
    for (const watch of [...this.#watches]) {
      this.#watches.delete(watch);
      watch.onClose();
    }
  }

  /** Watches that resume from before now are told 410. */
  compact(): void {
    this.#history.length = 0;
    this.#compacted = this.#version;
  }

  #tell(resource: string, type: HistoryEntry['type'], object: KubernetesObject): void {
    this.#version++;
    this.#history.push({ version: this.#version, resource, type, object });
    for (const watch of [...this.#watches]) if (watch.resource === resource) watch.onEvent(type, object);
  }
}

type ReflectedChange = Extract<ReflectorOutput, { kind: 'replaced' | 'applied' | 'deleted' }>;

/** The real reflector machine against the virtual server, with latency. */
export class VirtualReflector {
  readonly #driver: VirtualDriver<ReflectorState, ReflectorInput, ReflectorOutput>;
  readonly #api: VirtualApi;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #resource: string;
  readonly #gate: Gate;
  #open: Watch | undefined;
  #stopped = false;

  constructor(
    api: VirtualApi,
    clock: VirtualClock,
    random: Random,
    resource: string,
    onChange: (change: ReflectedChange) => void,
    gate: Gate = (run) => run(),
  ) {
    this.#api = api;
    this.#clock = clock;
    this.#random = random;
    this.#resource = resource;
    this.#gate = gate;
    const perform = (output: ReflectorOutput) => {
      if (output.kind === 'list') this.#later(() => this.#list(output.request));
      else if (output.kind === 'watch') this.#later(() => this.#watch(output.request, Number(output.resourceVersion)));
      else if (output.kind === 'abandon') this.#close();
      else if (output.kind !== 'reported') onChange(output);
    };
    this.#driver = new VirtualDriver(
      reflectorMachine,
      initialReflector(random.between(1, 2 ** 31)),
      clock,
      perform,
      gate,
    );
  }

  start(): void {
    this.#driver.feed({ kind: 'start' });
  }

  relist(): void {
    this.#driver.feed({ kind: 'relist' });
  }

  stop(): void {
    this.#stopped = true;
    this.#driver.stop();
    this.#close();
  }

  #feed(input: ReflectorInput): void {
    this.#gate(() => this.#driver.feed(input));
  }

  #later(run: () => void): void {
    this.#clock.after(this.#random.between(1, 20), () => {
      if (!this.#stopped) run();
    });
  }

  #list(request: number): void {
    if (!this.#api.isUp) {
      this.#feed({ kind: 'failed', request, status: 0, message: 'ECONNREFUSED' });
      return;
    }
    const answer = { items: this.#api.all(this.#resource), resourceVersion: String(this.#api.version) };
    this.#later(() => this.#feed({ kind: 'page-received', request, ...answer }));
  }

  #watch(request: number, since: number): void {
    // Given up while it was on its way: a real request would have been aborted.
    if (request !== this.#driver.state.request) return;
    this.#close();
    const feed = (input: ReflectorInput) => this.#later(() => this.#feed(input));
    if (!this.#api.isUp) {
      feed({ kind: 'failed', request, status: 0, message: 'ECONNREFUSED' });
      return;
    }
    // Events of one watch come in order: each is handed on no earlier than the one before.
    let last = this.#clock.now;
    const inOrder = (input: ReflectorInput) => {
      last = Math.max(last, this.#clock.now + this.#random.between(1, 10));
      this.#clock.after(last - this.#clock.now, () => this.#feed(input));
    };
    const watch: Watch = {
      resource: this.#resource,
      onEvent: (type, object) => inOrder({ kind: 'event-received', request, type, object }),
      onClose: () => inOrder({ kind: 'failed', request, status: 0, message: 'ECONNRESET' }),
    };
    inOrder({ kind: 'watch-opened', request });
    if (this.#api.watch(watch, since)) this.#open = watch;
    else inOrder({ kind: 'failed', request, status: 410, message: 'too old resource version' });
  }

  #close(): void {
    if (this.#open !== undefined) this.#api.forget(this.#open);
    this.#open = undefined;
  }
}
