/**
 * What the session machine takes from a BGPPeer.
 * @module
 */
import type { Peer } from '../../config/config.ts';
import type { IpFamily } from '../../net/address.ts';
import type { SessionSettings } from '../session/negotiation.ts';
import { holdTimeOf } from './peer-change.ts';

export function sessionSettings(peer: Peer): SessionSettings {
  return {
    asn: peer.myASN,
    localAsn: peer.localASN ?? peer.myASN,
    peerAsn: peer.peerASN,
    holdTime: holdTimeOf(peer),
    keepaliveTime: peer.keepaliveTime,
    connectTime: peer.connectTime,
    families: familiesOf(peer),
    gracefulRestart: peer.gracefulRestart,
    passive: peer.passive,
    delayOpen: peer.delayOpen,
  };
}

/** The address families that the session offers: that of the peer's address, or both if unnumbered or configured so. */
export function familiesOf({ target, dualStack }: Pick<Peer, 'target' | 'dualStack'>): readonly IpFamily[] {
  if (dualStack || target.kind === 'interface') return ['ipv4', 'ipv6'];
  if (target.kind === 'address') return [target.address.family];
  return [target.kind === 'default-gateway' ? target.family : 'ipv4'];
}
