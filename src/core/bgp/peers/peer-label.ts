/**
 * How metrics and statuses call the router of a BGPPeer.
 * @module
 */
import type { Peer } from '../../config/config.ts';
import { formatAddress } from '../../net/address.ts';

/** Its address; of an unnumbered peer, the interface. */
export function addressLabel({ target }: Pick<Peer, 'target'>): string {
  switch (target.kind) {
    case 'address':
      return formatAddress(target.address);
    case 'interface':
      return target.name;
    default:
      return 'unknown';
  }
}

/** Upstream's label of a session. */
export function sessionLabel(peer: Pick<Peer, 'target' | 'port'>): string {
  const address = addressLabel(peer);
  return `${address.includes(':') ? `[${address}]` : address}:${peer.port}`;
}
