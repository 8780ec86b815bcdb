/**
 * How BFD monitors the router of a BGPPeer.
 * @module
 */
import { BFD_DEFAULTS, type BfdSettings } from '../../bfd/fsm.ts';
import type { BfdProfile } from '../../config/config.ts';
import { type IpAddress, isLinkLocal } from '../../net/address.ts';
import type { PeerPlan } from './wanted.ts';

/** One router to monitor. */
export interface BfdTarget extends Omit<BfdSettings, 'discriminator'> {
  /** Name of the BGPPeer. */
  readonly peer: string;
  readonly address: IpAddress;
  /** The interface of a link-local address. */
  readonly zone: string | undefined;
  readonly source: IpAddress | undefined;
  /** The VRF device; empty: none. */
  readonly device: string;
  readonly multihop: boolean;
  /** The lowest TTL with which packets of a multihop session are accepted. */
  readonly minimumTtl: number;
}

/** Default of minimumTtl (FRR's). */
const MINIMUM_TTL = 254;

/** Default of echoInterval, in milliseconds (FRR's). */
const ECHO_INTERVAL = 50;

/**
 * Undefined without a profile, or while the router of an unnumbered peer is not `found`. An iBGP peer is assumed to be several hops away,
 * as in FRR. `forwardsIpv4`: this node forwards IPv4, so that it returns the router's echo packets.
 */
export function bfdTarget(
  { peer, bfd }: Omit<PeerPlan, 'audience'>,
  found: IpAddress | undefined,
  forwardsIpv4: boolean,
): BfdTarget | undefined {
  const { target } = peer;
  const address = target.kind === 'address' ? target.address : found;
  if (bfd === undefined || address === undefined) return undefined;
  const zone = target.kind === 'interface' ? target.name : target.kind === 'address' ? target.zone : undefined;
  const isInternal = peer.peerASN === 'internal' || peer.peerASN === peer.myASN;
  const multihop = isInternal || peer.ebgpMultiHop;
  const echoInterval = bfd.echoInterval ?? ECHO_INTERVAL;
  // Echo packets work over a single hop (RFC 5881 §4), and over IPv4 only, as in FRR.
  const hasEcho = bfd.echoMode && !multihop && address.family === 'ipv4';
  return {
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
    echoInterval: hasEcho ? echoInterval : undefined,
    echoReceiveInterval: hasEcho && forwardsIpv4 ? echoInterval : 0,
  };
}

/** Milliseconds between BFD packets below which a busy node is likely to declare a live router down. */
export const HASTY = 50;

/** The interval of the profile that is too short to be safe, in milliseconds; undefined if none is. */
export function hastyInterval(bfd: BfdProfile | undefined): number | undefined {
  const interval = Math.min(bfd?.transmitInterval ?? HASTY, bfd?.receiveInterval ?? HASTY);
  return interval < HASTY ? interval : undefined;
}
