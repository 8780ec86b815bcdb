/**
 * What decisions about a Service depend on besides the Service, at layer 2 and by BGP.
 * @module
 */
import type { BgpAdvertisement, Config, Pool } from '../config/config.ts';
import type { Candidate } from '../election/election.ts';
import type { IpAddress } from '../net/address.ts';
import { poolOf } from '../service/pool.ts';

/** A configuration as it is resolved for this node. */
export interface Resolved {
  readonly config: Config;
  /** What BGPAdvertisements there are for other nodes, as `resolveConfig` gives them. */
  readonly unsettled: readonly BgpAdvertisement[];
}

export interface ServiceFacts extends Resolved {
  readonly loadBalancerClass: string;
  readonly ignoreExcludeLabel: boolean;
  /** --partition-mode=fenced, and this node is on the smaller side. */
  readonly fenced: boolean;
  /** What was in force until a moment ago, the latest first: addresses that have lost their pool are announced by it (--pool-change-grace). */
  readonly former: readonly Resolved[];
  readonly node: string;
  readonly candidates: readonly Candidate[];
  /** Nodes that are dead: no endpoint there can serve, whatever its EndpointSlice still says. */
  readonly dead: ReadonlySet<string>;
}

/** The configuration that has a pool with all these addresses, now or until a moment ago. */
export function resolvedFor(
  { config, unsettled, former }: Pick<ServiceFacts, 'config' | 'unsettled' | 'former'>,
  addresses: readonly IpAddress[],
): (Resolved & { readonly pool: Pool }) | undefined {
  for (const resolved of [{ config, unsettled }, ...former]) {
    const pool = poolOf(resolved.config, addresses);
    if (pool !== undefined) return { ...resolved, pool };
  }
  return undefined;
}
