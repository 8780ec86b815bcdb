/**
 * One BGP session as data: what it is made of, what it hears and what it asks for. fsm.ts is how it moves.
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

/** Who made a connection. */
export type Initiator = 'ours' | 'theirs';

/** One TCP connection with the peer. */
export interface Connection {
  readonly initiator: Initiator;
  readonly local: LocalEnd;
  stage: Stage;
  /** When the peer has been silent for too long, or has not come to an agreement; undefined: it may be silent. */
  holdAt: Millis | undefined;
}

/** How far a connection has come. OPENs are whole messages, as they went over the wire. */
export type Stage =
  /** The peer may speak first, until `openAt`. */
  | { readonly kind: 'open-delayed'; readonly openAt: Millis }
  | { readonly kind: 'open-sent'; readonly sent: Uint8Array }
  | Agreed;

/** Both OPENs are there, and fit. */
export interface Agreed {
  readonly kind: 'open-confirm' | 'established';
  readonly opens: { readonly sent: Uint8Array; readonly received: Uint8Array };
  readonly negotiated: Negotiated;
  /** Undefined: none are to be sent. */
  readonly keepaliveAt: Millis | undefined;
}

/** A connection that is past its OPENs. */
export type AgreedConnection = Connection & { stage: Agreed };

/** What we do to get a connection of our own. */
export type Attempt =
  /** Nothing: the session is not to be. */
  | { readonly kind: 'stopped' }
  /** Nothing: the peer has to connect to us, or there is a connection. */
  | { readonly kind: 'resting' }
  | { readonly kind: 'waiting'; readonly retryAt: Millis }
  | { readonly kind: 'dialing'; readonly until: Millis };

/** Owned by the machine and changed in place: a peer may hold a hundred thousand routes. */
export interface SessionState {
  settings: SessionSettings;
  /** That of the connection that has come farthest. */
  phase: SessionPhase;
  /** When the phase was entered. */
  since: Millis;
  readonly connections: Map<Initiator, Connection>;
  attempt: Attempt;
  /** What the peer is to hold. */
  readonly wanted: RouteSet;
  /** What it has been sent since the session stands. */
  readonly sent: Sent;
  /** How many have failed since there was a session. */
  failures: number;
  /** The identifier that we last had, for the jitter of attempts. */
  identifier: number;
  /** Why the last session, or the last attempt at one, ended. */
  lastError: string | undefined;
  /** This speaker has not had a session with the peer since it was started. */
  isFirst: boolean;
}

/** Subcodes of Cease that end a session for good (RFC 4486 §4). */
export const STOP_CAUSES = { shutdown: 2, 'de-configured': 3, 'configuration-change': 6 } as const;
export type StopCause = keyof typeof STOP_CAUSES;

export type SessionInput =
  | { readonly kind: 'start' }
  /** Ends the session for good; `hold`: the peer is to keep what it has, for we come back (RFC 4724). */
  | { readonly kind: 'stop'; readonly cause: StopCause; readonly why: string; readonly hold: boolean }
  /** Others, that a session can be kept with (core/bgp/peers/peer-change.ts). */
  | { readonly kind: 'settings'; readonly settings: SessionSettings }
  | { readonly kind: 'connected'; readonly initiator: Initiator; readonly local: LocalEnd }
  | { readonly kind: 'connect-failed'; readonly why: string }
  | { readonly kind: 'closed'; readonly initiator: Initiator; readonly why: string }
  /** One whole message, or what is wrong with the stream. */
  | { readonly kind: 'frame'; readonly initiator: Initiator; readonly bytes: Uint8Array }
  | { readonly kind: 'unframeable'; readonly initiator: Initiator; readonly error: BgpError }
  /** BFD has lost the peer (RFC 5882 §4). */
  | { readonly kind: 'bfd-down' }
  /** What the peer should hold: the whole, or what has changed since the last time. */
  | { readonly kind: 'routes'; readonly routes: RouteUpdate };

export type SessionOutput =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly initiator: Initiator; readonly bytes: Uint8Array }
  /** Also ends an attempt to connect. */
  | { readonly kind: 'close'; readonly initiator: Initiator }
  /** Closes the connection that has just come. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'session-up'; readonly initiator: Initiator; readonly negotiated: Negotiated }
  | { readonly kind: 'session-down'; readonly why: string }
  /** Before it was ever up. */
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

/** Undefined: the OPENs are not exchanged yet. */
export function negotiatedOf(connection: Connection | undefined): Negotiated | undefined {
  return connection !== undefined && isAgreed(connection) ? connection.stage.negotiated : undefined;
}

/** How messages of a connection are written. */
export function optionsOf(connection: Connection | undefined): CodecOptions {
  return negotiatedOf(connection) ?? BEFORE_OPEN;
}

/** True when the peer keeps our routes for a while when we go without a word. */
export function holdsRoutes({ settings }: SessionState, connection: Connection | undefined): boolean {
  return settings.gracefulRestart && negotiatedOf(connection)?.gracefulRestart !== undefined;
}

/** Undefined while the session is not up. */
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
