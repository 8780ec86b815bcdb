/**
 * ARP over Ethernet (RFC 826) as data, and the interfaces that carry it.
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

/** A link that we may announce on. */
export interface Interface {
  readonly name: string;
  readonly index: number;
  readonly mac: MacAddress;
}
