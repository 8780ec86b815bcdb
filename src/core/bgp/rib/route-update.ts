/**
 * How routes travel from whoever decides about them to the sessions: as plain data, the whole at first and then what has changed.
 * @module
 */
import { keyOf, type Route } from './route.ts';

/** Everything that an audience (routers that are told the same) is to hold. */
export interface RouteSnapshot {
  readonly kind: 'snapshot';
  readonly audience: number;
  readonly version: number;
  readonly routes: readonly Route[];
}

/** What makes version `from` version `to`. */
export interface RouteDelta {
  readonly kind: 'delta';
  readonly audience: number;
  readonly from: number;
  readonly to: number;
  readonly changed: readonly Route[];
  /** Prefixes, as keyOf writes them. */
  readonly withdrawn: readonly string[];
}

export type RouteUpdate = RouteSnapshot | RouteDelta;

/** What a reader of updates holds. Owned by its reader and changed in place. */
export interface RouteSet {
  audience: number;
  version: number;
  readonly routes: Map<string, Route>;
  /** What `routes` were set from as a whole; undefined: they have changed since. */
  origin: RouteSnapshot | undefined;
}

/** What a reader holds that has not been told anything yet. */
export function noRoutes(): RouteSet {
  return { audience: 0, version: 0, routes: new Map(), origin: undefined };
}

/** Throws RangeError when a delta does not follow what is held: only a snapshot can follow anything. */
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

/** The whole of what a reader holds, for another one; the same object as long as it holds the same. */
export function snapshotOf(set: RouteSet): RouteSnapshot {
  const { audience, version, routes } = set;
  set.origin ??= { kind: 'snapshot', audience, version, routes: [...routes.values()] };
  return set.origin;
}

/** The same for all audiences at once; those that are not `used` any more are forgotten. */
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
