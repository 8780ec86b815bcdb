/**
 * The context of one step of a session, and sending a message within it.
 * @module
 */
import type { Millis } from '../../machine.ts';
import { encodeMessage } from '../wire/codec.ts';
import type { BgpMessage } from '../wire/messages.ts';
import { type Connection, optionsOf, type SessionCounter, type SessionOutput, type SessionState } from './state.ts';

export interface Turn {
  readonly s: SessionState;
  readonly now: Millis;
  readonly outputs: SessionOutput[];
}

const COUNTERS: Readonly<Partial<Record<BgpMessage['kind'], SessionCounter>>> = {
  open: 'opens_sent',
  notification: 'notifications_sent',
  keepalive: 'keepalives_sent',
  'route-refresh': 'route_refresh_sent',
};

/** Sends a message and returns it as sent. */
export function say({ outputs }: Turn, connection: Connection, message: BgpMessage): Uint8Array {
  const { initiator } = connection;
  const bytes = encodeMessage(message, optionsOf(connection));
  outputs.push({ kind: 'send', initiator, bytes });
  const counter = COUNTERS[message.kind];
  if (counter !== undefined) outputs.push({ kind: 'counted', counter, by: 1 });
  outputs.push({ kind: 'counted', counter: 'total_sent', by: 1 });
  return bytes;
}
