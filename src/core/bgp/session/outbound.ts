/**
 * What the peer is sent of the routes that it should hold.
 * @module
 */
import { follow, synchronize } from '../rib/difference.ts';
import type { RouteUpdate } from '../rib/route-update.ts';
import type { AddressFamily, RouteRefreshMessage } from '../wire/messages.ts';
import { type AgreedConnection, type Connection, established, outboundOf } from './state.ts';
import { say, type Turn } from './turn.ts';

/** What the peer lacks or has too much. With a delta, what it was sent before is up to date but for that. */
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

/** Families that we have not agreed on, and subtypes that are not known, are ignored (RFC 2918 §4, RFC 7313 §5). */
export function onRefresh(turn: Turn, connection: AgreedConnection, { family, subtype }: RouteRefreshMessage): void {
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
