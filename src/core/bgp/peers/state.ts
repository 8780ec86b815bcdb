/**
 * All BGP of one node as data: its routers, the session with each, and what is told of them. fsm.ts is how it moves.
 * @module
 */
import type { BGPSessionStatus } from '../../api/kinds.ts';
import type { Peer } from '../../config/config.ts';
import type { Interface } from '../../layer2/messages.ts';
import type { Deadline, Millis } from '../../machine.ts';
import type { IpAddress } from '../../net/address.ts';
import type { MacAddress } from '../../net/mac.ts';
import type { RouteSet } from '../rib/route-update.ts';
import type { SessionInput, SessionOutput, SessionState } from '../session/state.ts';
import type { BfdTarget } from './bfd-target.ts';
import type { DialTarget } from './router-address.ts';
import { NO_SILENCE, type Silence } from './silence.ts';
import type { PeerPlan, WantedPeers } from './wanted.ts';

/** What a BGPSessionStatus says, besides whose it is; `since` on the machine's clock. */
export type SessionStatus = Omit<BGPSessionStatus, 'node' | 'peer' | 'since'> & { readonly since: Millis };

/** One router of this node. */
export interface PeerState {
  plan: PeerPlan;
  /** Owned by the machine, as the whole state is. */
  session: SessionState;
  /** When the session wants to be stepped. */
  due: Deadline | undefined;
  /** What BFD says; undefined: nothing yet, or it does not watch the router. */
  bfd: 'up' | 'down' | undefined;
  /** Why there was no session when that was last news, and when. */
  failure: { readonly why: string; readonly at: Millis } | undefined;
  /** When there was a session last; before the first one, when the peer came. */
  lostAt: Millis;
  /** The router is asked to prefer other nodes. */
  isLeaving: boolean;
}

export type PeersPhase =
  | { readonly kind: 'running' }
  /** All sessions have ended, and BFD is to end at `at`. */
  | { readonly kind: 'stopping'; readonly at: Millis }
  | { readonly kind: 'stopped' };

/** Owned by the machine and changed in place: there may be hundreds of routers with many thousands of routes. */
export interface PeersState {
  phase: PeersPhase;
  plans: readonly PeerPlan[];
  /** By name of the BGPPeer. */
  readonly peers: Map<string, PeerState>;
  /** What each audience is to hold. */
  readonly audiences: Map<number, RouteSet>;
  links: readonly Interface[];
  /** This node sends IPv4 packets on, BFD echoes of routers among them. */
  forwardsIpv4: boolean;
  /** Routers that have made themselves known, by interface. */
  readonly routers: Map<string, IpAddress>;
  /** BFD, and router discovery, have something to do. */
  isWatching: boolean;
  isDiscovering: boolean;
  /** BGPPeers whose BFDProfile has been warned of. */
  readonly warned: Set<string>;
  silence: Silence;
  /** There is no session with any router, and has not been for a while. */
  isUnheard: boolean;
  /** When statuses are looked at; undefined: nothing has changed. */
  statusAt: Millis | undefined;
  /** By name of the BGPPeer. */
  readonly statuses: Map<string, SessionStatus>;
}

/** What the connections of a session bring. */
export type ConnectionInput = Extract<
  SessionInput,
  { kind: 'connected' | 'connect-failed' | 'closed' | 'frame' | 'unframeable' }
>;

export type PeersInput =
  | ({ readonly kind: 'wanted' } & WantedPeers)
  /** Links that can be used now. */
  | { readonly kind: 'links'; readonly links: readonly Interface[]; readonly forwardsIpv4: boolean }
  /** `administrative`: the router has only turned BFD off. */
  | { readonly kind: 'bfd-changed'; readonly peer: string; readonly up: boolean; readonly administrative: boolean }
  | { readonly kind: 'router-found'; readonly interface: string; readonly address: IpAddress }
  | { readonly kind: 'session'; readonly peer: string; readonly input: ConnectionInput }
  /** Routers are to prefer other nodes, but for those that keep our routes while we restart. */
  | { readonly kind: 'drain' }
  /** Ends all sessions; routers that can do so keep the routes until we are back, unless they were asked to prefer others. */
  | { readonly kind: 'stop'; readonly why: string };

/** A router that does not hear this node, and why. */
export interface SilentPeer {
  readonly peer: string;
  readonly why: string;
}

export type PeersOutput =
  /** There is a session with the router from here on, or none any more. */
  | { readonly kind: 'opened' | 'gone'; readonly peer: Peer }
  | { readonly kind: 'connect'; readonly peer: string; readonly to: DialTarget }
  | {
      readonly kind: 'session';
      readonly peer: string;
      readonly output: Exclude<SessionOutput, { kind: 'connect' | 'attempt-failed' }>;
    }
  /** `isNews`: that has not been said just before. */
  | { readonly kind: 'attempt-failed'; readonly peer: string; readonly why: string; readonly isNews: boolean }
  /** The whole of the routers that BFD is to watch. */
  | { readonly kind: 'bfd'; readonly targets: readonly BfdTarget[] }
  /** The whole of the interfaces that routers are to be found on. */
  | { readonly kind: 'discover'; readonly interfaces: ReadonlyMap<string, MacAddress> }
  /** A BFDProfile asks for packets so often that a busy node is likely to take the router for dead. */
  | { readonly kind: 'hasty-bfd'; readonly peer: string; readonly profile: string; readonly interval: Millis }
  /** The whole of the routers that there has been no session with for a while; `isAll`: there is none at all. */
  | { readonly kind: 'silence'; readonly peers: readonly SilentPeer[]; readonly isAll: boolean }
  /** Undefined: there is nothing to say any more. */
  | { readonly kind: 'status'; readonly peer: string; readonly status: SessionStatus | undefined }
  | { readonly kind: 'stopped' };

export function initialPeers(): PeersState {
  return {
    phase: { kind: 'running' },
    plans: [],
    peers: new Map(),
    audiences: new Map(),
    links: [],
    forwardsIpv4: false,
    routers: new Map(),
    isWatching: false,
    isDiscovering: false,
    warned: new Set(),
    silence: NO_SILENCE,
    isUnheard: false,
    statusAt: undefined,
    statuses: new Map(),
  };
}

/** Of an unnumbered peer: its router, once that is known. */
export function foundRouter({ routers }: Pick<PeersState, 'routers'>, { target }: Peer): IpAddress | undefined {
  return target.kind === 'interface' ? routers.get(target.name) : undefined;
}

/** True when there are routers that need a moment to come by other nodes. */
export function isRerouting({ peers }: PeersState): boolean {
  return [...peers.values()].some(({ isLeaving, session }) => isLeaving && session.sent.size > 0);
}
