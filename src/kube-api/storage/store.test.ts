import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ApiObject, Store, type StoredChange } from './store.ts';

const object = (name: string, namespace?: string, data = ''): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...(namespace !== undefined && { namespace }) },
  data,
});
const said = ({ version, type, object: { metadata } }: StoredChange) => `${version} ${type} ${metadata.name}`;

let directory: string;
let store: Store;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'store-'));
  store = new Store(join(directory, 'db'));
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

const reopen = () => {
  store.close();
  store = new Store(join(directory, 'db'));
};
const changesAfter = (version: number) => {
  const changes: string[] = [];
  store.follow(version, (change) => changes.push(said(change)))();
  return changes;
};

describe('objects', () => {
  it('get a higher resourceVersion with every write', () => {
    const first = store.put('configmaps', object('a', 'n'));
    const second = store.put('configmaps', object('a', 'n', 'new'));
    expect([first, second].map(({ metadata }) => metadata.resourceVersion)).toEqual(['2', '3']);
    expect(store.version).toBe(3);
    expect(store.get('configmaps', 'n', 'a')).toEqual(second);
  });

  it('are listed by namespace and name, of one namespace or of all', () => {
    for (const [name, namespace] of [
      ['b', 'n'],
      ['a', 'n'],
      ['c', 'm'],
      ['d', 'nn'],
    ] as const)
      store.put('configmaps', object(name, namespace));
    const names = (namespace?: string) => store.list('configmaps', namespace).map(({ metadata }) => metadata.name);
    expect(names()).toEqual(['c', 'a', 'b', 'd']);
    expect(names('n')).toEqual(['a', 'b']);
    expect(store.list('secrets')).toEqual([]);
  });

  it('are gone when removed, and the removal has a version', () => {
    const last = store.remove('configmaps', store.put('configmaps', object('a', 'n')));
    expect(last.metadata.resourceVersion).toBe('3');
    expect(store.get('configmaps', 'n', 'a')).toBeUndefined();
  });

  it('survive a restart, the removed ones aside, and versions go on', () => {
    const kept = store.put('configmaps', object('a', 'n'));
    store.remove('configmaps', store.put('configmaps', object('b', 'n')));
    reopen();
    expect(store.list('configmaps')).toEqual([kept]);
    expect(store.put('configmaps', object('c', 'n')).metadata.resourceVersion).toBe('5');
  });
});

describe('a watch', () => {
  it('gets the changes after its version, then each new one until it ends', () => {
    store.put('configmaps', object('a'));
    store.put('configmaps', object('b'));
    const changes: string[] = [];
    const end = store.follow(2, (change) => changes.push(said(change)));
    store.put('configmaps', object('b', undefined, 'new'));
    store.remove('configmaps', store.get('configmaps', '', 'a')!);
    end();
    store.put('configmaps', object('c'));
    expect(changes).toEqual(['3 ADDED b', '4 MODIFIED b', '5 DELETED a']);
  });

  it('gets what an object was before', () => {
    const before = store.put('configmaps', object('a'));
    const previous: (ApiObject | undefined)[] = [];
    store.follow(1, (change) => previous.push(change.previous));
    store.put('configmaps', object('a', undefined, 'new'));
    expect(previous).toEqual([undefined, before]);
  });

  it('resumes after a restart', () => {
    store.put('configmaps', object('a'));
    store.put('configmaps', object('b'));
    reopen();
    expect(changesAfter(2)).toEqual(['3 ADDED b']);
  });

  it('from a version that is still to come is told 410', () => {
    expect(() => store.follow(2, () => {})).toThrow(expect.objectContaining({ code: 410 }));
  });

  it('from before the history was forgotten is told 410, after a restart too, and from its end resumes', () => {
    store.put('configmaps', object('a'));
    store.put('configmaps', object('b'));
    store.compact();
    expect(() => store.follow(2, () => {})).toThrow(expect.objectContaining({ code: 410 }));
    expect(changesAfter(3)).toEqual([]);
    reopen();
    expect(() => store.follow(1, () => {})).toThrow(expect.objectContaining({ code: 410 }));
    expect(store.version).toBe(3);
  });
});
