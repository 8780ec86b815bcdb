/**
 * Lists, pages of lists, and watches.
 * @module
 */
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { groupVersion, inVersion, type Resource, storeKey } from '../rules/resource.ts';
import { StatusError } from '../status.ts';
import { type Matcher, parseSelectors } from '../storage/query-selectors.ts';
import type { ApiObject, Store, StoredChange } from '../storage/store.ts';
import { json, listObject, TABLE, tableOf, wantsTable } from './representation.ts';

/** The resource, object or subresource that a path addresses. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface CollectionOptions {
  readonly store: Store;
  /** Milliseconds between bookmarks on a watch that asks for them. */
  readonly bookmarkInterval: number;
  readonly now: () => number;
}

/** How long a paginated list keeps its snapshot, in milliseconds: the lifetime of its `continue` token. */
const PAGE_LIFETIME = 5 * 60_000;

interface Snapshot {
  readonly objects: readonly ApiObject[];
  readonly version: string;
  readonly until: number;
}

export class Collections {
  readonly #options: CollectionOptions;
  readonly #pages = new Map<string, Snapshot>();
  readonly #watches = new Set<AbortController>();
  #nextPage = 1;

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** Ends every open watch. */
  close(): void {
    for (const watch of this.#watches) watch.abort();
  }

  /** GET of a collection: a list, a page of a list, or a watch. */
  get(request: HttpRequest, target: Target): HttpResponse {
    const { resource, namespace } = target;
    const { query } = request;
    const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
    if (query.get('watch') === 'true' || query.get('watch') === '1') return this.#watch(request, target, matches);
    const { objects, version, more, remaining } = this.#page(request, () =>
      this.#options.store
        .list(storeKey(resource), namespace)
        .filter(matches)
        .map((object) => inVersion(resource, object)),
    );
    if (wantsTable(request)) {
      const table = tableOf(request, resource, objects, version, this.#options.now());
      const rest = more === undefined ? {} : { continue: more, remainingItemCount: remaining };
      return json(200, { ...table, metadata: { ...table.metadata, ...rest } });
    }
    return json(200, listObject(resource, objects, version, more, remaining));
  }

  #page(request: HttpRequest, listAll: () => ApiObject[]) {
    const limit = Number(request.query.get('limit') ?? 0);
    const token = request.query.get('continue');
    const now = this.#options.now();
    for (const [key, { until }] of this.#pages) if (until < now) this.#pages.delete(key);
    const snapshot = token ? this.#pages.get(token) : undefined;
    if (token && snapshot === undefined) {
      throw new StatusError(
        410,
        'The provided continue parameter is too old to display a consistent list result. Start a new list without it.',
        {},
        'Expired',
      );
    }
    const all = snapshot?.objects ?? listAll();
    const version = snapshot?.version ?? String(this.#options.store.version);
    if (token) this.#pages.delete(token);
    if (!(limit > 0) || all.length <= limit) return { objects: all, version };
    const more = `page-${this.#nextPage++}-${Math.random().toString(36).slice(2)}`;
    this.#pages.set(more, { objects: all.slice(limit), version, until: now + PAGE_LIFETIME });
    return { objects: all.slice(0, limit), version, more, remaining: all.length - limit };
  }

  #watch(request: HttpRequest, { resource, namespace, name }: Target, matches: Matcher): HttpResponse {
    const { query } = request;
    const { store, bookmarkInterval, now } = this.#options;
    const key = storeKey(resource);
    const asTable = wantsTable(request);
    const line = (type: string, object: ApiObject) => {
      const shown = inVersion(resource, object);
      const body = asTable ? tableOf(request, resource, [shown], String(shown.metadata.resourceVersion), now()) : shown;
      return `${JSON.stringify({ type, object: body })}\n`;
    };
    const since = query.get('resourceVersion');
    const fromNow = since === null || since === '' || since === '0';
    const sees = (object: ApiObject | undefined) =>
      object !== undefined &&
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (name === undefined || object.metadata.name === name) &&
      matches(object);
    const start = fromNow ? store.version : Number(since);
    if (!Number.isSafeInteger(start))
      throw new StatusError(400, `Invalid value: ${JSON.stringify(since)}: resourceVersion is not a number`);
    const expired = this.#expired(start);
    const stream = async (write: (chunk: string) => void, signal: AbortSignal): Promise<void> => {
      if (expired !== undefined) {
        write(`${JSON.stringify({ type: 'ERROR', object: expired.toObject() })}\n`);
        return;
      }
      if (fromNow) for (const object of store.list(key, namespace)) if (sees(object)) write(line('ADDED', object));
      const onChange = (change: StoredChange) => {
        if (change.resource !== key) return;
        const before = sees(change.previous);
        const after = change.type !== 'DELETED' && sees(change.object);
        const type = after ? (before ? 'MODIFIED' : 'ADDED') : before ? 'DELETED' : undefined;
        if (type !== undefined) write(line(type, change.object));
      };
      const stop = store.follow(start, onChange);
      const bookmark = () => {
        const metadata = { resourceVersion: String(store.version), name: '' };
        const object: ApiObject = { kind: resource.kind, apiVersion: groupVersion(resource), metadata };
        const body = asTable ? tableOf(request, resource, [], metadata.resourceVersion, now()) : object;
        write(`${JSON.stringify({ type: 'BOOKMARK', object: body })}\n`);
      };
      const bookmarks =
        query.get('allowWatchBookmarks') === 'true' ? setInterval(bookmark, bookmarkInterval) : undefined;
      const own = new AbortController();
      this.#watches.add(own);
      const seconds = Number(query.get('timeoutSeconds') ?? 0);
      await ended(seconds > 0 ? seconds * 1000 : 30 * 60_000, signal, own.signal);
      this.#watches.delete(own);
      clearInterval(bookmarks);
      stop();
    };
    return { status: 200, headers: { 'content-type': asTable ? TABLE : 'application/json' }, stream };
  }

  #expired(start: number): StatusError | undefined {
    try {
      this.#options.store.follow(start, () => {})();
      return undefined;
    } catch (error) {
      return error as StatusError;
    }
  }
}

function ended(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((signal) => signal.aborted)) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    for (const signal of signals) {
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    }
  });
}
