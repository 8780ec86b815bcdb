/**
 * Everything that some routers are to hold, with a journal of what has changed: whoever knows one version of it need not look through
 * the whole to find out what is new.
 * @module
 */
import { keyOf, markOf, type Route } from './route.ts';

/** A journal that has grown longer than the table, and than this, saves nothing. */
const SHORTEST_JOURNAL = 1000;

/** Is changed in place, by its owner only. */
export class RouteTable {
  readonly #routes = new Map<string, Route>();
  /** Keys in the order of their changes. */
  #journal: string[] = [];
  /** The version that the table had before the first change in the journal. */
  #first = 0;

  static of(routes: Iterable<Route>): RouteTable {
    const table = new RouteTable();
    for (const route of routes) table.set(route);
    return table;
  }

  /** Grows with every change. */
  get version(): number {
    return this.#first + this.#journal.length;
  }

  get size(): number {
    return this.#routes.size;
  }

  get(key: string): Route | undefined {
    return this.#routes.get(key);
  }

  keys(): Iterable<string> {
    return this.#routes.keys();
  }

  values(): Iterable<Route> {
    return this.#routes.values();
  }

  /** By prefix, as text. */
  sorted(): Route[] {
    return [...this.#routes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, route]) => route);
  }

  set(route: Route): void {
    const key = keyOf(route);
    const old = this.#routes.get(key);
    if (old !== undefined && markOf(old) === markOf(route)) return;
    this.#routes.set(key, route);
    this.#note(key);
  }

  delete(key: string): void {
    if (this.#routes.delete(key)) this.#note(key);
  }

  /** Keys of what has changed since a version, perhaps some of them twice; undefined: that is too long ago to be known. */
  changedSince(version: number): readonly string[] | undefined {
    return version < this.#first ? undefined : this.#journal.slice(version - this.#first);
  }

  toJSON(): readonly Route[] {
    return this.sorted();
  }

  #note(key: string): void {
    this.#journal.push(key);
    if (this.#journal.length <= Math.max(SHORTEST_JOURNAL, this.#routes.size)) return;
    // The older half goes: who is up to date, or nearly so, goes on by the journal.
    const dropped = this.#journal.length >> 1;
    this.#journal = this.#journal.slice(dropped);
    this.#first += dropped;
  }
}
