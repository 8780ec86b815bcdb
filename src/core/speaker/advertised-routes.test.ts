import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goingAway, markOf } from '../bgp/rib/route.ts';
import { applyUpdate, noRoutes, type RouteSet } from '../bgp/rib/route-update.ts';
import type { BgpAdvertisement } from '../config/config.ts';
import { parsePrefix } from '../net/prefix.ts';
import { AdvertisedRoutes } from './advertised-routes.ts';
import { type Advertised, type BgpDecision, byPrefix, routeOf } from './bgp-decision.ts';

const PEERS = ['r1', 'r2', 'r3'];
type Lists = readonly (readonly string[])[];
const LISTS: Lists = [['r1'], ['r1', 'r2'], []];
/** One for each list of routers that it is for. */
const advertisementsFor = (lists: Lists) =>
  lists.map(
    (peers, i): BgpAdvertisement => ({
      name: `ad-${i}`,
      peers,
      pools: new Set(),
      nodeSelectors: [],
      serviceSelectors: [],
      aggregationLengths: { ipv4: 32, ipv6: 128 },
      localPref: 0,
      communities: [],
      prepend: 0,
      med: undefined,
      linkBandwidth: false,
    }),
  );
/** A route, and the number of the advertisement that gives it. */
interface Given {
  readonly host: number;
  readonly ad: number;
  readonly community: number;
  readonly bandwidth: number | undefined;
}
const given: fc.Arbitrary<readonly Given[]> = fc.array(
  fc.record({
    host: fc.nat(5),
    ad: fc.nat(2),
    community: fc.nat(2),
    bandwidth: fc.option(fc.nat(3), { nil: undefined }),
  }),
  { maxLength: 4 },
);
const decisionOf = (routes: readonly Given[], lists: Lists): BgpDecision => ({
  verdict: 'announced',
  advertised: routes.map(({ host, ad, community, bandwidth }) => ({
    route: {
      prefix: parsePrefix(`198.51.100.${host}/32`)!,
      localPref: 0,
      communities: [[64500, community]],
      largeCommunities: [],
      ...(bandwidth !== undefined && { bandwidth }),
    },
    peers: lists[ad]!,
  })),
});

/** What a router is to hold, gathered from all decisions. */
function gathered(decisions: ReadonlyMap<string, BgpDecision>, peer: string, isLeaving: boolean): Map<string, string> {
  const givers = new Map<string, (readonly Advertised[])[]>();
  for (const { advertised: given } of decisions.values())
    for (const [key, some] of byPrefix(given)) givers.set(key, [...(givers.get(key) ?? []), some]);
  return new Map(
    [...givers].flatMap(([key, all]): [string, string][] => {
      const route = routeOf(all, peer);
      return route === undefined ? [] : [[key, markOf(isLeaving ? goingAway(route) : route)]];
    }),
  );
}

describe('what routers are to hold', () => {
  it('is, after any changes one by one, what it is when it is gathered from scratch', () => {
    const step = fc.oneof(
      fc.record({ service: fc.nat(4).map(String), routes: fc.option(given, { nil: undefined }) }),
      fc.record({
        peers: fc.subarray(PEERS),
        isLeaving: fc.boolean(),
        lists: fc.oneof(fc.constant(LISTS), fc.tuple(fc.subarray(PEERS), fc.subarray(PEERS), fc.subarray(PEERS))),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const routes = new AdvertisedRoutes();
        const readers = new Map<number, RouteSet>();
        const heldBy = (audience: number) => {
          const held = readers.get(audience) ?? noRoutes();
          readers.set(audience, held);
          return held;
        };
        const services = new Map<string, readonly Given[]>();
        let [peers, isLeaving, lists]: [string[], boolean, Lists] = [[], false, LISTS];
        const wanted = (peer: string) => {
          const decisions = [...services].map(([name, each]): [string, BgpDecision] => [name, decisionOf(each, lists)]);
          return gathered(new Map(decisions), peer, isLeaving);
        };
        for (const next of steps) {
          if ('service' in next) {
            routes.decide(next.service, next.routes && decisionOf(next.routes, lists));
            if (next.routes === undefined) services.delete(next.service);
            else services.set(next.service, next.routes);
          } else {
            ({ peers, isLeaving, lists } = next);
            for (const [name, each] of services) routes.decide(name, decisionOf(each, lists));
            routes.address(peers, advertisementsFor(lists), isLeaving);
          }
          for (const update of routes.takeUpdates()) applyUpdate(heldBy(update.audience), update);
          expect(routes.takeUpdates()).toEqual([]);
          for (const peer of peers) {
            const held = [...heldBy(routes.audienceOf(peer)).routes].map(
              ([key, route]) => [key, markOf(route)] as const,
            );
            expect(new Map(held)).toEqual(wanted(peer));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('is told to all routers together that no BGPAdvertisement sets apart', () => {
    const routes = new AdvertisedRoutes();
    routes.address(['r1', 'r2', 'r3', 'r4'], advertisementsFor(LISTS), false);
    expect(routes.audienceOf('r3')).toBe(routes.audienceOf('r4'));
    expect(new Set(['r1', 'r2', 'r3'].map((peer) => routes.audienceOf(peer))).size).toBe(3);
  });
});
