/**
 * How connections of a session end: by us, with or without a NOTIFICATION, or because something has failed.
 * @module
 */
import { type BgpError, NOTIFICATION_CODES } from '../wire/errors.ts';
import { shutdownCommunication } from '../wire/shutdown-communication.ts';
import { again, isDialing } from './attempt.ts';
import { type Connection, holdsRoutes, negotiatedOf, type SessionInput, STOP_CAUSES } from './state.ts';
import { say, type Turn } from './turn.ts';

/** Subcodes of Cease (RFC 4486, RFC 8538, RFC 9384). */
const COLLISION = 7;
const HARD_RESET = 9;
const BFD_DOWN = 10;

export function stop(turn: Turn, { cause, why, hold }: Extract<SessionInput, { kind: 'stop' }>): void {
  const { s, outputs } = turn;
  if (isDialing(s)) outputs.push({ kind: 'close', initiator: 'ours' });
  s.attempt = { kind: 'stopped' };
  for (const connection of [...s.connections.values()]) {
    // A NOTIFICATION would make the peer drop the routes that it should retain during our restart.
    const isHeld = hold && holdsRoutes(s, connection);
    const words = cause === 'shutdown' ? shutdownCommunication(why) : new Uint8Array();
    if (!isHeld && connection.stage.kind !== 'open-delayed') cease(turn, connection, STOP_CAUSES[cause], words);
    drop(turn, connection, why);
  }
}

/** Sends a Cease: as a Hard Reset to a peer that would retain our routes after any other NOTIFICATION (RFC 8538 §3.1). */
function cease(turn: Turn, connection: Connection, subcode: number, data: Uint8Array): void {
  const isHard = holdsRoutes(turn.s, connection) && negotiatedOf(connection)!.gracefulRestart!.notification;
  const wrapped = Uint8Array.of(NOTIFICATION_CODES.cease, subcode, ...data);
  say(turn, connection, {
    kind: 'notification',
    code: 'cease',
    ...(isHard ? { subcode: HARD_RESET, data: wrapped } : { subcode, data }),
  });
}

export function bfdDown(turn: Turn, connection: Connection): void {
  cease(turn, connection, BFD_DOWN, new Uint8Array());
  fail(turn, connection, 'BFD has lost the peer');
}

/** Ends a connection with a NOTIFICATION of the error. */
export function refuse(turn: Turn, connection: Connection, { code, subcode, data, message }: BgpError): void {
  say(turn, connection, { kind: 'notification', code, subcode, data });
  fail(turn, connection, message);
}

export function fail(turn: Turn, connection: Connection, why: string): void {
  const wasUp = connection.stage.kind === 'established';
  drop(turn, connection, why);
  if (turn.s.connections.size === 0 && !isDialing(turn.s)) again(turn, wasUp);
}

/** Ends the connection that loses a collision (RFC 4271 §6.8). */
export function loseCollision(turn: Turn, loser: Connection): void {
  say(turn, loser, { kind: 'notification', code: 'cease', subcode: COLLISION, data: new Uint8Array() });
  drop(turn, loser, 'both sides have connected at once');
}

/** Ends a connection without a NOTIFICATION. */
export function drop({ s, outputs }: Turn, connection: Connection, why: string): void {
  s.connections.delete(connection.initiator);
  outputs.push({ kind: 'close', initiator: connection.initiator });
  const isUp = connection.stage.kind === 'established';
  if (isUp) s.sent.clear();
  // Another connection continues, so the session has not failed yet.
  if (!isUp && (s.connections.size > 0 || isDialing(s))) return;
  s.lastError = why;
  outputs.push({ kind: isUp ? 'session-down' : 'attempt-failed', why });
}
