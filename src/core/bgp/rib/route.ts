/**
 * A route as decided from the configuration; the session adds AS_PATH and NEXT_HOP.
 * @module
 */
import { communityBytes, MOST_COMMUNITY_BYTES } from '../../config/communities.ts';
import { formatPrefix, type Prefix } from '../../net/prefix.ts';

export interface Route {
  readonly prefix: Prefix;
  /** LOCAL_PREF towards iBGP peers; 0: not set, which is sent as 100 (the common default; RFC 4271 has none). */
  readonly localPref: number;
  readonly communities: readonly (readonly [number, number])[];
  readonly largeCommunities: readonly (readonly [number, number, number])[];
  /** This node is leaving: routers should prefer any other path (RFC 8326). */
  readonly gracefulShutdown?: boolean;
  /** How many extra times AS_PATH contains our AS number towards eBGP peers, to make the path less preferred. */
  readonly prepend?: number;
  /** MULTI_EXIT_DISC; undefined: none. */
  readonly med?: number;
  /** Link bandwidth in bits per second, by which routers may weight paths (draft-ietf-idr-link-bandwidth). */
  readonly bandwidth?: number;
}

/** Several advertisements may each be short enough, and together not be: such a route is sent to nobody. */
export function fitsMessage({ communities, largeCommunities }: Route): boolean {
  return communityBytes(communities.length, largeCommunities.length) <= MOST_COMMUNITY_BYTES;
}

/** The same route with GRACEFUL_SHUTDOWN. */
export function goingAway(route: Route): Route {
  return { ...route, gracefulShutdown: true };
}

/** Routes live long and are compared with every change, so their keys and marks are cached. */
const keys = new WeakMap<Prefix, string>();
const marks = new WeakMap<Route, string>();

/** The key of a route: its prefix as text. */
export function keyOf({ prefix }: Pick<Route, 'prefix'>): string {
  let key = keys.get(prefix);
  if (key === undefined) {
    key = formatPrefix(prefix);
    keys.set(prefix, key);
  }
  return key;
}

/** Text that is equal for routes with equal attributes. */
export function markOf(route: Route): string {
  let mark = marks.get(route);
  if (mark === undefined) {
    const { prefix: _, ...attributes } = route;
    mark = JSON.stringify(attributes);
    marks.set(route, mark);
  }
  return mark;
}
