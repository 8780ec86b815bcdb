/**
 * What the routers of this node are to hold, kept up with the decisions about Services: a change of one Service touches the routes that it
 * gives, however many others there are. Routers that no BGPAdvertisement sets apart share one table.
 * @module
 */
import { goingAway } from '../bgp/rib/route.ts';
import { RouteTable } from '../bgp/rib/route-table.ts';
import type { BgpAdvertisement } from '../config/config.ts';
import { fingerprint } from '../net/fingerprint.ts';
import { type Advertised, type BgpDecision, byPrefix, routeOf } from './bgp-decision.ts';

/** Routers that are to hold the same: one of them stands for all. */
interface Audience {
  readonly peer: string;
  readonly table: RouteTable;
  /** Differs from that of every other audience that ever was. */
  readonly id: number;
}

const NOTHING = fingerprint(undefined);

export class AdvertisedRoutes {
  readonly #decisions = new Map<string, { readonly decision: BgpDecision; readonly mark: string }>();
  /** By prefix and Service. */
  readonly #givers = new Map<string, Map<string, readonly Advertised[]>>();
  /** By the BGPAdvertisements that name the router. */
  #audiences = new Map<string, Audience>();
  #audienceOf = new Map<string, Audience>();
  #isLeaving = false;
  #lastId = 0;

  /** How many Services BGP has to do with. */
  get size(): number {
    return this.#decisions.size;
  }

  decisionOf(service: string): BgpDecision | undefined {
    return this.#decisions.get(service)?.decision;
  }

  /** Undefined: BGP has nothing to do with the Service any more. True: that is another decision than before. */
  decide(service: string, decision: BgpDecision | undefined): boolean {
    const old = this.#decisions.get(service);
    const mark = fingerprint(decision);
    if ((old?.mark ?? NOTHING) === mark) return false;
    if (decision === undefined) this.#decisions.delete(service);
    else this.#decisions.set(service, { decision, mark });
    const [before, after] = [old?.decision, decision].map((each) => byPrefix(each?.advertised ?? []));
    for (const key of before!.keys()) if (!after!.has(key)) this.#give(key, service, undefined);
    for (const [key, advertised] of after!) this.#give(key, service, advertised);
    this.#refresh(new Set([...before!.keys(), ...after!.keys()]));
    return true;
  }

  /** The routers of this node, and whether they are to be told that it is about to go. */
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

  /** What a router that has been addressed is to hold. The table lives on, and changes with later decisions. */
  tableFor(peer: string): RouteTable {
    return this.#audienceOf.get(peer)!.table;
  }

  /** Another text whenever the router is to hold something else. */
  markFor(peer: string): string {
    const { id, table } = this.#audienceOf.get(peer)!;
    return `${id}:${table.version}`;
  }

  /** Whoever stood for the audience may be named by other advertisements now. */
  #headedBy(peer: string, known: Audience | undefined): Audience {
    if (known?.peer === peer) return known;
    const audience = { ...(known ?? { table: new RouteTable(), id: ++this.#lastId }), peer };
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
