/**
 * An API server in a few lines: requests by path, versions, conflicts, watches with history and bookmarks; outages, slowness, compaction.
 * @module
 */
import type {
  ApiAnswer,
  ApiFailure,
  ApiRequest,
  ApiTransport,
  WatchHandlers,
} from '../src/adapters/kubernetes/transport.ts';
import { type KubernetesObject, objectKey } from '../src/core/api/kubernetes.ts';
import { mergePatch } from '../src/core/api/merge-patch.ts';
import type { VirtualClock } from './clock.ts';
import type { Random } from './random.ts';
import type { VirtualProcess } from './virtual-process.ts';

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

interface HistoryEntry {
  readonly version: number;
  readonly resource: string;
  readonly type: EventType;
  readonly object: KubernetesObject;
}

interface Watch {
  readonly resource: string;
  readonly matches: (object: KubernetesObject) => boolean;
  readonly onEvent: (type: EventType, object: KubernetesObject) => void;
  /** Undefined: healthy. */
  readonly onClose: (failure: ApiFailure | undefined) => void;
}

/** Milliseconds between bookmarks, as a real server has them. */
const BOOKMARK_INTERVAL = 60_000;

/** `[/namespaces/NAMESPACE]/RESOURCE[/NAME[/status]]` of any group. */
const PATH =
  /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([a-z0-9]+)(?:\/([^/]+))?(?:\/(status))?$/;

export class VirtualApi {
  isUp = true;
  /** Extra milliseconds that a request or an answer takes. */
  delay = 0;
  /** Share of the requests that the server refuses, 0 to 1. */
  refusals = 0;
  readonly #clock: VirtualClock;
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  readonly #versions = new Map<string, number>();
  readonly #history: HistoryEntry[] = [];
  readonly #watches = new Set<Watch>();
  #version = 1;
  #compacted = 1;
  #uid = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.#clock.after(BOOKMARK_INTERVAL, () => this.#bookmark());
  }

  all(resource: string): KubernetesObject[] {
    return [...(this.#objects.get(resource)?.values() ?? [])];
  }

  get(resource: string, key: string): KubernetesObject | undefined {
    return this.#objects.get(resource)?.get(key);
  }

  /** Of the last change of any such object. */
  versionOf(resource: string): number {
    return this.#versions.get(resource) ?? 0;
  }

  /** Writes regardless of what is stored, as a user with kubectl does. */
  put(resource: string, object: KubernetesObject): KubernetesObject {
    const key = objectKey(object);
    const old = this.get(resource, key);
    const { uid = old?.metadata.uid ?? `object-${++this.#uid}` } = object.metadata;
    const metadata = { ...object.metadata, uid, resourceVersion: String(this.#version + 1) };
    const stored = { ...object, metadata };
    const objects = this.#objects.get(resource) ?? new Map<string, KubernetesObject>();
    this.#objects.set(resource, objects.set(key, stored));
    this.#tell(resource, old === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  remove(resource: string, key: string): KubernetesObject | undefined {
    const object = this.get(resource, key);
    if (object === undefined) return undefined;
    this.#objects.get(resource)!.delete(key);
    const metadata = { ...object.metadata, resourceVersion: String(this.#version + 1) };
    this.#tell(resource, 'DELETED', { ...object, metadata });
    return object;
  }

  /** Answers everything except a watch. */
  handle(request: ApiRequest): ApiAnswer<unknown> {
    const { method = 'GET', path, body } = request;
    const place = locate(path);
    if (place === undefined) return refuse(request, 404, 'NotFound');
    const { resource, key, subresource } = place;
    if (method === 'POST') return this.#create(request, resource, body as KubernetesObject);
    if (key === undefined) {
      const items = this.all(resource).filter(matcher(request, place.namespace));
      return { ok: true, body: { metadata: { resourceVersion: String(this.#version) }, items } };
    }
    const old = this.get(resource, key);
    if (method === 'PATCH' && request.contentType?.includes('apply') === true)
      return this.#apply(request, place, old, body as KubernetesObject);
    if (old === undefined) return refuse(request, 404, 'NotFound');
    if (method === 'GET') return { ok: true, body: old };
    if (method === 'DELETE') return { ok: true, body: this.remove(resource, key) };
    const given = body as KubernetesObject;
    const version = given.metadata?.resourceVersion;
    if (version !== undefined && version !== old.metadata.resourceVersion) return refuse(request, 409, 'Conflict');
    if (method === 'PUT') return { ok: true, body: this.put(resource, given) };
    const { spec: _, ...ofStatus } = given as KubernetesObject & { spec?: unknown };
    const patch = subresource === undefined ? given : ofStatus;
    return { ok: true, body: this.put(resource, mergePatch(old, patch) as KubernetesObject) };
  }

  /** False: the history does not go back that far. */
  watch(watch: Watch, since: number): boolean {
    if (since < this.#compacted) return false;
    for (const entry of this.#history)
      if (entry.version > since && entry.resource === watch.resource && watch.matches(entry.object))
        watch.onEvent(entry.type, entry.object);
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
      watch.onClose({ status: 0, reason: 'NoAnswer', message: 'ECONNRESET' });
    }
  }

  /** Watches that resume from before now are told 410. */
  compact(): void {
    this.#history.length = 0;
    this.#compacted = this.#version;
  }

  #create(request: ApiRequest, resource: string, object: KubernetesObject): ApiAnswer<unknown> {
    if (this.get(resource, objectKey(object)) !== undefined) return refuse(request, 409, 'AlreadyExists');
    return { ok: true, body: this.put(resource, object) };
  }

  /** As server-side apply by one owner of each field: what is given replaces what is there, field by field of the top level. */
  #apply(
    request: ApiRequest,
    { resource, subresource }: Place,
    old: KubernetesObject | undefined,
    given: KubernetesObject,
  ): ApiAnswer<unknown> {
    if (old === undefined && subresource !== undefined) return refuse(request, 404, 'NotFound');
    const metadata = mergePatch(old?.metadata, given.metadata) as KubernetesObject['metadata'];
    return { ok: true, body: this.put(resource, { ...old, ...given, metadata }) };
  }

  #bookmark(): void {
    const object = { metadata: { name: '', resourceVersion: String(this.#version) } };
    if (this.isUp) for (const { onEvent } of this.#watches) onEvent('BOOKMARK', object);
    this.#clock.after(BOOKMARK_INTERVAL, () => this.#bookmark());
  }

  #tell(resource: string, type: EventType, object: KubernetesObject): void {
    this.#version++;
    this.#versions.set(resource, this.#version);
    this.#history.push({ version: this.#version, resource, type, object });
    for (const watch of [...this.#watches])
      if (watch.resource === resource && watch.matches(object)) watch.onEvent(type, object);
  }
}

interface Place {
  readonly resource: string;
  readonly namespace: string | undefined;
  /** Undefined: the whole collection. */
  readonly key: string | undefined;
  readonly subresource: string | undefined;
}

/** By path: there are few, and each is asked for again and again. */
const places = new Map<string, Place | undefined>();

function locate(path: string): Place | undefined {
  if (!places.has(path)) places.set(path, parsePath(path));
  return places.get(path);
}

function parsePath(path: string): Place | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const [namespace, resource, name, subresource] = match.slice(1).map((part) => part && decodeURIComponent(part));
  return { resource: resource!, namespace, key: name && `${namespace ?? ''}/${name}`, subresource };
}

/** What a list or a watch is about: namespace, labels as `key=value,…`, fields by name alone. */
function matcher({ query = {} }: ApiRequest, namespace: string | undefined): (object: KubernetesObject) => boolean {
  const labels = String(query.labelSelector ?? '')
    .split(',')
    .filter(Boolean)
    .map((pair) => pair.split('='));
  const name = /^metadata\.name=(.*)$/.exec(String(query.fieldSelector ?? ''))?.[1];
  return ({ metadata }) =>
    (namespace === undefined || metadata.namespace === namespace) &&
    (name === undefined || metadata.name === name) &&
    labels.every(([key, value]) => metadata.labels?.[key!] === value);
}

function refuse(
  { method = 'GET', path }: ApiRequest,
  status: number,
  reason: string,
): { ok: false; failure: ApiFailure } {
  return { ok: false, failure: { status, reason, message: `${method} ${path}: ${reason}` } };
}

/** How one process reaches the API server: with latency, and through the gates of the process. */
export class VirtualTransport implements ApiTransport {
  readonly #api: VirtualApi;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #process: VirtualProcess;
  readonly #guard: (request: ApiRequest, send: () => void) => void;

  /** `guard` stands before every request, and may let the process die there. */
  constructor(
    { api, clock, random }: { readonly api: VirtualApi; readonly clock: VirtualClock; readonly random: Random },
    process: VirtualProcess,
    guard: (request: ApiRequest, send: () => void) => void = (_, send) => send(),
  ) {
    this.#api = api;
    this.#clock = clock;
    this.#random = random;
    this.#process = process;
    this.#guard = guard;
  }

  send<T>(request: ApiRequest, onAnswer: (answer: ApiAnswer<T>) => void) {
    let isCancelled = false;
    const channel = {};
    const deliver = (answer: ApiAnswer<unknown>) =>
      this.#process.main.run(channel, () => {
        if (!isCancelled) onAnswer(answer as ApiAnswer<T>);
      });
    // A request already sent arrives, whatever happens to its process.
    if (this.#process.touches(`sends ${request.method ?? 'GET'} ${request.path}`))
      this.#guard(request, () =>
        this.#later(() => {
          const answer = this.#refusal(request) ?? this.#api.handle(request);
          this.#later(() => deliver(answer));
        }),
      );
    return () => {
      isCancelled = true;
    };
  }

  open(request: ApiRequest, { onOpen, onEvent, onClose }: WatchHandlers) {
    let isOver = false;
    const channel = {};
    // Events of one watch come in order: each is handed on no earlier than the one before.
    let last = this.#clock.now();
    const inOrder = (run: () => void) => {
      last = Math.max(last, this.#clock.now() + this.#random.between(1, 10));
      this.#clock.at(last, () => this.#process.main.run(channel, () => !isOver && run()));
    };
    const { resource, namespace } = locate(request.path)!;
    const watch: Watch = {
      resource,
      matches: matcher(request, namespace),
      onEvent: (type, object) => {
        if (this.#process.isRunning) inOrder(() => onEvent(type, object));
        else this.#api.forget(watch);
      },
      onClose: (failure) =>
        inOrder(() => {
          isOver = true;
          onClose(failure);
        }),
    };
    const connect = () => {
      if (isOver) return;
      const { resourceVersion, timeoutSeconds = 300 } = request.query ?? {};
      const failed = this.#refusal(request);
      if (failed === undefined) inOrder(onOpen);
      if (failed !== undefined) watch.onClose(failed.failure);
      else if (!this.#api.watch(watch, Number(resourceVersion))) watch.onClose(refuse(request, 410, 'Expired').failure);
      // Servers end a watch sooner than they are asked to.
      else
        this.#clock.after(this.#random.between(20, Number(timeoutSeconds)) * 1000, () => {
          this.#api.forget(watch);
          if (!isOver) watch.onClose(undefined);
        });
    };
    if (this.#process.touches(`watches ${request.path}`)) this.#later(connect);
    return () => {
      isOver = true;
      this.#api.forget(watch);
    };
  }

  #later(run: () => void): void {
    this.#clock.after(this.#random.between(1, 15) + this.#random.between(0, this.#api.delay), run);
  }

  #refusal(request: ApiRequest): { ok: false; failure: ApiFailure } | undefined {
    if (!this.#api.isUp) return refuse(request, 0, 'NoAnswer');
    const { refusals } = this.#api;
    return refusals > 0 && this.#random.chance(refusals) ? refuse(request, 503, 'ServiceUnavailable') : undefined;
  }
}
