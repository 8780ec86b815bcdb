/**
 * BGP-4 (RFC 4271) as data.
 * @module
 */
import type { IpAddress } from '../../net/address.ts';
import type { Prefix } from '../../net/prefix.ts';
import type { NotificationCode } from './errors.ts';

/** Supported address families (RFC 4760) with their AFI; the SAFI is always unicast. */
export const AFI = { ipv4: 1, ipv6: 2 } as const;
export type AddressFamily = keyof typeof AFI;
export const SAFI_UNICAST = 1;

/** Undefined: not supported. */
export function familyOf(afi: number | undefined, safi: number | undefined): AddressFamily | undefined {
  if (safi !== SAFI_UNICAST) return undefined;
  return afi === AFI.ipv4 ? 'ipv4' : afi === AFI.ipv6 ? 'ipv6' : undefined;
}

/** An unsupported address family. */
export interface OtherFamily {
  readonly afi: number;
  readonly safi: number;
}

/** Replaces an AS number that does not fit into two bytes (RFC 6793). */
export const AS_TRANS = 23456;

/** RFC 5492; unsupported families are left out. */
export type Capability =
  | { readonly kind: 'multiprotocol'; readonly family: AddressFamily }
  /** RFC 2918. */
  | { readonly kind: 'route-refresh' }
  /** RFC 7313. */
  | { readonly kind: 'enhanced-route-refresh' }
  /** RFC 8654. */
  | { readonly kind: 'extended-message' }
  /** RFC 6793. */
  | { readonly kind: 'four-octet-as'; readonly asn: number }
  /** RFC 8950: prefixes of `family` may have next hops of `nextHop`. */
  | { readonly kind: 'extended-next-hop'; readonly family: AddressFamily; readonly nextHop: AddressFamily }
  | GracefulRestart
  | { readonly kind: 'unknown'; readonly code: number; readonly value: Uint8Array };

/** RFC 4724, with the N bit of RFC 8538. */
export interface GracefulRestart {
  readonly kind: 'graceful-restart';
  /** The sender has just restarted. */
  readonly restarting: boolean;
  /** N bit: routes are retained even after a NOTIFICATION (RFC 8538). */
  readonly notification: boolean;
  /** Seconds, 0 to 4095. */
  readonly restartTime: number;
  readonly families: readonly { readonly family: AddressFamily; readonly forwarding: boolean }[];
}

export interface OpenMessage {
  readonly kind: 'open';
  readonly version: number;
  /** The two-byte field; see the capability four-octet-as. */
  readonly asn: number;
  /** Seconds. */
  readonly holdTime: number;
  /** BGP identifier, an unsigned 32-bit number. */
  readonly identifier: number;
  readonly capabilities: readonly Capability[];
}

export interface NotificationMessage {
  readonly kind: 'notification';
  readonly code: NotificationCode | number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export interface UpdateMessage {
  readonly kind: 'update';
  /** IPv4 routes of the message's own fields (RFC 4271 §4.3). */
  readonly withdrawn: readonly Prefix[];
  readonly announced: readonly Prefix[];
  readonly attributes: PathAttributes;
  /** MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760). */
  readonly reach?: MultiprotocolReach;
  readonly unreach?: { readonly family: AddressFamily; readonly prefixes: readonly Prefix[] };
  /** Unsupported families in the message: an UPDATE with nothing else is the End-of-RIB of such a family, not of IPv4. */
  readonly others?: readonly OtherFamily[];
}

export interface MultiprotocolReach {
  readonly family: AddressFamily;
  /** One address; or a global and a link-local one (RFC 2545 §3). */
  readonly nextHops: readonly IpAddress[];
  readonly prefixes: readonly Prefix[];
}

/** Values are those on the wire (RFC 4271 §5.1.1). */
export const ORIGINS = { igp: 0, egp: 1, incomplete: 2 } as const;
export type Origin = keyof typeof ORIGINS;

export interface PathAttributes {
  readonly origin?: Origin;
  readonly asPath?: readonly AsSegment[];
  readonly nextHop?: IpAddress;
  readonly med?: number;
  readonly localPref?: number;
  /** RFC 1997: pairs of 16-bit numbers. */
  readonly communities?: readonly (readonly [number, number])[];
  /** RFC 4360: eight bytes each. */
  readonly extendedCommunities?: readonly Uint8Array[];
  /** RFC 8092: triples of 32-bit numbers. */
  readonly largeCommunities?: readonly (readonly [number, number, number])[];
}

/** RFC 4271 §4.3, RFC 5065. */
export const SEGMENT_TYPES = { set: 1, sequence: 2, 'confed-sequence': 3, 'confed-set': 4 } as const;

export interface AsSegment {
  readonly type: keyof typeof SEGMENT_TYPES;
  readonly asns: readonly number[];
}

/** The request of RFC 2918, and BoRR and EoRR of RFC 7313. */
export const REFRESH_SUBTYPES = { request: 0, begin: 1, end: 2 } as const;

export interface RouteRefreshMessage {
  readonly kind: 'route-refresh';
  readonly family: AddressFamily | OtherFamily;
  /** A number: not supported. */
  readonly subtype: keyof typeof REFRESH_SUBTYPES | number;
}

export type BgpMessage =
  | OpenMessage
  | UpdateMessage
  | NotificationMessage
  | RouteRefreshMessage
  | { readonly kind: 'keepalive' };

/** The part of the negotiation that codecs need. */
export interface CodecOptions {
  /** RFC 6793: AS numbers in AS_PATH have four bytes. */
  readonly fourOctetAs: boolean;
  /** RFC 8654: messages of up to 65,535 bytes. */
  readonly extendedMessage: boolean;
}
