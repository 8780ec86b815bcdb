/**
 * A route as the configuration wants it; the session adds path and next hop.
 * @module
 */
import { formatPrefix, type Prefix } from '../../net/prefix.ts';

export interface Route {
  readonly prefix: Prefix;
  /** Towards iBGP peers; 0: not set, which is 100 (RFC 4271 leaves it open, all routers agree). */
  readonly localPref: number;
  readonly communities: readonly (readonly [number, number])[];
  readonly largeCommunities: readonly (readonly [number, number, number])[];
  /** This node is about to go: routers are to prefer any other way (RFC 8326). */
  readonly gracefulShutdown?: boolean;
  /** How many times more our AS number stands in AS_PATH towards eBGP peers, so that the way looks longer. */
  readonly prepend?: number;
  /** MULTI_EXIT_DISC; undefined: none. */
  readonly med?: number;
  /** What can serve here, in bits per second: routers may weight their ways by it (draft-ietf-idr-link-bandwidth). */
  readonly bandwidth?: number;
}

/** The same route of a node that is about to go. */
export function goingAway(route: Route): Route {
  return { ...route, gracefulShutdown: true };
}

/** Routes live long and are looked at with every change: what is asked of each time is kept. */
const keys = new WeakMap<Prefix, string>();
const marks = new WeakMap<Route, string>();

/** What routes are told apart by. */
export function keyOf({ prefix }: Pick<Route, 'prefix'>): string {
  let key = keys.get(prefix);
  if (key === undefined) {
    key = formatPrefix(prefix);
    keys.set(prefix, key);
  }
  return key;
}

/** The same text for routes with the same attributes. */
export function markOf(route: Route): string {
  let mark = marks.get(route);
  if (mark === undefined) {
    const { prefix: _, ...attributes } = route;
    mark = JSON.stringify(attributes);
    marks.set(route, mark);
  }
  return mark;
}
