/**
 * A BGP session as reported to a BMP station.
 * @module
 */
import { type IpAddress, parseAddress } from '../../net/address.ts';
import { endOfRib, synchronize } from '../rib/difference.ts';
import { established, outboundOf, type SessionState } from '../session/state.ts';
import type { BmpEnds, BmpMessage, BmpPeer } from './messages.ts';

/** Both ends of a TCP connection, as Node's sockets name them. */
export interface SocketEnds {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** A copy: it does not change with the session. */
export interface ToldSession extends Pick<Extract<BmpMessage, { kind: 'peer-up' }>, 'peer' | 'ends' | 'opens'> {
  /** Name of the BGPPeer. */
  readonly name: string;
  /** UPDATEs with all routes that the peer has been sent so far. */
  readonly updates: readonly Uint8Array[];
}

/** Undefined while the session is not up. With `isNew` the UPDATEs are left out, because the session has yet to send them. */
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
