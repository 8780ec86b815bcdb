/**
 * Routes on their way from the speaker's decisions to the sessions, as plain data: a snapshot first, then deltas.
 * @module
 */
import { keyOf, type Route } from './route.ts';

/** All routes of an audience, the peers that get the same routes. */
export interface RouteSnapshot {
  readonly kind: 'snapshot';
  readonly audience: number;
  readonly version: number;
  readonly routes: readonly Route[];
}

/** The changes from version `from` to version `to`. */
export interface RouteDelta {
  readonly kind: 'delta';
  readonly audience: number;
  readonly from: number;
  readonly to: number;
  readonly changed: readonly Route[];
  /** Keys of the withdrawn routes (keyOf). */
  readonly withdrawn: readonly string[];
}

export type RouteUpdate = RouteSnapshot | RouteDelta;

/** The routes that a reader of updates has. Owned by the reader and changed in place. */
export interface RouteSet {
  audience: number;
  version: number;
  readonly routes: Map<string, Route>;
  /** The snapshot that equals `routes`; undefined: they have changed since. */
  origin: RouteSnapshot | undefined;
}

/** The initial set of a reader that has had no update. */
export function noRoutes(): RouteSet {
  return { audience: 0, version: 0, routes: new Map(), origin: undefined };
}

/** Throws RangeError if a delta is not for the version of the set; a snapshot always applies. */
export function applyUpdate(set: RouteSet, update: RouteUpdate): void {
  if (update.kind === 'snapshot') {
    set.routes.clear();
    for (const route of update.routes) set.routes.set(keyOf(route), route);
    set.version = update.version;
    set.audience = update.audience;
    set.origin = update;
    return;
  }
  const { audience, from, to, changed, withdrawn } = update;
  if (set.audience !== audience || set.version !== from)
    throw new RangeError(
      `version ${from} of the routes of audience ${audience} does not follow version ${set.version} of ${set.audience}`,
    );
  for (const key of withdrawn) set.routes.delete(key);
  for (const route of changed) set.routes.set(keyOf(route), route);
  set.version = to;
  set.origin = undefined;
}

/** All routes of the set, for another reader; the same object until the set changes. */
export function snapshotOf(set: RouteSet): RouteSnapshot {
  const { audience, version, routes } = set;
  set.origin ??= { kind: 'snapshot', audience, version, routes: [...routes.values()] };
  return set.origin;
}

/** applyUpdate for all audiences; those that are not `used` any more are removed. */
export function applyUpdates(
  sets: Map<number, RouteSet>,
  updates: readonly RouteUpdate[],
  used: ReadonlySet<number>,
): void {
  for (const update of updates) {
    const set = sets.get(update.audience) ?? noRoutes();
    applyUpdate(set, update);
    sets.set(update.audience, set);
  }
  for (const audience of sets.keys()) if (!used.has(audience)) sets.delete(audience);
}
