/**
 * What one Service means for BGP on this node (docs/behaviour/bgp.md#whether-a-node-announces-a-service), and what each router is to hold.
 * @module
 */
import type { EndpointSlice, Service } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import { keyOf, type Route } from '../bgp/rib/route.ts';
import { settle } from '../config/bgp-advertisements.ts';
import type { BgpAdvertisement, CommunityValue, Peer, Pool } from '../config/config.ts';
import { type Candidate, EXCLUDE_LABEL } from '../election/election.ts';
import type { IpAddress } from '../net/address.ts';
import { formatPrefix, prefixOf } from '../net/prefix.ts';
import type { BgpVerdict } from '../reasons/reasons.ts';
import { isServing, servingNodes } from '../service/endpoints.ts';
import { announceable, type ServiceFacts } from './service-facts.ts';

/** A route, and the routers that it is for; empty: all. */
export interface Advertised {
  readonly route: Route;
  readonly peers: readonly string[];
}

export interface BgpDecision {
  readonly verdict: BgpVerdict;
  readonly advertised: readonly Advertised[];
}

/** Undefined: BGP has nothing to do with the Service. */
function decideBgp(
  facts: Omit<ServiceFacts, 'candidates'>,
  node: Candidate,
  service: Service,
  slices: readonly EndpointSlice[],
): BgpDecision | undefined {
  const found = announceable(facts, service);
  if (found === undefined) return undefined;
  const { pool, config, unsettled, addresses } = found;
  const isOfPool = (ad: BgpAdvertisement) => ad.pools.has(pool.name);
  // What other nodes go by is settled there, not here.
  const all = node.name === facts.node ? config.bgpAdvertisements : unsettled;
  if (!all.some(isOfPool)) return undefined;
  const onNode = all.filter((ad) => anySelectorMatches(ad.nodeSelectors, node.labels));
  const here = settle(onNode, config.pools).filter(isOfPool);
  const labels = service.metadata.labels ?? {};
  const matching = here.filter((ad) => anySelectorMatches(ad.serviceSelectors, labels));
  const obstacle = obstacleFor(facts, node, service, slices, { pool, here, matching });
  if (obstacle !== undefined) return { verdict: obstacle, advertised: [] };
  const ready = endpointsOn(slices, node.name);
  const advertised = addresses.flatMap((address) =>
    matching.map((ad) => ({ route: routeBy(ad, address, ready), peers: ad.peers })),
  );
  return { verdict: 'announced', advertised };
}

/** The same for a node that may be drained: once routers have had the time to send elsewhere (`hasLeft`), it does only what no other node can. */
export function decideBgpFor(
  facts: ServiceFacts,
  node: Candidate,
  service: Service,
  slices: readonly EndpointSlice[],
  hasLeft: boolean,
): BgpDecision | undefined {
  const decision = decideBgp(facts, node, service, slices);
  if (!node.drained || !hasLeft || decision?.verdict !== 'announced') return decision;
  const canTakeOver = ({ name, drained, unheard }: Candidate) => name !== node.name && !drained && !unheard;
  return announcesToo(facts, service, slices, canTakeOver) ? { verdict: 'drained', advertised: [] } : decision;
}

/** One of the nodes that are asked about announces the Service too, and its speaker is there. */
export function announcesToo(
  facts: ServiceFacts,
  service: Service,
  slices: readonly EndpointSlice[],
  isAskedAbout: (other: Candidate) => boolean,
): boolean {
  const isLocal = service.spec?.externalTrafficPolicy === 'Local';
  // Thousands of nodes, and with Local only those with an endpoint can come into question.
  const named = isLocal ? servingNodes(slices, facts.dead, true).named : undefined;
  return facts.candidates.some(
    (other) =>
      other.speaker !== 'dead' &&
      other.speaker !== 'passive' &&
      isAskedAbout(other) &&
      (named === undefined || named.has(other.name)) &&
      decideBgp(facts, other, service, slices)?.verdict === 'announced',
  );
}

interface Selected {
  readonly pool: Pool;
  readonly here: readonly BgpAdvertisement[];
  readonly matching: readonly BgpAdvertisement[];
}

function obstacleFor(
  { fenced, ignoreExcludeLabel, dead }: Pick<ServiceFacts, 'fenced' | 'ignoreExcludeLabel' | 'dead'>,
  node: Candidate,
  service: Service,
  slices: readonly EndpointSlice[],
  { pool, here, matching }: Selected,
): BgpVerdict | undefined {
  if (here.length === 0) return 'not-selected';
  if (matching.length === 0) return 'no-advertisement';
  if (fenced) return 'fenced';
  if (haveConflict(matching, pool)) return 'conflicting-advertisements';
  if (node.networkUnavailable) return 'network-unavailable';
  if (EXCLUDE_LABEL in node.labels && !ignoreExcludeLabel) return 'excluded-by-label';
  const serving = servingNodes(slices, dead, true);
  if (service.spec?.externalTrafficPolicy === 'Local' && !serving.named.has(node.name)) return 'no-local-endpoint';
  return serving.any ? undefined : 'no-endpoints';
}

/** Rule B4 for advertisements that only now are known to meet in one Service: two preferences for one route. */
function haveConflict(advertisements: readonly BgpAdvertisement[], { ranges }: Pool): boolean {
  const families = [...new Set(ranges.map(({ family }) => family))];
  return advertisements.some((a, i) =>
    advertisements
      .slice(i + 1)
      .some(
        (b) =>
          a.localPref !== b.localPref &&
          (a.peers.length === 0 || b.peers.length === 0 || a.peers.some((name) => b.peers.includes(name))) &&
          families.some((family) => a.aggregationLengths[family] === b.aggregationLengths[family]),
      ),
  );
}

/** What one endpoint is taken to be worth, in bits per second: routers look at the proportions only. */
const ENDPOINT_BANDWIDTH = 1e9;

function routeBy(advertisement: BgpAdvertisement, address: IpAddress, ready: number): Route {
  const { aggregationLengths, localPref, communities, prepend, med, linkBandwidth } = advertisement;
  return {
    prefix: prefixOf(address, aggregationLengths[address.family]),
    localPref,
    ...byKind(communities),
    ...(prepend > 0 && { prepend }),
    ...(med !== undefined && { med }),
    ...(linkBandwidth && { bandwidth: ready * ENDPOINT_BANDWIDTH }),
  };
}

/** How many endpoints on the node can serve; each counts once, whatever slices and families it stands in. */
function endpointsOn(slices: readonly EndpointSlice[], node: string): number {
  const families = new Map<string, number>();
  for (const { addressType, endpoints } of slices)
    for (const { nodeName, conditions, addresses } of endpoints ?? [])
      if (nodeName === node && addresses.length > 0 && isServing(conditions))
        families.set(addressType, (families.get(addressType) ?? 0) + 1);
  return Math.max(0, ...families.values());
}

function byKind(values: readonly CommunityValue[]): Pick<Route, 'communities' | 'largeCommunities'> {
  return {
    communities: values.flatMap((value) => (value.kind === 'standard' ? [value.parts] : [])),
    largeCommunities: values.flatMap((value) => (value.kind === 'large' ? [value.parts] : [])),
  };
}

/** What one Service gives, by prefix. */
export function byPrefix(advertised: readonly Advertised[]): Map<string, readonly Advertised[]> {
  const found = new Map<string, Advertised[]>();
  for (const each of advertised) {
    const key = keyOf(each.route);
    const others = found.get(key);
    if (others === undefined) found.set(key, [each]);
    else others.push(each);
  }
  return found;
}

/** The one route that a router gets for what several Services give for one prefix: with the communities of all. Undefined: it gets none. */
export function routeOf(givers: Iterable<readonly Advertised[]>, peer: string): Route | undefined {
  let route: Route | undefined;
  for (const advertised of givers) {
    /** Of this Service alone: its bandwidth counts once, however many advertisements give the route. */
    let own: Route | undefined;
    for (const { route: given, peers } of advertised)
      if (peers.length === 0 || peers.includes(peer))
        own = own === undefined ? sortedOnce(given) : union(own, given, Math.max);
    if (own !== undefined) route = route === undefined ? own : union(route, own, (a, b) => a + b);
  }
  return route;
}

/** Everything that a router gets of one Service, by prefix. */
export function routesFor({ name }: Pick<Peer, 'name'>, { advertised }: BgpDecision): Route[] {
  const prefixes = [...byPrefix(advertised)].sort(([a], [b]) => (a < b ? -1 : 1));
  return prefixes.flatMap(([, givers]) => routeOf([givers], name) ?? []);
}

/** The shortest way of the two, and the lowest MED: what the router would prefer. */
function union(a: Route, b: Route, add: (a: number, b: number) => number): Route {
  const prepend = Math.min(a.prepend ?? 0, b.prepend ?? 0);
  const meds = [a.med, b.med].filter((med) => med !== undefined);
  const bandwidths = [a.bandwidth, b.bandwidth].filter((value) => value !== undefined);
  return sorted({
    prefix: a.prefix,
    localPref: Math.max(a.localPref, b.localPref),
    communities: [...a.communities, ...b.communities],
    largeCommunities: [...a.largeCommunities, ...b.largeCommunities],
    ...(prepend > 0 && { prepend }),
    ...(meds.length > 0 && { med: Math.min(...meds) }),
    ...(bandwidths.length > 0 && { bandwidth: bandwidths.reduce((sum, more) => add(sum, more)) }),
  });
}

const sortedRoutes = new WeakMap<Route, Route>();

/** The same object for the same route, so that whoever compares sees at once that nothing has changed. */
function sortedOnce(route: Route): Route {
  const known = sortedRoutes.get(route) ?? sorted(route);
  sortedRoutes.set(route, known);
  return known;
}

function sorted(route: Route): Route {
  return {
    ...route,
    communities: unique(route.communities),
    largeCommunities: unique(route.largeCommunities),
  };
}

function unique<T extends readonly number[]>(values: readonly T[]): T[] {
  const once = [...new Map(values.map((value) => [value.join(), value])).values()];
  return once.sort((a, b) => {
    const i = a.findIndex((part, at) => part !== b[at]);
    return i < 0 ? 0 : a[i]! - b[i]!;
  });
}

/** Names of the routers that get something of the Service (docs/behaviour/status.md#servicebgpstatus). */
export function toldPeers({ advertised }: BgpDecision, peers: readonly Pick<Peer, 'name'>[]): string[] {
  const names = peers.map(({ name }) => name);
  return names.filter((name) => advertised.some(({ peers: only }) => only.length === 0 || only.includes(name))).sort();
}

/** For the log and for Events. */
export function describeRoutes({ advertised }: BgpDecision): string[] {
  return [...new Set(advertised.map(({ route }) => formatPrefix(route.prefix)))].sort();
}

/** The attributes of a route besides path and next hop, for people. */
export function describeRoute(route: Route): string[] {
  const { localPref, communities, largeCommunities, gracefulShutdown, prepend, med, bandwidth } = route;
  const all = [
    ...communities.map((parts) => parts.join(':')),
    ...largeCommunities.map((parts) => `large:${parts.join(':')}`),
  ];
  return [
    ...(localPref === 0 ? [] : [`local preference ${localPref} inside the AS`]),
    ...(all.length === 0 ? [] : [`communities ${all.join(' ')}`]),
    ...(prepend === undefined ? [] : [`our AS ${prepend + 1} times in the path`]),
    ...(med === undefined ? [] : [`MED ${med}`]),
    ...(bandwidth === undefined ? [] : [`bandwidth of ${bandwidth / ENDPOINT_BANDWIDTH} endpoints`]),
    ...(gracefulShutdown ? ['GRACEFUL_SHUTDOWN: the node is drained'] : []),
  ];
}
