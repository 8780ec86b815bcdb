/**
 * What decisions about a Service depend on besides the Service, at layer 2 and by BGP.
 * @module
 */
import type { BgpAdvertisement, Config } from '../config/config.ts';
import type { Candidate } from '../election/election.ts';

export interface ServiceFacts {
  readonly loadBalancerClass: string;
  readonly ignoreExcludeLabel: boolean;
  /** --partition-mode=fenced, and this node is on the smaller side. */
  readonly fenced: boolean;
  /** As it is resolved for `node`. */
  readonly config: Config;
  /** What BGPAdvertisements there are for other nodes, as `resolveConfig` gives them. */
  readonly unsettled: readonly BgpAdvertisement[];
  readonly node: string;
  readonly candidates: readonly Candidate[];
  /** Nodes that are dead: no endpoint there can serve, whatever its EndpointSlice still says. */
  readonly dead: ReadonlySet<string>;
}
