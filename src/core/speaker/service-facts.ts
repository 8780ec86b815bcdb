/**
 * What decisions about a Service depend on besides the Service, at layer 2 and by BGP.
 * @module
 */
import type { Service } from '../api/kubernetes.ts';
import type { BgpAdvertisement, Config, Pool } from '../config/config.ts';
import type { Candidate } from '../election/election.ts';
import { type IpAddress, parseAddress } from '../net/address.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { poolOf } from '../service/pool.ts';
import { isOurClass } from '../service/service-class.ts';

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

/** What of a Service is to be announced, and by which configuration. */
export interface Announceable extends Resolved {
  readonly pool: Pool;
  /** All of this pool. */
  readonly addresses: readonly IpAddress[];
}

/**
 * Undefined: nothing of the Service is ours to announce. What its status shows besides addresses of one pool harms nobody but itself: the
 * controller puts that right.
 */
export function announceable(
  { loadBalancerClass, config, unsettled, former }: Omit<ServiceFacts, 'candidates'>,
  service: Service,
): Announceable | undefined {
  if (!isOurClass(service, loadBalancerClass) || service.spec?.type !== 'LoadBalancer') return undefined;
  const shown = currentAddresses(service).flatMap((text) => parseAddress(text) ?? []);
  if (shown.length === 0) return undefined;
  const known = [{ config, unsettled }, ...former];
  for (const resolved of known) {
    const pool = poolOf(resolved.config, shown);
    if (pool !== undefined) return { ...resolved, pool, addresses: shown };
  }
  for (const resolved of known) {
    const pool = shown.map((address) => poolOf(resolved.config, [address])).find((found) => found !== undefined);
    if (pool === undefined) continue;
    const isOfPool = (address: IpAddress) => poolOf(resolved.config, [address]) === pool;
    return { ...resolved, pool, addresses: shown.filter(isOfPool) };
  }
  return undefined;
}
