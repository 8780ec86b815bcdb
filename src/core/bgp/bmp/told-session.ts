/**
 * A session as a BMP station is told of it.
 * @module
 */
import { type IpAddress, parseAddress } from '../../net/address.ts';
import { endOfRib, synchronize } from '../rib/difference.ts';
import { established, outboundOf, type SessionState } from '../session/state.ts';
import type { BmpEnds, BmpMessage, BmpPeer } from './messages.ts';

/** Both ends of a TCP connection, as the system names them. */
export interface SocketEnds {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Plain data: what it says of a session stays as it is while the session goes on. */
export interface ToldSession extends Pick<Extract<BmpMessage, { kind: 'peer-up' }>, 'peer' | 'ends' | 'opens'> {
  /** Name of the BGPPeer. */
  readonly name: string;
  /** UPDATEs that bring a station to what the router has been sent. */
  readonly updates: readonly Uint8Array[];
}

/** Undefined while the session is not up. With `isNew` its UPDATEs are still to come, and are not part of this. */
export function toldSession(
  name: string,
  session: SessionState,
  sockets: SocketEnds,
  isNew: boolean,
): ToldSession | undefined {
  const connection = established(session);
  const outbound = outboundOf(session);
  const [address, localAddress] = [addressOf(sockets.remoteAddress), addressOf(sockets.localAddress)];
  if (connection === undefined || outbound === undefined) return undefined;
  if (address === undefined || localAddress === undefined) return undefined;
  const { negotiated, opens } = connection.stage;
  const { peerAsn, identifier, fourOctetAs, families } = negotiated;
  const peer: BmpPeer = { address, asn: peerAsn, identifier, fourOctetAs };
  const ends: BmpEnds = { localAddress, localPort: sockets.localPort ?? 0, remotePort: sockets.remotePort ?? 0 };
  const updates = isNew
    ? []
    : [...synchronize(new Map(), session.wanted, outbound), ...families.map((family) => endOfRib(family, outbound))];
  return { name, peer, ends, opens, updates };
}

/** Without the zone of a link-local address. */
function addressOf(text: string | undefined): IpAddress | undefined {
  return parseAddress((text ?? '').replace(/%.*$/, ''));
}
