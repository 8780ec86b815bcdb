/**
 * From a new connection to an Established session: OPENs, connection collision, and the first KEEPALIVE (RFC 4271 §6.2, §6.8, §8).
 * @module
 */
import { endOfRib } from '../rib/difference.ts';
import type { OpenMessage } from '../wire/messages.ts';
import { isDialing } from './attempt.ts';
import { drop, loseCollision, refuse } from './ending.ts';
import { type LocalEnd, negotiate, ourOpen, peerAsnOf } from './negotiation.ts';
import { send, update } from './outbound.ts';
import { type AgreedConnection, type Connection, established, type Initiator, isAgreed } from './state.ts';
import { say, type Turn } from './turn.ts';

/** Timeout of the exchange of OPENs, in milliseconds (RFC 4271 §8.2.2 suggests minutes). */
const OPEN_TIMEOUT = 20_000;

export function connected(turn: Turn, initiator: Initiator, local: LocalEnd): void {
  const { s, now, outputs } = turn;
  const current = established(s);
  // A peer that has restarted gracefully connects while its old session still seems to be up (RFC 4724 §5).
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

/** Sends our OPEN and returns it as sent. */
export function open(turn: Turn, connection: Connection): Uint8Array {
  const { s } = turn;
  const sent = say(turn, connection, ourOpen(s.settings, connection.local, s.isFirst));
  connection.stage = { kind: 'open-sent', sent };
  return sent;
}

export function onOpen(turn: Turn, connection: Connection, message: OpenMessage, bytes: Uint8Array): void {
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
    loseCollision(turn, loser);
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

/** The connection that loses a collision: that of the side with the lower identifier (RFC 4271 §6.8), or AS (RFC 6286 §2.3). */
function collision({ s }: Turn, connection: Connection, message: OpenMessage): Connection | undefined {
  const other = s.connections.get(connection.initiator === 'ours' ? 'theirs' : 'ours');
  // A connection without the peer's OPEN cannot be compared yet.
  if (other === undefined || !isAgreed(other)) return undefined;
  if (other.stage.kind === 'established') return connection;
  const { identifier } = connection.local;
  const isLower =
    identifier === message.identifier ? s.settings.localAsn < peerAsnOf(message) : identifier < message.identifier;
  const loser: Initiator = isLower ? 'ours' : 'theirs';
  return connection.initiator === loser ? connection : other;
}

export function establish(turn: Turn, connection: AgreedConnection): void {
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
