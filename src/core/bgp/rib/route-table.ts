/**
 * The routes of one audience, with a journal of changes, so that a reader that knows one version gets the next as a delta and need not
 * compare the whole table.
 * @module
 */
import { keyOf, markOf, type Route } from './route.ts';
import type { RouteUpdate } from './route-update.ts';

/** A journal longer than the table, and than this, is trimmed: reading it would save nothing over a snapshot. */
const SHORTEST_JOURNAL = 1000;

/** Changed in place by its owner; others get updates. */
export class RouteTable {
  /** Whom the routes are for; contained in every update. */
  readonly audience: number;
  readonly #routes = new Map<string, Route>();
  /** Keys in the order of their changes. */
  #journal: string[] = [];
  /** The version that the table had before the first change in the journal. */
  #first = 0;

  constructor(audience: number) {
    this.audience = audience;
  }

  /** The number of changes so far. */
  get version(): number {
    return this.#first + this.#journal.length;
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

  /** The update for a reader that has version `known` (undefined: nothing). Undefined: the reader is up to date. */
  updateSince(known: number | undefined): RouteUpdate | undefined {
    const { audience, version } = this;
    if (known === version) return undefined;
    if (known === undefined || known < this.#first)
      return { kind: 'snapshot', audience, version, routes: [...this.#routes.values()] };
    const changed: Route[] = [];
    const withdrawn: string[] = [];
    for (const key of new Set(this.#journal.slice(known - this.#first))) {
      const route = this.#routes.get(key);
      if (route === undefined) withdrawn.push(key);
      else changed.push(route);
    }
    return { kind: 'delta', audience, from: known, to: version, changed, withdrawn };
  }

  #note(key: string): void {
    this.#journal.push(key);
    if (this.#journal.length <= Math.max(SHORTEST_JOURNAL, this.#routes.size)) return;
    // Only the older half is dropped, so that a reader that is nearly up to date still gets a delta.
    const dropped = this.#journal.length >> 1;
    this.#journal = this.#journal.slice(dropped);
    this.#first += dropped;
  }
}
