/**
 * Objects with resourceVersions, their history for watches, and a durable copy of both in SQLite.
 * Reads are served from memory; a change is visible only after it is written to the database.
 * @module
 */
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { isObject } from '../../core/api/json.ts';
import { StatusError } from '../status.ts';

/** Any Kubernetes object. Objects in the store are never mutated. */
export interface ApiObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    generateName?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: { uid: string }[];
    managedFields?: unknown[];
    [key: string]: unknown;
  };
  // biome-ignore lint/suspicious/noExplicitAny: spec and status have the shape of whatever kind it is
  [key: string]: any;
}

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface StoredChange {
  readonly version: number;
  readonly resource: string;
  readonly type: ChangeType;
  readonly object: ApiObject;
  /** The object before the change; a watch with a selector needs it to notice objects that no longer match. */
  readonly previous: ApiObject | undefined;
}

/** How many changes are kept for watches that resume; from older versions they get 410, as with a compacted etcd. */
const HISTORY = 10_000;

export class Store {
  /** What was found lost or damaged, in words for the user. */
  readonly losses: string[] = [];
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #log: StatementSync;
  readonly #trim: StatementSync;
  readonly #objects = new Map<string, Map<string, ApiObject>>();
  readonly #listeners = new Set<() => void>();
  #history: StoredChange[] = [];
  #version = 1;
  /** Watches may resume after this version. */
  #compacted = 1;

  /** Opens the database file, or an in-memory database for `:memory:`. Throws SQLite's error if it cannot be opened. */
  constructor(path: string) {
    if (path !== ':memory:') {
      if (existsSync(path) && statSync(path).size === 0)
        this.losses.push(
          'objects.db is empty (0 bytes): whatever it held is gone; put a copy of it there, or create the objects again',
        );
      protect(path);
    }
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS objects (resource TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (resource, key)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS changes (version INTEGER PRIMARY KEY, resource TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, previous TEXT);
    `);
    this.#put = this.#database.prepare('INSERT OR REPLACE INTO objects (resource, key, body) VALUES (?, ?, ?)');
    this.#remove = this.#database.prepare('DELETE FROM objects WHERE resource = ? AND key = ?');
    this.#log = this.#database.prepare(
      'INSERT INTO changes (version, resource, type, body, previous) VALUES (?, ?, ?, ?, ?)',
    );
    this.#trim = this.#database.prepare('DELETE FROM changes WHERE version < ?');
    this.#load();
  }

  /** The resourceVersion of the newest change. */
  get version(): number {
    return this.#version;
  }

  get(resource: string, namespace: string, name: string): ApiObject | undefined {
    return this.#objects.get(resource)?.get(`${namespace}/${name}`);
  }

  /** Sorted by namespace and name. An undefined namespace means all of them. */
  list(resource: string, namespace?: string): ApiObject[] {
    const entries = [...(this.#objects.get(resource) ?? [])];
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    return entries
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  /** Writes an object with a new resourceVersion and returns the stored object. */
  put(resource: string, object: ApiObject): ApiObject {
    const previous = this.get(resource, object.metadata.namespace ?? '', object.metadata.name);
    const version = this.#version + 1;
    const stored: ApiObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#commit({ version, resource, type: previous === undefined ? 'ADDED' : 'MODIFIED', object: stored, previous });
    return stored;
  }

  /** Removes an object and returns its last state, with the resourceVersion of the removal. */
  remove(resource: string, object: ApiObject): ApiObject {
    const version = this.#version + 1;
    const last: ApiObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#commit({ version, resource, type: 'DELETED', object: last, previous: object });
    return last;
  }

  /**
   * Every change after `version`, the oldest first. Throws 410 when the version is too old, or newer than the newest: then it comes from
   * another database.
   */
  changesAfter(version: number): readonly StoredChange[] {
    if (version < this.#compacted || version > this.#version)
      throw new StatusError(410, `too old resource version: ${version} (${this.#compacted})`, {}, 'Expired');
    const first = this.#history.findLastIndex((change) => change.version <= version) + 1;
    return this.#history.slice(first);
  }

  /** Calls back after every change; returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Forgets the history up to now: watches that resume from an earlier version get 410. The newest change stays in the
   * database, because versions must continue from it after a restart.
   */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#version;
    this.#trim.run(this.#version);
  }

  close(): void {
    this.#listeners.clear();
    this.#database.close();
  }

  #commit(change: StoredChange): void {
    const { version, resource, type, object, previous } = change;
    const key = keyOf(object);
    const body = JSON.stringify(object);
    this.#database.exec('BEGIN IMMEDIATE');
    if (type === 'DELETED') this.#remove.run(resource, key);
    else this.#put.run(resource, key, body);
    this.#log.run(version, resource, type, body, previous === undefined ? null : JSON.stringify(previous));
    if (version % 1000 === 0) this.#trim.run(version - HISTORY);
    this.#database.exec('COMMIT');
    this.#remember(change, key);
    for (const listener of [...this.#listeners]) listener();
  }

  #remember(change: StoredChange, key: string): void {
    const { version, resource, type, object } = change;
    let objects = this.#objects.get(resource);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(resource, objects);
    }
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, object);
    this.#version = version;
    this.#history.push(change);
    if (this.#history.length > HISTORY * 1.1) {
      this.#history = this.#history.slice(-HISTORY);
      this.#compacted = this.#history[0]!.version - 1;
    }
  }

  #load(): void {
    for (const row of this.#database
      .prepare('SELECT resource, key, body FROM objects')
      .all() as unknown as ObjectRow[]) {
      const { resource, key, body } = row;
      const object = readObject(body);
      if (object === undefined || keyOf(object) !== key) {
        this.#setAside(row);
        continue;
      }
      const objects = this.#objects.get(resource) ?? new Map<string, ApiObject>();
      this.#objects.set(resource, objects.set(key, object));
    }
    for (const row of this.#database.prepare('SELECT * FROM changes ORDER BY version').iterate()) {
      const { version, resource, type, body, previous } = row as unknown as ChangeRow;
      const object = readObject(body);
      const before = previous === null ? undefined : readObject(previous);
      // A watch cannot resume over a hole in the history, and versions go on from the newest.
      if (object === undefined || (previous !== null && before === undefined) || this.losses.length > 0)
        this.#history = [];
      else this.#history.push({ version, resource, type, object, previous: before });
      this.#version = version;
    }
    this.#compacted = this.#history.length > 0 ? this.#history[0]!.version - 1 : this.#version;
  }

  /** Keeps a row that cannot be read for whoever can, and says so. */
  #setAside({ resource, key, body }: ObjectRow): void {
    this.#database.exec('CREATE TABLE IF NOT EXISTS damaged (resource TEXT, key TEXT, body)');
    this.#database.prepare('INSERT INTO damaged (resource, key, body) VALUES (?, ?, ?)').run(resource, key, body);
    this.#remove.run(resource, key);
    this.losses.push(
      `the stored object ${key.replace(/^\//, '')} of ${resource} cannot be read; it was moved to the table damaged of objects.db: create the object again`,
    );
  }
}

interface ObjectRow {
  readonly resource: string;
  readonly key: string;
  readonly body: string;
}

interface ChangeRow {
  readonly version: number;
  readonly resource: string;
  readonly type: ChangeType;
  readonly body: string;
  readonly previous: string | null;
}

function keyOf({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Undefined for what is not an object of the API. */
function readObject(text: string): ApiObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && isObject(value.metadata) ? (value as unknown as ApiObject) : undefined;
  } catch {
    return undefined;
  }
}

/** Makes the database its owner's alone; what SQLite puts beside it gets the same mode. */
function protect(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  for (const suffix of ['', '-wal', '-shm', '-journal']) if (existsSync(path + suffix)) chmodSync(path + suffix, 0o600);
}
