import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
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
const changesAfter = (version: number) => store.changesAfter(version).map(said);

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
    const changes = [changesAfter(2)];
    const end = store.onChange(() => changes.push(changesAfter(store.version - 1)));
    store.put('configmaps', object('b', undefined, 'new'));
    store.remove('configmaps', store.get('configmaps', '', 'a')!);
    end();
    store.put('configmaps', object('c'));
    expect(changes).toEqual([['3 ADDED b'], ['4 MODIFIED b'], ['5 DELETED a']]);
  });

  it('gets what an object was before', () => {
    const before = store.put('configmaps', object('a'));
    store.put('configmaps', object('a', undefined, 'new'));
    expect(store.changesAfter(1).map(({ previous }) => previous)).toEqual([undefined, before]);
  });

  it('resumes after a restart', () => {
    store.put('configmaps', object('a'));
    store.put('configmaps', object('b'));
    reopen();
    expect(changesAfter(2)).toEqual(['3 ADDED b']);
  });

  it('from a version that is still to come is told 410', () => {
    expect(() => store.changesAfter(2)).toThrow(expect.objectContaining({ code: 410 }));
  });

  it('from before the history was forgotten is told 410, after a restart too, and from its end resumes', () => {
    store.put('configmaps', object('a'));
    store.put('configmaps', object('b'));
    store.compact();
    expect(() => store.changesAfter(2)).toThrow(expect.objectContaining({ code: 410 }));
    expect(changesAfter(3)).toEqual([]);
    reopen();
    expect(() => store.changesAfter(1)).toThrow(expect.objectContaining({ code: 410 }));
    expect(store.version).toBe(3);
  });
});

describe('a database that is not as we left it', () => {
  const edit = (...statements: string[]) => {
    store.close();
    const database = new DatabaseSync(join(directory, 'db'));
    for (const statement of statements) database.exec(statement);
    database.close();
    store = new Store(join(directory, 'db'));
  };

  it.each([
    ['no JSON', '{"metadata"'],
    ['JSON of another kind', '[]'],
    ['an object without metadata', '{"kind": "ConfigMap"}'],
    ['another object', '{"metadata": {"name": "c", "namespace": "n"}}'],
  ])('sets a row with %s aside, says so once, and goes on with the others', (_, body) => {
    store.put('configmaps', object('a', 'n'));
    store.put('configmaps', object('b', 'n'));
    const { version } = store;
    edit(`UPDATE objects SET body = '${body}' WHERE key = 'n/a'`);
    expect(store.losses).toEqual([expect.stringContaining('the stored object n/a of configmaps cannot be read')]);
    expect(store.list('configmaps').map(({ metadata }) => metadata.name)).toEqual(['b']);
    // Whoever watched has to list anew: there was no event.
    expect(() => store.changesAfter(version - 1)).toThrow(expect.objectContaining({ code: 410 }));
    expect(store.put('configmaps', object('a', 'n', 'again')).metadata.resourceVersion).toBe(String(version + 1));
    reopen();
    expect(store.losses).toEqual([]);
    expect(store.get('configmaps', 'n', 'a')?.data).toBe('again');
    store.close();
    const database = new DatabaseSync(join(directory, 'db'));
    expect(database.prepare('SELECT key, body FROM damaged').all()).toEqual([{ key: 'n/a', body }]);
    database.close();
    store = new Store(join(directory, 'db'));
  });

  it('forgets the history up to a change that cannot be read', () => {
    for (const name of ['a', 'b', 'c']) store.put('configmaps', object(name));
    edit("UPDATE changes SET body = '{' WHERE version = 3");
    expect(() => changesAfter(2)).toThrow(expect.objectContaining({ code: 410 }));
    expect(changesAfter(3)).toEqual(['4 ADDED c']);
    edit("UPDATE changes SET previous = '{' WHERE version = 4");
    expect(() => changesAfter(3)).toThrow(expect.objectContaining({ code: 410 }));
    expect(store.version).toBe(4);
  });

  it('says so when it is empty', () => {
    store.put('configmaps', object('a'));
    store.close();
    for (const suffix of ['', '-wal']) rmSync(join(directory, `db${suffix}`), { force: true });
    writeFileSync(join(directory, 'db'), '');
    store = new Store(join(directory, 'db'));
    expect(store.losses).toEqual([expect.stringContaining('is empty (0 bytes)')]);
    reopen();
    expect(store.losses).toEqual([]);
  });
});

it('keeps its files to its owner, whatever the directory and the umask', () => {
  const umask = process.umask(0);
  try {
    chmodSync(directory, 0o755);
    const modes = () =>
      readdirSync(directory).map((name) => [name, (statSync(join(directory, name)).mode & 0o777).toString(8)]);
    reopen();
    store.put('configmaps', object('a'));
    expect(modes()).toEqual(
      expect.arrayContaining([
        ['db', '600'],
        ['db-wal', '600'],
      ]),
    );
    for (const [name] of modes()) chmodSync(join(directory, name!), 0o644);
    reopen();
    store.put('configmaps', object('b'));
    for (const [name, mode] of modes()) expect([name, mode]).toEqual([name, '600']);
  } finally {
    process.umask(umask);
  }
});
