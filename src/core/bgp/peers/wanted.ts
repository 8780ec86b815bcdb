/**
 * What the speaker wants of BGP: which routers, and what each is to hold.
 * @module
 */
import type { BfdProfile, Peer } from '../../config/config.ts';
import type { RouteUpdate } from '../rib/route-update.ts';

/** One router, and whose routes it is to hold. */
export interface PeerPlan {
  readonly peer: Peer;
  /** The BFDProfile that the peer names. */
  readonly bfd: BfdProfile | undefined;
  /** Routers that are told the same share one. */
  readonly audience: number;
}

export interface WantedPeers {
  /** All routers of this node; the same array as before where none of them has changed. */
  readonly plans: readonly PeerPlan[];
  /** What is new for the audiences since the last time; an audience that is new itself comes as a snapshot. */
  readonly routes: readonly RouteUpdate[];
}
