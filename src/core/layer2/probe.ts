/**
 * "Has anybody got this address?", asked without an address of one's own, so that nobody's tables change by it.
 * @module
 */
import type { IpAddress } from '../net/address.ts';
import { BROADCAST_MAC, type MacAddress } from '../net/mac.ts';
import { encodeArp } from './arp-codec.ts';
import { encodeNdp, multicastMac, solicitedNode } from './ndp-codec.ts';

const NO_MAC: MacAddress = new Uint8Array(6);

/** An ARP probe (RFC 5227 §2.1.1), or what duplicate address detection sends (RFC 4862 §5.4.2), from the station with this MAC. */
export function encodeProbe(address: IpAddress, own: MacAddress): Uint8Array {
  if (address.family === 'ipv4')
    return encodeArp({
      destination: BROADCAST_MAC,
      source: own,
      operation: 'request',
      senderMac: own,
      senderAddress: { family: 'ipv4', value: 0n },
      targetMac: NO_MAC,
      targetAddress: address,
    });
  const group = solicitedNode(address);
  return encodeNdp({
    kind: 'solicitation',
    destination: multicastMac(group),
    source: own,
    sourceAddress: { family: 'ipv6', value: 0n },
    destinationAddress: group,
    target: address,
  });
}
