/**
 * Lists, pages of lists, and watches.
 * @module
 */
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { inVersion, storeKey } from '../rules/resource.ts';
import { StatusError } from '../status.ts';
import { parseSelectors } from '../storage/query-selectors.ts';
import type { ApiObject } from '../storage/store.ts';
import { json, listObject, tableOf, wantsTable } from './representation.ts';
import type { CollectionOptions, Target } from './target.ts';
import { watch } from './watch.ts';

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
  readonly #watches = new AbortController();
  #nextPage = 1;

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** Ends every open watch. */
  close(): void {
    this.#watches.abort();
  }

  /** GET of a collection: a list, a page of a list, or a watch. */
  get(request: HttpRequest, target: Target): HttpResponse {
    const { resource, namespace } = target;
    const { query } = request;
    const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
    if (query.get('watch') === 'true' || query.get('watch') === '1')
      return watch(request, target, matches, this.#options, this.#watches.signal);
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
}
