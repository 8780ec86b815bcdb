/**
 * Why a frame is no ARP packet that concerns us.
 * @module
 */
export type ArpDecodeError =
  | 'truncated'
  | 'not-arp'
  | 'not-ipv4-over-ethernet'
  | 'bad-address-length'
  | 'unknown-operation';
