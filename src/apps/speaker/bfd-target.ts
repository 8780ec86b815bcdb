/**
 * How BFD is to watch the router of a BGPPeer.
 * @module
 */
import type { BfdTarget } from '../../adapters/wire/bfd-sessions.ts';
import { BFD_DEFAULTS } from '../../core/bfd/fsm.ts';
import { type IpAddress, isLinkLocal } from '../../core/net/address.ts';
import type { SessionPlan } from './bgp-sessions.ts';

/** Least TTL of packets from some hops away, where the profile says nothing (FRR's). */
const MINIMUM_TTL = 254;

/** Nothing without a profile, or while the router of an unnumbered peer is not `found`. Inside an AS the router is taken to be some hops away, as FRR does. */
export function bfdTarget({ peer, bfd }: SessionPlan, found: IpAddress | undefined): BfdTarget[] {
  const { target } = peer;
  const address = target.kind === 'address' ? target.address : found;
  if (bfd === undefined || address === undefined) return [];
  const zone = target.kind === 'interface' ? target.name : target.kind === 'address' ? target.zone : undefined;
  const isInternal = peer.peerASN === 'internal' || peer.peerASN === peer.myASN;
  return [
    {
      peer: peer.name,
      address,
      zone: isLinkLocal(address) ? zone : undefined,
      source: peer.sourceAddress,
      device: peer.vrf,
      multihop: isInternal || peer.ebgpMultiHop,
      minimumTtl: bfd.minimumTtl ?? MINIMUM_TTL,
      transmitInterval: bfd.transmitInterval ?? BFD_DEFAULTS.transmitInterval,
      receiveInterval: bfd.receiveInterval ?? BFD_DEFAULTS.receiveInterval,
      detectMultiplier: bfd.detectMultiplier ?? BFD_DEFAULTS.detectMultiplier,
      passive: bfd.passiveMode,
    },
  ];
}
