/**
 * How a session gets a connection of our own: attempts, and growing pauses between them (ConnectRetryTimer of RFC 4271 §8).
 * @module
 */
import type { Millis } from '../../machine.ts';
import type { SessionState } from './state.ts';
import type { Turn } from './turn.ts';

/** Milliseconds for the connection. */
const CONNECT_TIMEOUT = 10_000;
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 120_000;

const NO_CONNECTION = `no connection within ${CONNECT_TIMEOUT / 1000} s: the router does not answer on this port, or a firewall or a password (TCP MD5) is in the way`;

export function isDialing({ attempt }: SessionState): boolean {
  return attempt.kind === 'dialing';
}

/** Also when there is news of the peer: then it is not waited for any longer. */
export function start(turn: Turn): void {
  const { s } = turn;
  if (s.attempt.kind === 'stopped') s.attempt = { kind: 'resting' };
  if (!s.settings.passive && s.connections.size === 0 && !isDialing(s)) dial(turn);
}

function dial({ s, now, outputs }: Turn): void {
  s.attempt = { kind: 'dialing', until: now + CONNECT_TIMEOUT };
  outputs.push({ kind: 'connect' });
}

/** An attempt has taken too long, or the time for the next one has come. */
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

/** After a session that was up at once; then with growing pauses, spread over a quarter so that nodes do not all come together. */
export function retryAfter({ settings, failures, identifier }: SessionState, wasUp: boolean): Millis {
  if (wasUp) return settings.connectTime === undefined ? FIRST_RETRY / 4 : Math.min(FIRST_RETRY, settings.connectTime);
  const full = settings.connectTime ?? Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** failures);
  // The identifier differs from node to node, which is all the chance that this needs.
  return full * (0.75 + (identifier % 251) / 1004);
}
