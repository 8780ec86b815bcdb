/**
 * One BGP session as a machine (RFC 4271 §8): the side that connects. What the peer should hold comes in as a whole; a change of it never
 * touches the session. Routes of the peer are read, as the protocol asks, and never taken.
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import type { IpAddress } from '../net/address.ts';
import { BEFORE_OPEN, decodeMessage, encodeMessage } from './codec.ts';
import { type BgpError, bgpError, describeNotification, type NotificationCode } from './errors.ts';
import {
  type AddressFamily,
  AS_TRANS,
  type BgpMessage,
  type Capability,
  type CodecOptions,
  type GracefulRestart,
  type OpenMessage,
} from './messages.ts';
import { endOfRib, type Outbound, type Route, type Sent, synchronize } from './rib.ts';

export interface SessionSettings {
  /** Our AS number (myASN), and the one that we go by towards this peer (localASN, or the same). */
  readonly asn: number;
  readonly localAsn: number;
  /** What the peer must call itself: this, our own AS, or any other. */
  readonly peerAsn: number | 'internal' | 'external';
  /** Milliseconds; 0: no hold timer. */
  readonly holdTime: Millis;
  /** Undefined: a third of the hold time that is agreed on. */
  readonly keepaliveTime: Millis | undefined;
  /** Milliseconds between attempts to connect; undefined: 1 s, doubling up to 120 s. */
  readonly connectTime: Millis | undefined;
  readonly families: readonly AddressFamily[];
  readonly gracefulRestart: boolean;
}

/** What is known of our end once a connection stands. */
export interface LocalEnd {
  /** BGP identifier, an unsigned 32-bit number other than 0. */
  readonly identifier: number;
  readonly addresses: readonly IpAddress[];
}

export type SessionPhase = 'idle' | 'active' | 'connect' | 'open-sent' | 'open-confirm' | 'established';

/** What both sides have agreed on. */
export interface Negotiated extends CodecOptions {
  readonly peerAsn: number;
  readonly external: boolean;
  readonly identifier: number;
  /** Milliseconds; 0: none. */
  readonly holdTime: Millis;
  readonly keepaliveTime: Millis;
  readonly families: readonly AddressFamily[];
  readonly enhancedRefresh: boolean;
  readonly gracefulRestart: GracefulRestart | undefined;
  readonly capabilities: readonly Capability[];
}

/** Owned by the machine and changed in place: a peer may hold a hundred thousand routes. */
export interface SessionState {
  readonly settings: SessionSettings;
  phase: SessionPhase;
  /** When the phase was entered. */
  since: Millis;
  local: LocalEnd | undefined;
  negotiated: Negotiated | undefined;
  wanted: readonly Route[];
  readonly sent: Sent;
  attempts: number;
  retryAt: Millis;
  /** When the peer has been silent for too long, or has not come to an agreement. */
  holdAt: Millis;
  keepaliveAt: Millis;
  /** Why the last session, or the last attempt at one, ended. */
  lastError: string | undefined;
  /** This speaker has not had a session with the peer since it was started. */
  isFirst: boolean;
}

export type SessionInput =
  | { readonly kind: 'start' }
  /** Ends the session for good; `hold`: the peer is to keep what it has, for we come back (RFC 4724). */
  | { readonly kind: 'stop'; readonly why: string; readonly hold: boolean }
  | { readonly kind: 'connected'; readonly local: LocalEnd }
  | { readonly kind: 'connect-failed'; readonly why: string }
  | { readonly kind: 'closed'; readonly why: string }
  /** One whole message, or what is wrong with the stream. */
  | { readonly kind: 'frame'; readonly bytes: Uint8Array }
  | { readonly kind: 'unframeable'; readonly error: BgpError }
  /** BFD has lost the peer (RFC 5882 §4). */
  | { readonly kind: 'bfd-down' }
  /** The whole of what the peer should hold. */
  | { readonly kind: 'routes'; readonly routes: readonly Route[] };

export type SessionOutput =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'close' }
  | { readonly kind: 'session-up'; readonly negotiated: Negotiated }
  | { readonly kind: 'session-down'; readonly why: string }
  /** Before it was ever up. */
  | { readonly kind: 'attempt-failed'; readonly why: string }
  | { readonly kind: 'counted'; readonly counter: SessionCounter; readonly by: number };

/** Names of upstream's metrics (behaviour reference §6.2), after `metallb_bgp_`. */
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

const NEVER = Number.POSITIVE_INFINITY;
/** Milliseconds for the connection, and then for the exchange of OPENs (RFC 4271 §8.2.2 suggests minutes for the latter). */
const CONNECT_TIMEOUT = 10_000;
const OPEN_TIMEOUT = 20_000;
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 120_000;
/** Seconds that a helper is to keep our routes while we restart. */
const RESTART_TIME = 120;

export function initialSession(settings: SessionSettings): SessionState {
  return {
    settings,
    phase: 'idle',
    since: 0,
    local: undefined,
    negotiated: undefined,
    wanted: [],
    sent: new Map(),
    attempts: 0,
    retryAt: NEVER,
    holdAt: NEVER,
    keepaliveAt: NEVER,
    lastError: undefined,
    isFirst: true,
  };
}

interface Turn {
  readonly s: SessionState;
  readonly now: Millis;
  readonly outputs: SessionOutput[];
}

export const sessionMachine: Machine<SessionState, SessionInput, SessionOutput> = {
  step(state, input, now) {
    const turn: Turn = { s: state, now, outputs: [] };
    switch (input.kind) {
      case 'start':
        connect(turn);
        break;
      case 'stop':
        stop(turn, input.why, input.hold);
        break;
      case 'connected':
        if (state.phase === 'connect') open(turn, input.local);
        break;
      case 'connect-failed':
      case 'closed':
        if (state.phase !== 'idle' && state.phase !== 'active') fail(turn, input.why);
        break;
      case 'frame':
        onFrame(turn, input.bytes);
        break;
      case 'unframeable':
        refuse(turn, input.error);
        break;
      case 'bfd-down':
        if (state.phase === 'established') refuse(turn, bgpError('cease', 10, 'BFD has lost the peer'));
        break;
      case 'routes':
        state.wanted = input.routes;
        update(turn);
        break;
      case 'tick':
        onTick(turn);
    }
    return { next: state, outputs: turn.outputs };
  },
  nextDeadline({ retryAt, holdAt, keepaliveAt }): Deadline | undefined {
    const at = (when: Millis, why: string) => (when === NEVER ? undefined : { at: when, why });
    return earliest([at(retryAt, 'connect again'), at(holdAt, 'the peer is silent'), at(keepaliveAt, 'keepalive')]);
  },
};

function enter({ s, now }: Turn, phase: SessionPhase): void {
  s.phase = phase;
  s.since = now;
}

function connect(turn: Turn): void {
  const { s, now, outputs } = turn;
  if (s.phase !== 'idle' && s.phase !== 'active') return;
  enter(turn, 'connect');
  s.retryAt = NEVER;
  s.holdAt = now + CONNECT_TIMEOUT;
  outputs.push({ kind: 'connect' });
}

function open(turn: Turn, local: LocalEnd): void {
  const { s, now } = turn;
  const { localAsn, holdTime, families, gracefulRestart } = s.settings;
  s.local = local;
  enter(turn, 'open-sent');
  s.holdAt = now + OPEN_TIMEOUT;
  const restart: GracefulRestart = {
    kind: 'graceful-restart',
    restarting: s.isFirst,
    notification: true,
    restartTime: RESTART_TIME,
    families: families.map((family) => ({ family, forwarding: true })),
  };
  const capabilities: Capability[] = [
    ...families.map((family): Capability => ({ kind: 'multiprotocol', family })),
    { kind: 'route-refresh' },
    { kind: 'enhanced-route-refresh' },
    { kind: 'extended-message' },
    { kind: 'four-octet-as', asn: localAsn },
    ...(families.includes('ipv4') ? [{ kind: 'extended-next-hop', family: 'ipv4', nextHop: 'ipv6' } as const] : []),
    ...(gracefulRestart ? [restart] : []),
  ];
  const asn = localAsn > 0xffff ? AS_TRANS : localAsn;
  const { identifier } = local;
  const message: OpenMessage = { kind: 'open', version: 4, asn, holdTime: holdTime / 1000, identifier, capabilities };
  say(turn, message);
}

const COUNTERS: Readonly<Partial<Record<BgpMessage['kind'], SessionCounter>>> = {
  open: 'opens_sent',
  notification: 'notifications_sent',
  keepalive: 'keepalives_sent',
  'route-refresh': 'route_refresh_sent',
};

function say({ s, outputs }: Turn, message: BgpMessage): void {
  outputs.push({ kind: 'send', bytes: encodeMessage(message, s.negotiated ?? BEFORE_OPEN) });
  const counter = COUNTERS[message.kind];
  if (counter !== undefined) outputs.push({ kind: 'counted', counter, by: 1 });
  outputs.push({ kind: 'counted', counter: 'total_sent', by: 1 });
}

function stop(turn: Turn, why: string, hold: boolean): void {
  const { s } = turn;
  // A peer that holds our routes over a restart must not be told that the session ends for good.
  const isHeld = hold && s.settings.gracefulRestart && s.negotiated?.gracefulRestart !== undefined;
  if (!isHeld && (s.phase === 'established' || s.phase === 'open-confirm' || s.phase === 'open-sent'))
    say(turn, { kind: 'notification', code: 'cease', subcode: 2, data: communication(why) });
  if (s.phase !== 'idle') drop(turn, why);
  enter(turn, 'idle');
  s.retryAt = NEVER;
}

/** RFC 9003 §2: a length and UTF-8; ours are ASCII. */
function communication(text: string): Uint8Array {
  const shown = text.replace(/[^\x20-\x7e]/g, '?').slice(0, 255);
  return Uint8Array.of(shown.length, ...Uint8Array.from(shown, (character) => character.charCodeAt(0)));
}

/** Tells the peer what is wrong, and ends. */
function refuse(turn: Turn, { code, subcode, data, message }: BgpError): void {
  if (turn.s.phase === 'idle' || turn.s.phase === 'active') return;
  say(turn, { kind: 'notification', code, subcode, data });
  fail(turn, message);
}

function fail(turn: Turn, why: string): void {
  const { s, now } = turn;
  const wasUp = s.phase === 'established';
  drop(turn, why);
  enter(turn, 'active');
  s.retryAt = now + retryAfter(s, wasUp);
  s.attempts = wasUp ? 0 : s.attempts + 1;
}

/** After a session that was up at once; then with growing pauses, spread over a quarter so that nodes do not all come together. */
function retryAfter({ settings, attempts, local }: SessionState, wasUp: boolean): Millis {
  if (wasUp) return settings.connectTime === undefined ? FIRST_RETRY / 4 : Math.min(FIRST_RETRY, settings.connectTime);
  const full = settings.connectTime ?? Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** attempts);
  // The identifier differs from node to node, which is all the chance that this needs.
  return full * (0.75 + ((local?.identifier ?? 0) % 251) / 1004);
}

function drop({ s, outputs }: Turn, why: string): void {
  const wasUp = s.phase === 'established';
  s.lastError = why;
  s.holdAt = NEVER;
  s.keepaliveAt = NEVER;
  s.negotiated = undefined;
  s.sent.clear();
  outputs.push({ kind: 'close' }, { kind: wasUp ? 'session-down' : 'attempt-failed', why });
}

function onFrame(turn: Turn, bytes: Uint8Array): void {
  const { s, outputs } = turn;
  if (s.phase !== 'open-sent' && s.phase !== 'open-confirm' && s.phase !== 'established') return;
  outputs.push({ kind: 'counted', counter: 'total_received', by: 1 });
  const decoded = decodeMessage(bytes, s.negotiated ?? BEFORE_OPEN);
  if (!decoded.ok) {
    refuse(turn, decoded.error);
    return;
  }
  const { message } = decoded;
  if (message.kind === 'notification') {
    fail(
      turn,
      `the router says: ${describeNotification(message.code as number, message.subcode)}${words(message.data, message)}`,
    );
    return;
  }
  if (s.phase === 'open-sent') {
    if (message.kind === 'open') onOpen(turn, message);
    else refuse(turn, bgpError('fsm', 1, `the router sends ${message.kind} before OPEN`));
    return;
  }
  if (message.kind === 'open' || (s.phase === 'open-confirm' && message.kind !== 'keepalive')) {
    refuse(turn, bgpError('fsm', s.phase === 'open-confirm' ? 2 : 3, `the router sends ${message.kind} out of turn`));
    return;
  }
  rearm(turn);
  if (message.kind === 'keepalive') outputs.push({ kind: 'counted', counter: 'keepalives_received', by: 1 });
  if (message.kind === 'update') outputs.push({ kind: 'counted', counter: 'updates_total_received', by: 1 });
  if (s.phase === 'open-confirm') establish(turn);
  else if (message.kind === 'route-refresh' && message.subtype === 'request') resend(turn, message.family);
}

/** The text of a shutdown communication (RFC 9003), quoted; nothing when there is none. */
function words(data: Uint8Array, { code, subcode }: { code: NotificationCode | number; subcode: number }): string {
  const length = data[0] ?? 0;
  if (code !== 6 || (subcode !== 2 && subcode !== 4) || length === 0 || data.length < length + 1) return '';
  const text = String.fromCharCode(...data.slice(1, length + 1)).replace(/[^\x20-\x7e]/g, '?');
  return ` ("${text}")`;
}

function onOpen(turn: Turn, message: OpenMessage): void {
  const { s, now, outputs } = turn;
  outputs.push({ kind: 'counted', counter: 'opens_received', by: 1 });
  const result = negotiate(s, message);
  if ('code' in result) {
    refuse(turn, result);
    return;
  }
  s.negotiated = result;
  enter(turn, 'open-confirm');
  s.holdAt = now + (result.holdTime === 0 ? OPEN_TIMEOUT : result.holdTime);
  s.keepaliveAt = result.keepaliveTime === 0 ? NEVER : now + result.keepaliveTime;
  say(turn, { kind: 'keepalive' });
}

function negotiate({ settings, local }: SessionState, message: OpenMessage): Negotiated | BgpError {
  const { asn, localAsn, peerAsn: expected, families, holdTime: ours, keepaliveTime } = settings;
  const { version, identifier, capabilities } = message;
  if (version !== 4) return bgpError('open', 1, `the router speaks BGP version ${version}`, Uint8Array.of(0, 4));
  const find = <K extends Capability['kind']>(kind: K) =>
    capabilities.find((capability) => capability.kind === kind) as Extract<Capability, { kind: K }> | undefined;
  const peerAsn = find('four-octet-as')?.asn ?? message.asn;
  const isExpected =
    expected === 'internal' ? peerAsn === asn : expected === 'external' ? peerAsn !== asn : peerAsn === expected;
  if (!isExpected) {
    const wanted = typeof expected === 'number' ? `AS ${expected}` : `an ${expected} peer, and we are AS ${asn}`;
    return bgpError('open', 2, `the router is AS ${peerAsn}; the BGPPeer expects ${wanted}`);
  }
  const external = peerAsn !== asn;
  if (identifier === 0 || (!external && identifier === local?.identifier))
    return bgpError('open', 3, 'the router has the BGP identifier of this node, or none: each needs one of its own');
  if (message.holdTime === 1 || message.holdTime === 2)
    return bgpError('open', 6, `the router offers a hold time of ${message.holdTime} s`);
  const spoken = capabilities.flatMap((capability) => (capability.kind === 'multiprotocol' ? capability.family : []));
  // Who names no family speaks IPv4 (RFC 4760 §8).
  const theirs = spoken.length === 0 ? ['ipv4'] : spoken;
  const agreed = families.filter((family) => theirs.includes(family));
  if (agreed.length === 0)
    return bgpError(
      'open',
      7,
      `the router does not speak ${families.join(' or ')} unicast with us: activate the family for this neighbor`,
    );
  const fourOctetAs = find('four-octet-as') !== undefined;
  if (!fourOctetAs && localAsn > 0xffff)
    return bgpError('open', 7, `the router knows AS numbers of two bytes only, and ours is ${localAsn}`);
  const holdTime = Math.min(ours, message.holdTime * 1000);
  // Where the hold time is cut down, keepalives have to come as much more often.
  const third = holdTime / 3;
  return {
    peerAsn,
    external,
    identifier,
    holdTime,
    keepaliveTime: keepaliveTime === undefined ? third : Math.min(keepaliveTime, third),
    families: agreed,
    fourOctetAs,
    extendedMessage: find('extended-message') !== undefined,
    enhancedRefresh: find('enhanced-route-refresh') !== undefined,
    gracefulRestart: find('graceful-restart'),
    capabilities,
  };
}

function establish(turn: Turn): void {
  const { s, outputs } = turn;
  enter(turn, 'established');
  s.attempts = 0;
  s.isFirst = false;
  s.lastError = undefined;
  if (s.negotiated!.holdTime === 0) s.holdAt = NEVER;
  outputs.push({ kind: 'session-up', negotiated: s.negotiated! });
  update(turn);
  for (const family of s.negotiated!.families) send(turn, [endOfRib(family, { options: s.negotiated! })]);
}

/** What the peer lacks or has too much. */
function update(turn: Turn): void {
  const outbound = outboundOf(turn.s);
  if (outbound !== undefined) send(turn, synchronize(turn.s.sent, turn.s.wanted, outbound));
}

function send({ outputs }: Turn, updates: readonly Uint8Array[]): void {
  for (const bytes of updates) outputs.push({ kind: 'send', bytes });
  if (updates.length === 0) return;
  outputs.push({ kind: 'counted', counter: 'updates_total', by: updates.length });
  outputs.push({ kind: 'counted', counter: 'total_sent', by: updates.length });
}

/** RFC 2918, between the marks of RFC 7313 where the peer knows them. */
function resend(turn: Turn, family: AddressFamily): void {
  const { s } = turn;
  for (const [key, { route }] of s.sent) if (route.prefix.family === family) s.sent.delete(key);
  const { enhancedRefresh } = s.negotiated!;
  if (enhancedRefresh) say(turn, { kind: 'route-refresh', family, subtype: 'begin' });
  update(turn);
  if (enhancedRefresh) say(turn, { kind: 'route-refresh', family, subtype: 'end' });
}

/** Undefined while the session is not up. */
export function outboundOf({ phase, negotiated, local, settings }: SessionState): Outbound | undefined {
  if (phase !== 'established' || negotiated === undefined || local === undefined) return undefined;
  const [ipv4, ipv6] = (['ipv4', 'ipv6'] as const).map((family) =>
    local.addresses.find((address) => address.family === family),
  );
  const mayCross = negotiated.capabilities.some(
    (capability) => capability.kind === 'extended-next-hop' && capability.family === 'ipv4',
  );
  const forIpv4 = ipv4 ?? (mayCross ? ipv6 : undefined);
  return {
    options: negotiated,
    external: negotiated.external,
    asn: settings.localAsn,
    families: negotiated.families,
    nextHops: { ...(forIpv4 && { ipv4: [forIpv4] }), ...(ipv6 && { ipv6: [ipv6] }) },
  };
}

function rearm({ s, now }: Turn): void {
  const holdTime = s.negotiated?.holdTime ?? 0;
  if (holdTime > 0) s.holdAt = now + holdTime;
}

function onTick(turn: Turn): void {
  const { s, now } = turn;
  if (now >= s.retryAt) connect(turn);
  if (now >= s.holdAt) {
    if (s.phase === 'connect')
      fail(
        turn,
        `no connection within ${CONNECT_TIMEOUT / 1000} s: the router does not answer on this port, or a firewall or a password (TCP MD5) is in the way`,
      );
    else
      refuse(
        turn,
        bgpError(
          'hold-timer-expired',
          0,
          s.phase === 'open-sent'
            ? 'the router accepts the connection and says nothing'
            : 'the router has been silent for the hold time',
        ),
      );
  }
  if (now >= s.keepaliveAt) {
    say(turn, { kind: 'keepalive' });
    s.keepaliveAt = now + s.negotiated!.keepaliveTime;
  }
}
