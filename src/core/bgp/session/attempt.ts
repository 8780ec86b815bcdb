/**
 * Attempts to open a connection ourselves, with growing pauses between them (ConnectRetryTimer of RFC 4271 §8).
 * @module
 */
import type { Millis } from '../../machine.ts';
import type { SessionState } from './state.ts';
import type { Turn } from './turn.ts';

/** Timeout of an attempt to connect, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 120_000;

const NO_CONNECTION = `no connection within ${CONNECT_TIMEOUT / 1000} s: the router does not answer on this port, or a firewall or a password (TCP MD5) is in the way`;

export function isDialing({ attempt }: SessionState): boolean {
  return attempt.kind === 'dialing';
}

/** Starts the session, or makes the next attempt at once when something new is known about the peer. */
export function start(turn: Turn): void {
  const { s } = turn;
  if (s.attempt.kind === 'stopped') s.attempt = { kind: 'resting' };
  if (!s.settings.passive && s.connections.size === 0 && !isDialing(s)) dial(turn);
}

function dial({ s, now, outputs }: Turn): void {
  s.attempt = { kind: 'dialing', until: now + CONNECT_TIMEOUT };
  outputs.push({ kind: 'connect' });
}

/** Ends an attempt that has timed out, or starts one that is due. */
export function attemptOnTick(turn: Turn): void {
  const { s, now } = turn;
  if (s.attempt.kind === 'dialing' && now >= s.attempt.until) dialFailed(turn, NO_CONNECTION);
  if (s.attempt.kind === 'waiting' && now >= s.attempt.retryAt) dial(turn);
}

export function dialFailed(turn: Turn, why: string): void {
  const { s, outputs } = turn;
  s.attempt = { kind: 'resting' };
  outputs.push({ kind: 'close', initiator: 'ours' });
  if (s.connections.size > 0) return;
  s.lastError = why;
  outputs.push({ kind: 'attempt-failed', why });
  again(turn, false);
}

export function again({ s, now }: Turn, wasUp: boolean): void {
  if (!s.settings.passive) s.attempt = { kind: 'waiting', retryAt: now + retryAfter(s, wasUp) };
  s.failures = wasUp ? 0 : s.failures + 1;
}

/** Short after a session that was up, then doubled by each failure, less up to a quarter of jitter so that nodes do not retry in step. */
export function retryAfter({ settings, failures, identifier }: SessionState, wasUp: boolean): Millis {
  if (wasUp) return settings.connectTime === undefined ? FIRST_RETRY / 4 : Math.min(FIRST_RETRY, settings.connectTime);
  const full = settings.connectTime ?? Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** failures);
  // The identifier differs from node to node, so it can replace a random number.
  return full * (0.75 + (identifier % 251) / 1004);
}
