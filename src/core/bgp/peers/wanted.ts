/**
 * What the speaker asks of BGP: which peers, and which routes for each.
 * @module
 */
import type { BfdProfile, Peer } from '../../config/config.ts';
import type { RouteUpdate } from '../rib/route-update.ts';

/** One peer, its BFD profile, and which routes it gets. */
export interface PeerPlan {
  readonly peer: Peer;
  /** The BFDProfile that the peer names. */
  readonly bfd: BfdProfile | undefined;
  /** Peers that get the same routes have the same audience. */
  readonly audience: number;
}

export interface WantedPeers {
  /** All peers of this node; the same array as before if none has changed. */
  readonly plans: readonly PeerPlan[];
  /** Changes of routes since the last time; a new audience comes as a snapshot. */
  readonly routes: readonly RouteUpdate[];
}
