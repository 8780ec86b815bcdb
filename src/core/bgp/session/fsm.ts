/**
 * One BGP session as a machine (RFC 4271 §8), whichever side connects. What the peer should hold comes in as a whole; a change of it never
 * touches the session. Routes of the peer are read, as the protocol asks, and never taken.
 *
 * While both sides connect at once there are two connections for a moment; one of them survives (RFC 4271 §6.8).
 * @module
 */
import { type Deadline, deadline, earliest, earliestTime, isDue, type Machine, type Millis } from '../../machine.ts';
import { endOfRib, follow, synchronize } from '../rib/difference.ts';
import { applyUpdate, type RouteUpdate } from '../rib/route-update.ts';
import { decodeMessage, encodeMessage } from '../wire/codec.ts';
import { type BgpError, bgpError, describeNotification, NOTIFICATION_CODES } from '../wire/errors.ts';
import type { AddressFamily, BgpMessage, OpenMessage, RouteRefreshMessage } from '../wire/messages.ts';
import { shutdownCommunication, shutdownText } from '../wire/shutdown-communication.ts';
import { keepaliveTimeOf, type LocalEnd, negotiate, ourOpen, peerAsnOf, type SessionSettings } from './negotiation.ts';
import {
  type AgreedConnection,
  type Connection,
  established,
  holdsRoutes,
  type Initiator,
  isAgreed,
  negotiatedOf,
  optionsOf,
  outboundOf,
  type SessionCounter,
  type SessionInput,
  type SessionOutput,
  type SessionState,
  STOP_CAUSES,
} from './state.ts';

/** Milliseconds for the connection, and then for the exchange of OPENs (RFC 4271 §8.2.2 suggests minutes for the latter). */
const CONNECT_TIMEOUT = 10_000;
const OPEN_TIMEOUT = 20_000;
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 120_000;

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
        start(turn);
        break;
      case 'stop':
        stop(turn, input);
        break;
      case 'settings':
        adjust(turn, input.settings);
        break;
      case 'connected':
        connected(turn, input.initiator, input.local);
        break;
      case 'connect-failed':
        if (isDialing(state)) dialFailed(turn, input.why);
        break;
      case 'bfd-down':
        if (established(state) !== undefined) bfdDown(turn, established(state)!);
        break;
      case 'routes':
        applyUpdate(state.wanted, input.routes);
        update(turn, input.routes);
        break;
      case 'tick':
        onTick(turn);
        break;
      default: {
        const connection = state.connections.get(input.initiator);
        if (connection === undefined) break;
        if (input.kind === 'closed') fail(turn, connection, input.why);
        else if (input.kind === 'unframeable') refuse(turn, connection, input.error);
        else onFrame(turn, connection, input.bytes);
      }
    }
    notePhase(turn);
    return { next: state, outputs: turn.outputs };
  },
  nextDeadline({ attempt, connections }): Deadline | undefined {
    return earliest([
      attempt.kind === 'waiting' ? deadline(attempt.retryAt, 'connect again') : undefined,
      attempt.kind === 'dialing' ? deadline(attempt.until, 'no connection') : undefined,
      ...[...connections.values()].flatMap(({ holdAt, stage }) => [
        deadline(holdAt, 'the peer is silent'),
        stage.kind === 'open-delayed' ? deadline(stage.openAt, 'OPEN') : undefined,
        'keepaliveAt' in stage ? deadline(stage.keepaliveAt, 'keepalive') : undefined,
      ]),
    ]);
  },
};

function isDialing({ attempt }: SessionState): boolean {
  return attempt.kind === 'dialing';
}

const ORDER = ['open-sent', 'open-confirm', 'established'] as const;

function notePhase({ s, now }: Turn): void {
  const phases = [...s.connections.values()].map(({ stage: { kind } }) =>
    kind === 'open-delayed' ? 'open-sent' : kind,
  );
  const farthest = ORDER.findLast((phase) => phases.includes(phase));
  const phase = s.attempt.kind === 'stopped' ? 'idle' : (farthest ?? (isDialing(s) ? 'connect' : 'active'));
  if (phase === s.phase) return;
  s.phase = phase;
  s.since = now;
}

/** Also when there is news of the peer: then it is not waited for any longer. */
function start(turn: Turn): void {
  const { s } = turn;
  if (s.attempt.kind === 'stopped') s.attempt = { kind: 'resting' };
  if (!s.settings.passive && s.connections.size === 0 && !isDialing(s)) dial(turn);
}

function dial({ s, now, outputs }: Turn): void {
  s.attempt = { kind: 'dialing', until: now + CONNECT_TIMEOUT };
  outputs.push({ kind: 'connect' });
}

function connected(turn: Turn, initiator: Initiator, local: LocalEnd): void {
  const { s, now, outputs } = turn;
  const current = established(s);
  // A peer that restarts gracefully connects again while we still believe that it is there (RFC 4724 §5).
  const hasRestarted = initiator === 'theirs' && current?.stage.negotiated.gracefulRestart !== undefined;
  const isWanted = initiator === 'ours' ? isDialing(s) : s.attempt.kind !== 'stopped';
  if (!isWanted || (current !== undefined && !hasRestarted)) {
    outputs.push({ kind: 'refuse' });
    return;
  }
  const former = hasRestarted ? current : s.connections.get(initiator);
  if (former !== undefined) drop(turn, former, 'the router has connected again');
  if (initiator === 'ours' || !isDialing(s)) s.attempt = { kind: 'resting' };
  s.identifier = local.identifier;
  const openAt = now + (initiator === 'theirs' ? s.settings.delayOpen : 0);
  const stage = { kind: 'open-delayed', openAt } as const;
  const connection: Connection = { initiator, local, stage, holdAt: now + OPEN_TIMEOUT };
  s.connections.set(initiator, connection);
  if (openAt <= now) open(turn, connection);
}

/** Gives our OPEN, as it goes over the wire. */
function open(turn: Turn, connection: Connection): Uint8Array {
  const { s } = turn;
  const sent = say(turn, connection, ourOpen(s.settings, connection.local, s.isFirst));
  connection.stage = { kind: 'open-sent', sent };
  return sent;
}

const COUNTERS: Readonly<Partial<Record<BgpMessage['kind'], SessionCounter>>> = {
  open: 'opens_sent',
  notification: 'notifications_sent',
  keepalive: 'keepalives_sent',
  'route-refresh': 'route_refresh_sent',
};

function say({ outputs }: Turn, connection: Connection, message: BgpMessage): Uint8Array {
  const { initiator } = connection;
  const bytes = encodeMessage(message, optionsOf(connection));
  outputs.push({ kind: 'send', initiator, bytes });
  const counter = COUNTERS[message.kind];
  if (counter !== undefined) outputs.push({ kind: 'counted', counter, by: 1 });
  outputs.push({ kind: 'counted', counter: 'total_sent', by: 1 });
  return bytes;
}

/** Timers follow at once; what is about connecting, with the next attempt. */
function adjust(turn: Turn, settings: SessionSettings): void {
  const { s, now } = turn;
  s.settings = settings;
  for (const connection of s.connections.values()) {
    if (!isAgreed(connection)) continue;
    const { stage } = connection;
    const keepaliveTime = keepaliveTimeOf(settings, stage.negotiated.holdTime);
    connection.stage = {
      ...stage,
      negotiated: { ...stage.negotiated, keepaliveTime },
      keepaliveAt: earliestTime(stage.keepaliveAt, keepaliveTime > 0 ? now + keepaliveTime : undefined),
    };
  }
  const { attempt } = s;
  if (attempt.kind === 'stopped') return;
  if (attempt.kind !== 'waiting') start(turn);
  else if (settings.passive) s.attempt = { kind: 'resting' };
  else s.attempt = { kind: 'waiting', retryAt: Math.min(attempt.retryAt, now + retryAfter(s, false)) };
}

function stop(turn: Turn, { cause, why, hold }: Extract<SessionInput, { kind: 'stop' }>): void {
  const { s, outputs } = turn;
  if (isDialing(s)) outputs.push({ kind: 'close', initiator: 'ours' });
  s.attempt = { kind: 'stopped' };
  for (const connection of [...s.connections.values()]) {
    // A peer that holds our routes over a restart must not be told that the session ends for good.
    const isHeld = hold && holdsRoutes(s, connection);
    const words = cause === 'shutdown' ? shutdownCommunication(why) : new Uint8Array();
    if (!isHeld && connection.stage.kind !== 'open-delayed') cease(turn, connection, STOP_CAUSES[cause], words);
    drop(turn, connection, why);
  }
}

/** Subcodes of Cease (RFC 4486, RFC 8538, RFC 9384). */
const COLLISION = 7;
const HARD_RESET = 9;
const BFD_DOWN = 10;

/** To a peer that would keep our routes even after a NOTIFICATION, it has to be a hard reset (RFC 8538 §3.1). */
function cease(turn: Turn, connection: Connection, subcode: number, data: Uint8Array): void {
  const isHard = holdsRoutes(turn.s, connection) && negotiatedOf(connection)!.gracefulRestart!.notification;
  const wrapped = Uint8Array.of(NOTIFICATION_CODES.cease, subcode, ...data);
  say(turn, connection, {
    kind: 'notification',
    code: 'cease',
    ...(isHard ? { subcode: HARD_RESET, data: wrapped } : { subcode, data }),
  });
}

function bfdDown(turn: Turn, connection: Connection): void {
  cease(turn, connection, BFD_DOWN, new Uint8Array());
  fail(turn, connection, 'BFD has lost the peer');
}

/** Tells the peer what is wrong, and ends. */
function refuse(turn: Turn, connection: Connection, { code, subcode, data, message }: BgpError): void {
  say(turn, connection, { kind: 'notification', code, subcode, data });
  fail(turn, connection, message);
}

function fail(turn: Turn, connection: Connection, why: string): void {
  const wasUp = connection.stage.kind === 'established';
  drop(turn, connection, why);
  if (turn.s.connections.size === 0 && !isDialing(turn.s)) again(turn, wasUp);
}

function dialFailed(turn: Turn, why: string): void {
  const { s, outputs } = turn;
  s.attempt = { kind: 'resting' };
  outputs.push({ kind: 'close', initiator: 'ours' });
  if (s.connections.size > 0) return;
  s.lastError = why;
  outputs.push({ kind: 'attempt-failed', why });
  again(turn, false);
}

function again({ s, now }: Turn, wasUp: boolean): void {
  if (!s.settings.passive) s.attempt = { kind: 'waiting', retryAt: now + retryAfter(s, wasUp) };
  s.failures = wasUp ? 0 : s.failures + 1;
}

/** After a session that was up at once; then with growing pauses, spread over a quarter so that nodes do not all come together. */
function retryAfter({ settings, failures, identifier }: SessionState, wasUp: boolean): Millis {
  if (wasUp) return settings.connectTime === undefined ? FIRST_RETRY / 4 : Math.min(FIRST_RETRY, settings.connectTime);
  const full = settings.connectTime ?? Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** failures);
  // The identifier differs from node to node, which is all the chance that this needs.
  return full * (0.75 + (identifier % 251) / 1004);
}

/** Ends a connection without a word to the peer. */
function drop({ s, outputs }: Turn, connection: Connection, why: string): void {
  s.connections.delete(connection.initiator);
  outputs.push({ kind: 'close', initiator: connection.initiator });
  const isUp = connection.stage.kind === 'established';
  if (isUp) s.sent.clear();
  // Another connection goes on: nothing has failed yet.
  if (!isUp && (s.connections.size > 0 || isDialing(s))) return;
  s.lastError = why;
  outputs.push({ kind: isUp ? 'session-down' : 'attempt-failed', why });
}

function onFrame(turn: Turn, connection: Connection, bytes: Uint8Array): void {
  const { outputs } = turn;
  outputs.push({ kind: 'counted', counter: 'total_received', by: 1 });
  const decoded = decodeMessage(bytes, optionsOf(connection));
  if (!decoded.ok) {
    refuse(turn, connection, decoded.error);
    return;
  }
  const { message } = decoded;
  if (message.kind === 'notification') {
    const { code, subcode } = message;
    const why = `the router says: ${describeNotification(code as number, subcode)}${shutdownText(message)}`;
    fail(turn, connection, why);
    return;
  }
  if (!isAgreed(connection)) {
    if (message.kind === 'open') onOpen(turn, connection, message, bytes);
    else refuse(turn, connection, bgpError('fsm', 1, `the router sends ${message.kind} before OPEN`));
    return;
  }
  const isConfirmed = connection.stage.kind === 'established';
  if (message.kind === 'open' || (!isConfirmed && message.kind !== 'keepalive')) {
    const subcode = isConfirmed ? 3 : 2;
    refuse(turn, connection, bgpError('fsm', subcode, `the router sends ${message.kind} out of turn`));
    return;
  }
  rearm(turn, connection);
  if (message.kind === 'keepalive') outputs.push({ kind: 'counted', counter: 'keepalives_received', by: 1 });
  if (message.kind === 'update') outputs.push({ kind: 'counted', counter: 'updates_total_received', by: 1 });
  if (!isConfirmed) establish(turn, connection);
  else if (message.kind === 'route-refresh') onRefresh(turn, connection, message);
}

function onOpen(turn: Turn, connection: Connection, message: OpenMessage, bytes: Uint8Array): void {
  const { s, now, outputs } = turn;
  outputs.push({ kind: 'counted', counter: 'opens_received', by: 1 });
  const sent = connection.stage.kind === 'open-sent' ? connection.stage.sent : open(turn, connection);
  const result = negotiate(s.settings, connection.local, message);
  if ('code' in result) {
    refuse(turn, connection, result);
    return;
  }
  const loser = collision(turn, connection, message);
  if (loser !== undefined) {
    say(turn, loser, { kind: 'notification', code: 'cease', subcode: COLLISION, data: new Uint8Array() });
    drop(turn, loser, 'both sides have connected at once');
    if (loser === connection) return;
  }
  connection.stage = {
    kind: 'open-confirm',
    opens: { sent, received: bytes.slice() },
    negotiated: result,
    keepaliveAt: result.keepaliveTime === 0 ? undefined : now + result.keepaliveTime,
  };
  connection.holdAt = now + (result.holdTime === 0 ? OPEN_TIMEOUT : result.holdTime);
  say(turn, connection, { kind: 'keepalive' });
}

/** Of two connections the one that is to go (RFC 4271 §6.8): that of the side with the lower identifier, or AS (RFC 6286 §2.3). */
function collision({ s }: Turn, connection: Connection, message: OpenMessage): Connection | undefined {
  const other = s.connections.get(connection.initiator === 'ours' ? 'theirs' : 'ours');
  // What the other one is worth is known when its OPEN has come.
  if (other === undefined || !isAgreed(other)) return undefined;
  if (other.stage.kind === 'established') return connection;
  const { identifier } = connection.local;
  const isLower =
    identifier === message.identifier ? s.settings.localAsn < peerAsnOf(message) : identifier < message.identifier;
  const loser: Initiator = isLower ? 'ours' : 'theirs';
  return connection.initiator === loser ? connection : other;
}

function establish(turn: Turn, connection: AgreedConnection): void {
  const { s, outputs } = turn;
  const { negotiated } = connection.stage;
  connection.stage = { ...connection.stage, kind: 'established' };
  for (const other of [...s.connections.values()])
    if (other !== connection) drop(turn, other, 'another connection stands');
  if (isDialing(s)) {
    s.attempt = { kind: 'resting' };
    outputs.push({ kind: 'close', initiator: 'ours' });
  }
  s.failures = 0;
  s.isFirst = false;
  s.lastError = undefined;
  if (negotiated.holdTime === 0) connection.holdAt = undefined;
  outputs.push({ kind: 'session-up', initiator: connection.initiator, negotiated });
  update(turn);
  const ends = negotiated.families.map((family) => endOfRib(family, { options: negotiated }));
  for (const end of ends) send(turn, connection, [end]);
}

/** What the peer lacks or has too much. With a delta, what it was sent before is up to date but for that. */
function update(turn: Turn, news?: RouteUpdate): void {
  const { s } = turn;
  const connection = established(s);
  const outbound = outboundOf(s);
  if (connection === undefined || outbound === undefined) return;
  const updates =
    news?.kind === 'delta' ? follow(s.sent, s.wanted, news, outbound) : synchronize(s.sent, s.wanted, outbound);
  send(turn, connection, updates);
}

function send({ outputs }: Turn, { initiator }: Connection, updates: readonly Uint8Array[]): void {
  for (const bytes of updates) outputs.push({ kind: 'send', initiator, bytes });
  if (updates.length === 0) return;
  outputs.push({ kind: 'counted', counter: 'updates_total', by: updates.length });
  outputs.push({ kind: 'counted', counter: 'total_sent', by: updates.length });
}

/** Families that we have not agreed on, and subtypes that are not known, are ignored (RFC 2918 §4, RFC 7313 §5). */
function onRefresh(turn: Turn, connection: AgreedConnection, { family, subtype }: RouteRefreshMessage): void {
  const agreed = connection.stage.negotiated.families.find((each) => each === family);
  if (agreed !== undefined && subtype === 'request') resend(turn, connection, agreed);
}

/** RFC 2918, between the marks of RFC 7313 where the peer knows them. */
function resend(turn: Turn, connection: AgreedConnection, family: AddressFamily): void {
  const { s } = turn;
  for (const [key, { prefix }] of s.sent) if (prefix.family === family) s.sent.delete(key);
  const { enhancedRefresh } = connection.stage.negotiated;
  if (enhancedRefresh) say(turn, connection, { kind: 'route-refresh', family, subtype: 'begin' });
  update(turn);
  if (enhancedRefresh) say(turn, connection, { kind: 'route-refresh', family, subtype: 'end' });
}

function rearm({ now }: Turn, connection: AgreedConnection): void {
  const { holdTime } = connection.stage.negotiated;
  if (holdTime > 0) connection.holdAt = now + holdTime;
}

const NO_CONNECTION = `no connection within ${CONNECT_TIMEOUT / 1000} s: the router does not answer on this port, or a firewall or a password (TCP MD5) is in the way`;

function onTick(turn: Turn): void {
  const { s, now } = turn;
  if (s.attempt.kind === 'dialing' && now >= s.attempt.until) dialFailed(turn, NO_CONNECTION);
  if (s.attempt.kind === 'waiting' && now >= s.attempt.retryAt) dial(turn);
  for (const connection of [...s.connections.values()]) {
    const { stage } = connection;
    if (stage.kind === 'open-delayed' && now >= stage.openAt) open(turn, connection);
    if (isDue(connection.holdAt, now)) {
      const why = isAgreed(connection)
        ? 'has been silent for the hold time'
        : 'accepts the connection and says nothing';
      refuse(turn, connection, bgpError('hold-timer-expired', 0, `the router ${why}`));
    } else if ('keepaliveAt' in stage && isDue(stage.keepaliveAt, now)) {
      say(turn, connection, { kind: 'keepalive' });
      connection.stage = { ...stage, keepaliveAt: now + stage.negotiated.keepaliveTime };
    }
  }
}
