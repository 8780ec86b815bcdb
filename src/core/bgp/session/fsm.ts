/**
 * One BGP session as a machine (RFC 4271 §8), whichever side connects. The routes for the peer come in as updates, which never restart the
 * session. Routes from the peer are decoded, as the protocol requires, and ignored.
 *
 * If both sides connect at the same time there are two connections for a moment, until the collision is resolved (RFC 4271 §6.8).
 * @module
 */
import { type Deadline, deadline, earliest, earliestTime, isDue, type Machine } from '../../machine.ts';
import { applyUpdate } from '../rib/route-update.ts';
import { decodeMessage } from '../wire/codec.ts';
import { bgpError, describeNotification } from '../wire/errors.ts';
import { shutdownText } from '../wire/shutdown-communication.ts';
import { attemptOnTick, dialFailed, isDialing, retryAfter, start } from './attempt.ts';
import { bfdDown, fail, refuse, stop } from './ending.ts';
import { keepaliveTimeOf, type SessionSettings } from './negotiation.ts';
import { connected, establish, onOpen, open } from './opening.ts';
import { onRefresh, update } from './outbound.ts';
import {
  type AgreedConnection,
  type Connection,
  established,
  isAgreed,
  optionsOf,
  type SessionInput,
  type SessionOutput,
  type SessionState,
} from './state.ts';
import { say, type Turn } from './turn.ts';

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

/** Applies new settings: timers at once, those for connecting with the next attempt. */
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

function rearm({ now }: Turn, connection: AgreedConnection): void {
  const { holdTime } = connection.stage.negotiated;
  if (holdTime > 0) connection.holdAt = now + holdTime;
}

function onTick(turn: Turn): void {
  const { s, now } = turn;
  attemptOnTick(turn);
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
