/**
 * How BFD is to watch the router of a BGPPeer.
 * @module
 */
import { forwardsIpv4 } from '../../adapters/wire/bfd-echo.ts';
import type { BfdTarget } from '../../adapters/wire/bfd-sessions.ts';
import { BFD_DEFAULTS } from '../../core/bfd/fsm.ts';
import { type IpAddress, isLinkLocal } from '../../core/net/address.ts';
import type { SessionPlan } from './bgp-sessions.ts';

/** Least TTL of packets from some hops away, where the profile says nothing (FRR's). */
const MINIMUM_TTL = 254;

/** Milliseconds (FRR's). */
const ECHO_INTERVAL = 50;

/** Nothing without a profile, or while the router of an unnumbered peer is not `found`. Inside an AS the router is taken to be some hops away, as FRR does. */
export function bfdTarget({ peer, bfd }: SessionPlan, found: IpAddress | undefined): BfdTarget[] {
  const { target } = peer;
  const address = target.kind === 'address' ? target.address : found;
  if (bfd === undefined || address === undefined) return [];
  const zone = target.kind === 'interface' ? target.name : target.kind === 'address' ? target.zone : undefined;
  const isInternal = peer.peerASN === 'internal' || peer.peerASN === peer.myASN;
  const multihop = isInternal || peer.ebgpMultiHop;
  const echoInterval = bfd.echoInterval ?? ECHO_INTERVAL;
  return [
    {
      peer: peer.name,
      address,
      zone: isLinkLocal(address) ? zone : undefined,
      source: peer.sourceAddress,
      device: peer.vrf,
      multihop,
      minimumTtl: bfd.minimumTtl ?? MINIMUM_TTL,
      transmitInterval: bfd.transmitInterval ?? BFD_DEFAULTS.transmitInterval,
      receiveInterval: bfd.receiveInterval ?? BFD_DEFAULTS.receiveInterval,
      detectMultiplier: bfd.detectMultiplier ?? BFD_DEFAULTS.detectMultiplier,
      passive: bfd.passiveMode,
      // Echoes go over one hop, and of IPv4 only, as FRR's.
      ...(bfd.echoMode && !multihop && address.family === 'ipv4'
        ? { echoInterval, echoReceiveInterval: forwardsIpv4() ? echoInterval : 0 }
        : { echoInterval: undefined, echoReceiveInterval: 0 }),
    },
  ];
}
