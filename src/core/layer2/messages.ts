/**
 * ARP over Ethernet (RFC 826) and Neighbor Discovery (RFC 4861) as data, and the interfaces that carry them.
 * @module
 */
import type { IpAddress } from '../net/address.ts';
import type { MacAddress } from '../net/mac.ts';

/** Operations of RFC 826, with their numbers. */
export const ARP_OPERATIONS = { request: 1, reply: 2 } as const;
export type ArpOperation = keyof typeof ARP_OPERATIONS;

/** One ARP packet with the Ethernet header that it travels in. Addresses are IPv4. */
export interface ArpFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly operation: ArpOperation;
  readonly senderMac: MacAddress;
  readonly senderAddress: IpAddress;
  readonly targetMac: MacAddress;
  readonly targetAddress: IpAddress;
}

/** What every Neighbor Discovery message has around it. Addresses are IPv6. */
interface NdpEnvelope {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly sourceAddress: IpAddress;
  readonly destinationAddress: IpAddress;
  /** The address that is asked for, or told about. */
  readonly target: IpAddress;
}

/** RFC 4861 §4.3. */
export interface NeighborSolicitation extends NdpEnvelope {
  readonly kind: 'solicitation';
  /** Source link-layer address option; unicast probes and duplicate address detection come without. */
  readonly sourceLinkLayer?: MacAddress;
}

/** RFC 4861 §4.4. */
export interface NeighborAdvertisement extends NdpEnvelope {
  readonly kind: 'advertisement';
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  /** Target link-layer address option. */
  readonly targetLinkLayer?: MacAddress;
}

export type NdpFrame = NeighborSolicitation | NeighborAdvertisement;

/** A link that we may announce on. */
export interface Interface {
  readonly name: string;
  readonly index: number;
  readonly mac: MacAddress;
  /** Fit for IPv4: broadcasts (docs/behaviour/layer2.md#usable-interfaces). */
  readonly arp: boolean;
  /** Fit for IPv6: has a link-local address. */
  readonly ndp: boolean;
}
