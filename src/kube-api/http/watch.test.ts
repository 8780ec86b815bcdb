import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HttpRequest } from '../../adapters/http/server.ts';
import type { Resource } from '../rules/resource.ts';
import { parseSelectors } from '../storage/query-selectors.ts';
import { Store } from '../storage/store.ts';
import { watch } from './watch.ts';

const RESOURCE: Resource = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  singular: 'configmap',
  kind: 'ConfigMap',
  namespaced: true,
  hasStatus: false,
  columns: [],
  check: (value) => ({ value, faults: [], unknown: [] }),
};

let store: Store;
let client: AbortController;
beforeEach(() => {
  store = new Store(':memory:');
  client = new AbortController();
});
afterEach(() => {
  client.abort();
  store.close();
});

const put = (name: string, text = '') =>
  store.put('configmaps', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n' }, text });

function begin(query: Record<string, string>, bookmarkInterval = 3_600_000) {
  const request: HttpRequest = {
    method: 'GET',
    path: '/',
    query: new URLSearchParams(query),
    headers: {},
    body: Buffer.alloc(0),
  };
  const target = { resource: RESOURCE, namespace: 'n', name: undefined, subresource: undefined };
  const options = { store, bookmarkInterval, now: () => 0 };
  const answer = watch(request, target, parseSelectors(null, null), options, new AbortController().signal);
  const stream = (answer.stream?.(client.signal) ?? one(answer.body as string))[Symbol.asyncIterator]();
  /** The events of the next chunk. */
  const next = async () => {
    const { value, done } = await stream.next();
    if (done) return 'end';
    return String(value)
      .trim()
      .split('\n')
      .map((line) => {
        const { type, object } = JSON.parse(line);
        return `${type} ${object.metadata?.name || object.code || object.metadata.resourceVersion}`;
      });
  };
  return { next };
}

async function* one(text: string): AsyncGenerator<string> {
  yield text;
}

it('shows what there is, and then each change', async () => {
  put('a');
  const { next } = begin({});
  expect(await next()).toEqual(['ADDED a']);
  put('b');
  put('a', 'new');
  expect(await next()).toEqual(['ADDED b', 'MODIFIED a']);
  const waiting = next();
  put('c');
  expect(await waiting).toEqual(['ADDED c']);
});

it('holds nothing for a client that does not read, and cuts it off once the history has gone on', async () => {
  const { next } = begin({ resourceVersion: String(store.version) });
  put('a');
  expect(await next()).toEqual(['ADDED a']);
  for (let i = 0; i < 20; i++) put('a', 'x'.repeat(10_000));
  // About 64 KiB at a time, however much waits.
  expect(await next()).toHaveLength(7);
  store.compact();
  put('b');
  await expect(async () => {
    for (;;) await next();
  }).rejects.toMatchObject({ code: 410 });
});

it('tells a client that comes too late so, and ends', async () => {
  put('a');
  store.compact();
  const { next } = begin({ resourceVersion: '1' });
  expect(await next()).toEqual(['ERROR 410']);
  expect(await next()).toBe('end');
});

it('sends bookmarks only of what the client has', async () => {
  const { next } = begin({ allowWatchBookmarks: 'true' }, 1);
  expect(await next()).toEqual([`BOOKMARK ${store.version}`]);
  put('a');
  expect(await next()).toEqual(['ADDED a']);
  expect(await next()).toEqual([`BOOKMARK ${store.version}`]);
});

it('ends with its client', async () => {
  const { next } = begin({});
  const waiting = next();
  client.abort();
  expect(await waiting).toBe('end');
});

it('is refused with a version that is no number', () => {
  expect(() => begin({ resourceVersion: 'x' })).toThrow(expect.objectContaining({ code: 400 }));
});
