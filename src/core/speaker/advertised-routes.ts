/**
 * The routes for the peers of this node, updated incrementally: a change of one Service costs only its own routes, however many
 * others there are. Peers that no BGPAdvertisement distinguishes share one table.
 * @module
 */
import { goingAway } from '../bgp/rib/route.ts';
import { RouteTable } from '../bgp/rib/route-table.ts';
import type { RouteUpdate } from '../bgp/rib/route-update.ts';
import type { BgpAdvertisement } from '../config/config.ts';
import { equal } from '../net/equal.ts';
import { fingerprint } from '../net/fingerprint.ts';
import { type Advertised, type BgpDecision, byPrefix, routeOf } from './bgp-decision.ts';

/** Peers that get the same routes; `peer` is the one for which they are computed. */
interface Audience {
  readonly peer: string;
  readonly table: RouteTable;
  /** The version of the last update that was taken; undefined: none yet. */
  told: number | undefined;
}

export class AdvertisedRoutes {
  readonly #decisions = new Map<string, BgpDecision>();
  /** By prefix and Service. */
  readonly #givers = new Map<string, Map<string, readonly Advertised[]>>();
  /** By a fingerprint of the BGPAdvertisements that name the peer. */
  #audiences = new Map<string, Audience>();
  /** By the name of the peer. */
  #audienceOf = new Map<string, Audience>();
  #isLeaving = false;
  #lastAudience = 0;

  /** The number of Services with a decision. */
  get size(): number {
    return this.#decisions.size;
  }

  decisionOf(service: string): BgpDecision | undefined {
    return this.#decisions.get(service);
  }

  /** `decision` undefined: BGP no longer applies to the Service. */
  decide(service: string, decision: BgpDecision | undefined): void {
    const old = this.#decisions.get(service);
    if (equal(old, decision)) return;
    if (decision === undefined) this.#decisions.delete(service);
    else this.#decisions.set(service, decision);
    const [before, after] = [old, decision].map((each) => byPrefix(each?.advertised ?? []));
    for (const key of before!.keys()) if (!after!.has(key)) this.#give(key, service, undefined);
    for (const [key, advertised] of after!) this.#give(key, service, advertised);
    this.#refresh(new Set([...before!.keys(), ...after!.keys()]));
  }

  /** Sets the peers of this node, and whether all routes carry GRACEFUL_SHUTDOWN (RFC 8326) because the node is leaving. */
  address(peers: readonly string[], advertisements: readonly BgpAdvertisement[], isLeaving: boolean): void {
    const old = this.#audiences;
    this.#audiences = new Map();
    this.#audienceOf = new Map();
    for (const peer of peers) {
      const naming = advertisements.filter((advertisement) => advertisement.peers.includes(peer));
      const key = fingerprint(naming.map(({ name }) => name));
      const audience = this.#audiences.get(key) ?? this.#headedBy(peer, old.get(key));
      this.#audiences.set(key, audience);
      this.#audienceOf.set(peer, audience);
    }
    if (isLeaving === this.#isLeaving) return;
    this.#isLeaving = isLeaving;
    this.#refresh(this.#givers.keys());
  }

  /** The number of the audience of a peer that was passed to `address`. Numbers are never reused. */
  audienceOf(peer: string): number {
    return this.#audienceOf.get(peer)!.table.audience;
  }

  /** The changes for all audiences since the last call. */
  takeUpdates(): RouteUpdate[] {
    return [...this.#audiences.values()].flatMap((audience) => {
      const update = audience.table.updateSince(audience.told);
      audience.told = audience.table.version;
      return update ?? [];
    });
  }

  /** Other advertisements may name the previous representative now, so a new one needs all routes computed again. */
  #headedBy(peer: string, known: Audience | undefined): Audience {
    if (known?.peer === peer) return known;
    const audience = { ...(known ?? { table: new RouteTable(++this.#lastAudience), told: undefined }), peer };
    this.#refresh(this.#givers.keys(), [audience]);
    return audience;
  }

  #give(key: string, service: string, advertised: readonly Advertised[] | undefined): void {
    const givers = this.#givers.get(key) ?? new Map<string, readonly Advertised[]>();
    if (advertised === undefined) givers.delete(service);
    else givers.set(service, advertised);
    if (givers.size === 0) this.#givers.delete(key);
    else this.#givers.set(key, givers);
  }

  #refresh(keys: Iterable<string>, audiences: Iterable<Audience> = [...this.#audiences.values()]): void {
    for (const key of keys)
      for (const { peer, table } of audiences) {
        const route = routeOf(this.#givers.get(key)?.values() ?? [], peer);
        if (route === undefined) table.delete(key);
        else table.set(this.#isLeaving ? goingAway(route) : route);
      }
  }
}
