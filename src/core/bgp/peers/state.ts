/**
 * The state of all BGP of one node: its peers, their sessions, and what was reported about them. The machine is in fsm.ts.
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

/** The content of a BGPSessionStatus without node and peer; `since` on the machine's clock. */
export type SessionStatus = Omit<BGPSessionStatus, 'node' | 'peer' | 'since'> & { readonly since: Millis };

/** One peer of this node. */
export interface PeerState {
  plan: PeerPlan;
  /** Owned by the machine and changed in place. */
  session: SessionState;
  /** When the session has to be stepped next. */
  due: Deadline | undefined;
  /** State of the BFD session; undefined: not known yet, or BFD does not monitor the peer. */
  bfd: 'up' | 'down' | undefined;
  /** The last failure that was reported, and when. */
  failure: { readonly why: string; readonly at: Millis } | undefined;
  /** When the last session ended; before the first one, when the peer was added. */
  lostAt: Millis;
  /** Its routes carry GRACEFUL_SHUTDOWN (RFC 8326), so that the router prefers other nodes. */
  isLeaving: boolean;
}

export type PeersPhase =
  | { readonly kind: 'running' }
  /** All sessions have ended; BFD ends at `at`. */
  | { readonly kind: 'stopping'; readonly at: Millis }
  | { readonly kind: 'stopped' };

/** Owned by the machine and changed in place: there may be hundreds of routers with many thousands of routes. */
export interface PeersState {
  phase: PeersPhase;
  plans: readonly PeerPlan[];
  /** By name of the BGPPeer. */
  readonly peers: Map<string, PeerState>;
  /** The routes of each audience. */
  readonly audiences: Map<number, RouteSet>;
  links: readonly Interface[];
  /** Whether this node forwards IPv4 packets, and so the BFD echo packets of routers. */
  forwardsIpv4: boolean;
  /** Discovered routers, by interface. */
  readonly routers: Map<string, IpAddress>;
  /** Whether BFD monitors any router, and whether router discovery runs on any interface. */
  isWatching: boolean;
  isDiscovering: boolean;
  /** Names of BGPPeers whose BFDProfile has been warned about. */
  readonly warned: Set<string>;
  silence: Silence;
  /** All peers are silent. */
  isUnheard: boolean;
  /** When statuses are reported next; undefined: nothing has changed. */
  statusAt: Millis | undefined;
  /** By name of the BGPPeer. */
  readonly statuses: Map<string, SessionStatus>;
}

/** What happens on the connections of a session. */
export type ConnectionInput = Extract<
  SessionInput,
  { kind: 'connected' | 'connect-failed' | 'closed' | 'frame' | 'unframeable' }
>;

export type PeersInput =
  | ({ readonly kind: 'wanted' } & WantedPeers)
  /** The usable links of this node. */
  | { readonly kind: 'links'; readonly links: readonly Interface[]; readonly forwardsIpv4: boolean }
  /** `administrative`: the router has turned BFD off (AdminDown). */
  | { readonly kind: 'bfd-changed'; readonly peer: string; readonly up: boolean; readonly administrative: boolean }
  | { readonly kind: 'router-found'; readonly interface: string; readonly address: IpAddress }
  | { readonly kind: 'session'; readonly peer: string; readonly input: ConnectionInput }
  /** Ask routers to prefer other nodes, except those that retain our routes while we restart (RFC 4724). */
  | { readonly kind: 'drain' }
  /** End all sessions. Routers with graceful restart retain the routes until we are back, unless they were asked to prefer other nodes. */
  | { readonly kind: 'stop'; readonly why: string };

/** A peer without a session for some time, and why. */
export interface SilentPeer {
  readonly peer: string;
  readonly why: string;
}

export type PeersOutput =
  /** The peer was added or removed: its connections are accepted from now on, or no more. */
  | { readonly kind: 'opened' | 'gone'; readonly peer: Peer }
  | { readonly kind: 'connect'; readonly peer: string; readonly to: DialTarget }
  | {
      readonly kind: 'session';
      readonly peer: string;
      readonly output: Exclude<SessionOutput, { kind: 'connect' | 'attempt-failed' }>;
    }
  /** `isNews` is false if the same failure was reported a moment ago. */
  | { readonly kind: 'attempt-failed'; readonly peer: string; readonly why: string; readonly isNews: boolean }
  /** All routers for BFD to monitor. */
  | { readonly kind: 'bfd'; readonly targets: readonly BfdTarget[] }
  /** All interfaces on which to discover routers. */
  | { readonly kind: 'discover'; readonly interfaces: ReadonlyMap<string, MacAddress> }
  /** A BFDProfile has an interval so short that a busy node is likely to declare a live router down. */
  | { readonly kind: 'hasty-bfd'; readonly peer: string; readonly profile: string; readonly interval: Millis }
  /** All silent peers; `isAll`: no peer has a session. */
  | { readonly kind: 'silence'; readonly peers: readonly SilentPeer[]; readonly isAll: boolean }
  /** `status` undefined: the peer is gone. */
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

/** The discovered router of an unnumbered peer; undefined for other peers. */
export function foundRouter({ routers }: Pick<PeersState, 'routers'>, { target }: Peer): IpAddress | undefined {
  return target.kind === 'interface' ? routers.get(target.name) : undefined;
}

/** True while some router has routes with GRACEFUL_SHUTDOWN and needs time to move traffic to other nodes. */
export function isRerouting({ peers }: PeersState): boolean {
  return [...peers.values()].some(({ isLeaving, session }) => isLeaving && session.sent.size > 0);
}
