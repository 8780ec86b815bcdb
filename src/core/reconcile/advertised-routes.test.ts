import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goingAway, keyOf, markOf } from '../bgp/route.ts';
import type { BgpAdvertisement } from '../config/config.ts';
import { parsePrefix } from '../net/prefix.ts';
import { AdvertisedRoutes } from './advertised-routes.ts';
import { type Advertised, type BgpDecision, byPrefix, routeOf } from './bgp-decision.ts';

const PEERS = ['r1', 'r2', 'r3'];
const advertisements = [['r1'], ['r1', 'r2'], []].map(
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
const advertised = fc
  .record({ host: fc.nat(5), ad: fc.nat(2), community: fc.nat(2), bandwidth: fc.option(fc.nat(3), { nil: undefined }) })
  .map(
    ({ host, ad, community, bandwidth }): Advertised => ({
      route: {
        prefix: parsePrefix(`198.51.100.${host}/32`)!,
        localPref: 0,
        communities: [[64500, community]],
        largeCommunities: [],
        ...(bandwidth !== undefined && { bandwidth }),
      },
      peers: advertisements[ad]!.peers,
    }),
  );
const decision = fc
  .array(advertised, { maxLength: 4 })
  .map((given): BgpDecision => ({ verdict: 'announced', advertised: given }));

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
  it('is, after any changes one by one, what it is when it is gathered anew', () => {
    const step = fc.oneof(
      fc.record({ service: fc.nat(4).map(String), decision: fc.option(decision, { nil: undefined }) }),
      fc.record({ peers: fc.subarray(PEERS), isLeaving: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const routes = new AdvertisedRoutes();
        const decisions = new Map<string, BgpDecision>();
        let [peers, isLeaving] = [[] as string[], false];
        for (const next of steps) {
          const marks = peers.map((peer) => [routes.markFor(peer), gathered(decisions, peer, isLeaving)] as const);
          if ('service' in next) {
            routes.decide(next.service, next.decision);
            if (next.decision === undefined) decisions.delete(next.service);
            else decisions.set(next.service, next.decision);
            for (const [i, peer] of peers.entries()) {
              const [mark, before] = marks[i]!;
              const isSame =
                JSON.stringify([...before].sort()) === JSON.stringify([...gathered(decisions, peer, isLeaving)].sort());
              if (!isSame) expect(routes.markFor(peer)).not.toBe(mark);
            }
          } else {
            ({ peers, isLeaving } = next);
            routes.address(peers, advertisements, isLeaving);
          }
          for (const peer of peers) {
            const table = new Map([...routes.tableFor(peer).values()].map((route) => [keyOf(route), markOf(route)]));
            expect(table).toEqual(gathered(decisions, peer, isLeaving));
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is one table for routers that no BGPAdvertisement sets apart', () => {
    const routes = new AdvertisedRoutes();
    routes.address(['r1', 'r2', 'r3', 'r4'], advertisements, false);
    expect(routes.tableFor('r3')).toBe(routes.tableFor('r4'));
    expect(new Set(['r1', 'r2', 'r3'].map((peer) => routes.tableFor(peer))).size).toBe(3);
  });
});
