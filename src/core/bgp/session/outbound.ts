/**
 * Sends routes to the peer.
 * @module
 */
import { follow, synchronize } from '../rib/difference.ts';
import type { RouteUpdate } from '../rib/route-update.ts';
import type { AddressFamily, RouteRefreshMessage } from '../wire/messages.ts';
import { type AgreedConnection, type Connection, established, outboundOf } from './state.ts';
import { say, type Turn } from './turn.ts';

/** Sends the difference to what the peer has been sent. With a delta only its routes are compared. */
export function update(turn: Turn, news?: RouteUpdate): void {
  const { s } = turn;
  const connection = established(s);
  const outbound = outboundOf(s);
  if (connection === undefined || outbound === undefined) return;
  const updates =
    news?.kind === 'delta' ? follow(s.sent, s.wanted, news, outbound) : synchronize(s.sent, s.wanted, outbound);
  send(turn, connection, updates);
}

export function send({ outputs }: Turn, { initiator }: Connection, updates: readonly Uint8Array[]): void {
  for (const bytes of updates) outputs.push({ kind: 'send', initiator, bytes });
  if (updates.length === 0) return;
  outputs.push({ kind: 'counted', counter: 'updates_total', by: updates.length });
  outputs.push({ kind: 'counted', counter: 'total_sent', by: updates.length });
}

/** Ignores families that were not negotiated, and unknown subtypes (RFC 2918 §4, RFC 7313 §5). */
export function onRefresh(turn: Turn, connection: AgreedConnection, { family, subtype }: RouteRefreshMessage): void {
  const agreed = connection.stage.negotiated.families.find((each) => each === family);
  if (agreed !== undefined && subtype === 'request') resend(turn, connection, agreed);
}

/** Sends all routes of the family again (RFC 2918), between BoRR and EoRR if the peer supports them (RFC 7313). */
function resend(turn: Turn, connection: AgreedConnection, family: AddressFamily): void {
  const { s } = turn;
  for (const [key, { prefix }] of s.sent) if (prefix.family === family) s.sent.delete(key);
  const { enhancedRefresh } = connection.stage.negotiated;
  if (enhancedRefresh) say(turn, connection, { kind: 'route-refresh', family, subtype: 'begin' });
  update(turn);
  if (enhancedRefresh) say(turn, connection, { kind: 'route-refresh', family, subtype: 'end' });
}
