/**
 * Why a frame is nothing that concerns us.
 * @module
 */
export type ArpDecodeError =
  | 'truncated'
  | 'not-arp'
  | 'not-ipv4-over-ethernet'
  | 'bad-address-length'
  | 'unknown-operation';

/** RFC 4861 §7.1 says which messages must be discarded silently. */
export type NdpDecodeError =
  | 'truncated'
  | 'not-ndp'
  | 'hop-limit'
  | 'bad-checksum'
  | 'bad-code'
  | 'multicast-target'
  | 'bad-option'
  | 'bad-unspecified-source'
  | 'solicited-multicast';
