/**
 * Everything that some routers are to hold, with a journal of what has changed: whoever knows one version of it need not look through
 * the whole to find out what is new.
 * @module
 */
import { keyOf, markOf, type Route } from './route.ts';
import type { RouteUpdate } from './route-update.ts';

/** A journal that has grown longer than the table, and than this, saves nothing. */
const SHORTEST_JOURNAL = 1000;

/** Changed in place, by its owner only; others are told by updates. */
export class RouteTable {
  /** Stands in every update: whom the routes are for. */
  readonly audience: number;
  readonly #routes = new Map<string, Route>();
  /** Keys in the order of their changes. */
  #journal: string[] = [];
  /** The version that the table had before the first change in the journal. */
  #first = 0;

  constructor(audience: number) {
    this.audience = audience;
  }

  /** Grows with every change. */
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

  /** For a reader that holds version `known` (undefined: nothing). Undefined: it is up to date. */
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
    // The older half goes: a reader that is up to date, or nearly so, goes on by the journal.
    const dropped = this.#journal.length >> 1;
    this.#journal = this.#journal.slice(dropped);
    this.#first += dropped;
  }
}
