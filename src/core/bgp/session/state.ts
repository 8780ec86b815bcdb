/**
 * The state, inputs and outputs of one BGP session. The machine is in fsm.ts.
 * @module
 */
import type { Millis } from '../../machine.ts';
import { nextHopsFor, type Outbound, type Sent } from '../rib/difference.ts';
import { noRoutes, type RouteSet, type RouteUpdate } from '../rib/route-update.ts';
import { BEFORE_OPEN } from '../wire/codec.ts';
import type { BgpError } from '../wire/errors.ts';
import type { CodecOptions } from '../wire/messages.ts';
import type { LocalEnd, Negotiated, SessionSettings } from './negotiation.ts';

export type SessionPhase = 'idle' | 'active' | 'connect' | 'open-sent' | 'open-confirm' | 'established';

/** Which side opened a connection. */
export type Initiator = 'ours' | 'theirs';

/** One TCP connection with the peer. */
export interface Connection {
  readonly initiator: Initiator;
  readonly local: LocalEnd;
  stage: Stage;
  /** When the hold timer, or before that the time for the OPENs, expires; undefined: no hold timer. */
  holdAt: Millis | undefined;
}

/** How far a connection has come. OPENs are complete messages, as sent and received. */
export type Stage =
  /** We wait for the peer's OPEN until `openAt`, then send ours (DelayOpen). */
  | { readonly kind: 'open-delayed'; readonly openAt: Millis }
  | { readonly kind: 'open-sent'; readonly sent: Uint8Array }
  | Agreed;

/** Both OPENs have been exchanged and are compatible. */
export interface Agreed {
  readonly kind: 'open-confirm' | 'established';
  readonly opens: { readonly sent: Uint8Array; readonly received: Uint8Array };
  readonly negotiated: Negotiated;
  /** When to send the next KEEPALIVE; undefined: none are sent. */
  readonly keepaliveAt: Millis | undefined;
}

/** A connection whose OPENs have been exchanged. */
export type AgreedConnection = Connection & { stage: Agreed };

/** What we are doing to open a connection ourselves. */
export type Attempt =
  /** Nothing: the session has not been started, or was stopped. */
  | { readonly kind: 'stopped' }
  /** Nothing: the peer has to connect, or there is a connection. */
  | { readonly kind: 'resting' }
  | { readonly kind: 'waiting'; readonly retryAt: Millis }
  | { readonly kind: 'dialing'; readonly until: Millis };

/** Owned by the machine and changed in place: a peer may hold a hundred thousand routes. */
export interface SessionState {
  settings: SessionSettings;
  /** The phase of the connection that has come farthest. */
  phase: SessionPhase;
  /** When the phase was entered. */
  since: Millis;
  readonly connections: Map<Initiator, Connection>;
  attempt: Attempt;
  /** The routes that the peer should have. */
  readonly wanted: RouteSet;
  /** The routes that it has been sent in this session. */
  readonly sent: Sent;
  /** Failed attempts since the last session. */
  failures: number;
  /** Our last BGP identifier, from which the jitter of attempts is derived. */
  identifier: number;
  /** Why the last session or attempt ended. */
  lastError: string | undefined;
  /** There was no session with the peer since this speaker started. */
  isFirst: boolean;
}

/** Subcodes of Cease with which we end a session (RFC 4486 §4). */
export const STOP_CAUSES = { shutdown: 2, 'de-configured': 3, 'configuration-change': 6 } as const;
export type StopCause = keyof typeof STOP_CAUSES;

export type SessionInput =
  | { readonly kind: 'start' }
  /** End the session; `hold`: the peer should retain our routes, because we come back (RFC 4724). */
  | { readonly kind: 'stop'; readonly cause: StopCause; readonly why: string; readonly hold: boolean }
  /** New settings that do not need a new session (core/bgp/peers/peer-change.ts). */
  | { readonly kind: 'settings'; readonly settings: SessionSettings }
  | { readonly kind: 'connected'; readonly initiator: Initiator; readonly local: LocalEnd }
  | { readonly kind: 'connect-failed'; readonly why: string }
  | { readonly kind: 'closed'; readonly initiator: Initiator; readonly why: string }
  /** One complete message, or what is wrong with the stream. */
  | { readonly kind: 'frame'; readonly initiator: Initiator; readonly bytes: Uint8Array }
  | { readonly kind: 'unframeable'; readonly initiator: Initiator; readonly error: BgpError }
  /** The BFD session with the peer is down (RFC 5882 §4). */
  | { readonly kind: 'bfd-down' }
  /** The routes that the peer should have, as a snapshot or a delta. */
  | { readonly kind: 'routes'; readonly routes: RouteUpdate };

export type SessionOutput =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly initiator: Initiator; readonly bytes: Uint8Array }
  /** Also ends an attempt to connect. */
  | { readonly kind: 'close'; readonly initiator: Initiator }
  /** Close the connection of this input. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'session-up'; readonly initiator: Initiator; readonly negotiated: Negotiated }
  | { readonly kind: 'session-down'; readonly why: string }
  /** A connection or attempt ended before the session was up. */
  | { readonly kind: 'attempt-failed'; readonly why: string }
  | { readonly kind: 'counted'; readonly counter: SessionCounter; readonly by: number };

/** Names of upstream's metrics, after `metallb_bgp_`. */
export const SESSION_COUNTERS = [
  'opens_sent',
  'opens_received',
  'notifications_sent',
  'updates_total',
  'updates_total_received',
  'keepalives_sent',
  'keepalives_received',
  'route_refresh_sent',
  'total_sent',
  'total_received',
] as const;
export type SessionCounter = (typeof SESSION_COUNTERS)[number];

export function initialSession(settings: SessionSettings): SessionState {
  return {
    settings,
    phase: 'idle',
    since: 0,
    connections: new Map(),
    attempt: { kind: 'stopped' },
    wanted: noRoutes(),
    sent: new Map(),
    failures: 0,
    identifier: 0,
    lastError: undefined,
    isFirst: true,
  };
}

/** The connection that the session runs on; undefined while it is not up. */
export function established({ connections }: SessionState): AgreedConnection | undefined {
  for (const connection of connections.values())
    if (isAgreed(connection) && connection.stage.kind === 'established') return connection;
  return undefined;
}

export function isAgreed(connection: Connection): connection is AgreedConnection {
  return connection.stage.kind === 'open-confirm' || connection.stage.kind === 'established';
}

/** Undefined until the OPENs have been exchanged. */
export function negotiatedOf(connection: Connection | undefined): Negotiated | undefined {
  return connection !== undefined && isAgreed(connection) ? connection.stage.negotiated : undefined;
}

/** The codec options of a connection. */
export function optionsOf(connection: Connection | undefined): CodecOptions {
  return negotiatedOf(connection) ?? BEFORE_OPEN;
}

/** True if the peer retains our routes for a while when the connection just closes (RFC 4724). */
export function holdsRoutes({ settings }: SessionState, connection: Connection | undefined): boolean {
  return settings.gracefulRestart && negotiatedOf(connection)?.gracefulRestart !== undefined;
}

/** What UPDATEs of the session depend on; undefined while it is not up. */
export function outboundOf(state: SessionState): Outbound | undefined {
  const connection = established(state);
  if (connection === undefined) return undefined;
  const { local } = connection;
  const { negotiated } = connection.stage;
  const mayCross = negotiated.capabilities.some(
    (capability) => capability.kind === 'extended-next-hop' && capability.family === 'ipv4',
  );
  return {
    options: negotiated,
    external: negotiated.external,
    asn: state.settings.localAsn,
    families: negotiated.families,
    nextHops: nextHopsFor(local.addresses, mayCross),
  };
}
