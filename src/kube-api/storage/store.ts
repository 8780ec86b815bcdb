/**
 * Objects with resourceVersions, their history for watches, and a durable copy of both in SQLite.
 * Reads are served from memory; a change is visible only after it is written to the database.
 * @module
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
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

type Listener = (change: StoredChange) => void;

/** How many changes are kept for watches that resume; from older versions they get 410, as with a compacted etcd. */
const HISTORY = 10_000;

export class Store {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #log: StatementSync;
  readonly #trim: StatementSync;
  readonly #objects = new Map<string, Map<string, ApiObject>>();
  readonly #listeners = new Set<Listener>();
  #history: StoredChange[] = [];
  #version = 1;
  /** Watches may resume after this version. */
  #compacted = 1;

  /** Opens the database file, or an in-memory database for `:memory:`. Throws SQLite's error if it cannot be opened. */
  constructor(path: string) {
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
   * Calls back for every change after `version`, immediately for past ones; returns a function that stops it. Throws 410
   * when the version is too old, or newer than the newest: then it comes from another database.
   */
  follow(version: number, listener: Listener): () => void {
    if (version < this.#compacted || version > this.#version) {
      throw new StatusError(410, `too old resource version: ${version} (${this.#compacted})`, {}, 'Expired');
    }
    for (const change of this.#history) if (change.version > version) listener(change);
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
    const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const body = JSON.stringify(object);
    this.#database.exec('BEGIN IMMEDIATE');
    if (type === 'DELETED') this.#remove.run(resource, key);
    else this.#put.run(resource, key, body);
    this.#log.run(version, resource, type, body, previous === undefined ? null : JSON.stringify(previous));
    if (version % 1000 === 0) this.#trim.run(version - HISTORY);
    this.#database.exec('COMMIT');
    this.#remember(change, key);
    for (const listener of [...this.#listeners]) listener(change);
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
    for (const row of this.#database.prepare('SELECT resource, key, body FROM objects').all()) {
      const { resource, key, body } = row as { resource: string; key: string; body: string };
      const objects = this.#objects.get(resource) ?? new Map<string, ApiObject>();
      this.#objects.set(resource, objects.set(key, JSON.parse(body)));
    }
    const rows = this.#database.prepare('SELECT * FROM changes ORDER BY version').all() as {
      version: number;
      resource: string;
      type: ChangeType;
      body: string;
      previous: string | null;
    }[];
    this.#history = rows.map(({ body, previous, ...change }) => ({
      ...change,
      object: JSON.parse(body),
      previous: previous === null ? undefined : JSON.parse(previous),
    }));
    this.#version = this.#history.at(-1)?.version ?? 1;
    this.#compacted = this.#history.length > 0 ? this.#history[0]!.version - 1 : this.#version;
  }
}
