/**
 * Watches. Each reads the history of the store at the pace of its client: what waits for a slow one is kept once, for all, and whoever
 * falls out of the history is cut off and lists anew, as with a real API server.
 * @module
 */
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { groupVersion, inVersion, storeKey } from '../rules/resource.ts';
import { StatusError } from '../status.ts';
import type { Matcher } from '../storage/query-selectors.ts';
import type { ApiObject, Store, StoredChange } from '../storage/store.ts';
import { TABLE, tableOf, wantsTable } from './representation.ts';
import type { CollectionOptions, Target } from './target.ts';

/** How long a watch lasts that names no end, in milliseconds. */
const LIFETIME = 30 * 60_000;

/** Events are sent together up to about this many characters, so that a client that does not read holds up no more. */
const CHUNK = 64 * 1024;

/** Answers a watch. `closing` ends it. Throws 400 for a resourceVersion that is none. */
export function watch(
  request: HttpRequest,
  { resource, namespace, name }: Target,
  matches: Matcher,
  { store, bookmarkInterval, now }: CollectionOptions,
  closing: AbortSignal,
): HttpResponse {
  const { query } = request;
  const key = storeKey(resource);
  const asTable = wantsTable(request);
  const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
  const shown = (object: ApiObject) => {
    const own = inVersion(resource, object);
    return asTable ? tableOf(request, resource, [own], String(own.metadata.resourceVersion), now()) : own;
  };
  const sees = (object: ApiObject | undefined) =>
    object !== undefined &&
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (name === undefined || object.metadata.name === name) &&
    matches(object);
  const told = ({ resource: changed, type, object, previous }: StoredChange): string => {
    if (changed !== key) return '';
    const [before, after] = [sees(previous), type !== 'DELETED' && sees(object)];
    if (!before && !after) return '';
    return event(after ? (before ? 'MODIFIED' : 'ADDED') : 'DELETED', shown(object));
  };
  const bookmark = (version: number) => {
    const metadata = { resourceVersion: String(version), name: '' };
    const object: ApiObject = { kind: resource.kind, apiVersion: groupVersion(resource), metadata };
    return event('BOOKMARK', asTable ? tableOf(request, resource, [], metadata.resourceVersion, now()) : object);
  };

  const since = query.get('resourceVersion');
  const fromNow = since === null || since === '' || since === '0';
  const start = fromNow ? store.version : Number(since);
  if (!Number.isSafeInteger(start))
    throw new StatusError(400, `Invalid value: ${JSON.stringify(since)}: resourceVersion is not a number`);
  const headers = { 'content-type': asTable ? TABLE : 'application/json' };
  const expired = expiry(store, start);
  if (expired !== undefined) return { status: 200, headers, body: event('ERROR', expired.toObject()) };
  const initial = fromNow ? store.list(key, namespace).filter(sees) : [];
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  const lifetime = seconds > 0 ? seconds * 1000 : LIFETIME;
  const bookmarks = query.get('allowWatchBookmarks') === 'true' ? bookmarkInterval : undefined;

  async function* stream(signal: AbortSignal): AsyncGenerator<string> {
    let version = start;
    for (let at = 0; at < initial.length; ) {
      const [text, count] = chunkOf(initial.slice(at), (object) => event('ADDED', shown(object)));
      at += count;
      yield text;
    }
    const alarm = new Alarm(store, lifetime, bookmarks, [signal, closing]);
    try {
      while (!alarm.hasEnded) {
        const changes = store.changesAfter(version);
        const [text, count] = chunkOf(changes, told);
        version = changes[count - 1]?.version ?? version;
        if (text !== '') yield text;
        if (version < store.version) continue;
        if (alarm.takeBookmark()) yield bookmark(version);
        else await alarm.next();
      }
    } finally {
      alarm.stop();
    }
  }
  return { status: 200, headers, stream };
}

/** The texts of as many items as go together, and how many these are. */
function chunkOf<T>(items: readonly T[], text: (item: T) => string): readonly [text: string, count: number] {
  let chunk = '';
  let count = 0;
  while (count < items.length && chunk.length < CHUNK) chunk += text(items[count++]!);
  return [chunk, count];
}

/** Why no watch can begin after this version; undefined if one can. */
function expiry(store: Store, version: number): StatusError | undefined {
  try {
    store.changesAfter(version);
    return undefined;
  } catch (error) {
    return error as StatusError;
  }
}

/** Wakes a watch: there is a change, a bookmark is due, or it is over. */
class Alarm {
  hasEnded = false;
  #bookmarkIsDue = false;
  #wake: () => void = () => {};
  readonly #stops: (() => void)[];

  constructor(store: Store, lifetime: number, bookmarks: number | undefined, ends: readonly AbortSignal[]) {
    const end = () => {
      this.hasEnded = true;
      this.#wake();
    };
    const timer = setTimeout(end, lifetime);
    const ticker = bookmarks === undefined ? undefined : setInterval(() => this.#due(), bookmarks);
    if (ends.some(({ aborted }) => aborted)) this.hasEnded = true;
    for (const signal of ends) signal.addEventListener('abort', end);
    this.#stops = [
      store.onChange(() => this.#wake()),
      () => clearTimeout(timer),
      () => clearInterval(ticker),
      ...ends.map((signal) => () => signal.removeEventListener('abort', end)),
    ];
  }

  #due(): void {
    this.#bookmarkIsDue = true;
    this.#wake();
  }

  takeBookmark(): boolean {
    const isDue = this.#bookmarkIsDue;
    this.#bookmarkIsDue = false;
    return isDue;
  }

  /** Resolves when something has happened. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.hasEnded) resolve();
    });
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }
}
