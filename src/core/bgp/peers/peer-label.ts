/**
 * How metrics and statuses name the router of a BGPPeer.
 * @module
 */
import { bounded } from '../../api/text.ts';
import type { Peer } from '../../config/config.ts';
import { formatAddress } from '../../net/address.ts';

/** A kernel knows no interface with a name longer than 15 characters, a BGPPeer may have any. */
const LONGEST_LABEL = 63;

/** The address of the router, or the interface of an unnumbered peer. */
export function addressLabel({ target }: Pick<Peer, 'target'>): string {
  switch (target.kind) {
    case 'address':
      return formatAddress(target.address);
    case 'interface':
      return bounded(target.name, LONGEST_LABEL);
    default:
      return 'unknown';
  }
}

/** `address:port`, the label `peer` of upstream's metrics. */
export function sessionLabel(peer: Pick<Peer, 'target' | 'port'>): string {
  const address = addressLabel(peer);
  return `${address.includes(':') ? `[${address}]` : address}:${peer.port}`;
}
