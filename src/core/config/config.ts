/**
 * The configuration as the rest of the core uses it: parsed, checked, with defaults filled in.
 * @module
 */
import type { LabelSelector } from '../api/kubernetes.ts';
import type { Labels } from '../api/selector.ts';
import type { Millis } from '../machine.ts';
import type { IpAddress, IpFamily } from '../net/address.ts';
import type { AddressRange } from '../net/prefix.ts';

/** An IPAddressPool that passed every rule. */
export interface Pool {
  readonly name: string;
  readonly labels: Labels;
  /** In the order in which the user listed them; no two overlap, in this pool or with another. */
  readonly ranges: readonly AddressRange[];
  readonly autoAssign: boolean;
  readonly avoidBuggyIPs: boolean;
  /** Present when the pool is reserved for some namespaces or Services (docs/behaviour/allocation.md#which-pools-a-service-may-use). */
  readonly allocation?: PoolAllocation;
}

/** Who may use a pinned pool. */
export interface PoolAllocation {
  /** Lower values come first, 0 comes last. */
  readonly priority: number;
  /** Those listed by name and those found by selector. */
  readonly namespaces: ReadonlySet<string>;
  /** True when the pool names namespaces in any way, even if its selectors match none at present. */
  readonly limitsNamespaces: boolean;
  readonly serviceSelectors: readonly LabelSelector[];
}

/** The fields by which both kinds of advertisement say what they apply to. */
export interface AdvertisementTargets {
  readonly name: string;
  /** Names of the selected pools, whether listed by name or found by selector. */
  readonly pools: ReadonlySet<string>;
  readonly nodeSelectors: readonly LabelSelector[];
  readonly serviceSelectors: readonly LabelSelector[];
}

/** An L2Advertisement that passed every rule. */
export interface L2Advertisement extends AdvertisementTargets {
  /** Empty: all interfaces. */
  readonly interfaces: readonly string[];
  readonly preferences: readonly { readonly weight: number; readonly selector: LabelSelector }[];
}

/** A BGP community: two 16-bit numbers (RFC 1997) or three 32-bit ones (RFC 8092). */
export type CommunityValue =
  | { readonly kind: 'standard'; readonly parts: readonly [number, number] }
  | { readonly kind: 'large'; readonly parts: readonly [number, number, number] };

/** A Community object that passed every rule. */
export interface CommunityAliases {
  readonly name: string;
  readonly values: ReadonlyMap<string, CommunityValue>;
}

/** A BGPAdvertisement that passed every rule. */
export interface BgpAdvertisement extends AdvertisementTargets {
  /** Prefix lengths of the routes, by family of the address. */
  readonly aggregationLengths: { readonly ipv4: number; readonly ipv6: number };
  /** LOCAL_PREF towards iBGP peers. */
  readonly localPref: number;
  readonly communities: readonly CommunityValue[];
  /** Names of BGPPeers; empty: all. */
  readonly peers: readonly string[];
  /** How many extra times AS_PATH contains our AS number, 0 to 32. */
  readonly prepend: number;
  /** MULTI_EXIT_DISC; undefined: routes have none. */
  readonly med: number | undefined;
  /** Routes carry a link bandwidth community in proportion to the serving endpoints on this node. */
  readonly linkBandwidth: boolean;
}

/** A BFDProfile that passed every rule. Intervals are in milliseconds; for absent values the BFD engine has defaults. */
export interface BfdProfile {
  readonly name: string;
  readonly receiveInterval?: number | undefined;
  readonly transmitInterval?: number | undefined;
  readonly detectMultiplier?: number | undefined;
  readonly echoInterval?: number | undefined;
  readonly echoMode: boolean;
  readonly passiveMode: boolean;
  readonly minimumTtl?: number | undefined;
}

/** Which BGP implementation is used (METALLB_BGP_TYPE): our own, or FRR as configured by frr-k8s. */
export type BgpEngine = 'native' | 'frr-k8s';

/** Where a peer is. */
export type PeerTarget =
  /** `zone`: the interface that a link-local address is on. */
  | { readonly kind: 'address'; readonly address: IpAddress; readonly zone?: string | undefined }
  /** At the other end of an interface (BGP unnumbered). */
  | { readonly kind: 'interface'; readonly name: string }
  /** A peer template: each node finds an address of its own. */
  | { readonly kind: 'default-gateway'; readonly family: IpFamily }
  | { readonly kind: 'node-annotation'; readonly key: string }
  /** A template on a node where it yields no address, and why. */
  | { readonly kind: 'unknown'; readonly why: string };

/** A BGPPeer that passed every rule. */
export interface Peer {
  readonly name: string;
  readonly myASN: number;
  /** The AS number that the peer's OPEN must have: this one, ours (internal), or any but ours (external). */
  readonly peerASN: number | 'internal' | 'external';
  readonly localASN?: number | undefined;
  readonly target: PeerTarget;
  readonly port: number;
  readonly sourceAddress?: IpAddress | undefined;
  /** Absent: the engine's default. Zero: no hold timer. */
  readonly holdTime?: Millis | undefined;
  readonly keepaliveTime?: Millis | undefined;
  readonly connectTime?: Millis | undefined;
  readonly routerId?: IpAddress | undefined;
  readonly nodeSelectors: readonly LabelSelector[];
  /** For TCP-MD5 (RFC 2385). Never log it. */
  readonly password?: { readonly encoding: 'utf8' | 'base64'; readonly text: string } | undefined;
  /** Where the password comes from; absent: from the BGPPeer itself, or there is none. */
  readonly passwordSecret?: { readonly name: string; readonly namespace?: string | undefined } | undefined;
  readonly bfdProfile?: string | undefined;
  readonly gracefulRestart: boolean;
  readonly ebgpMultiHop: boolean;
  readonly vrf: string;
  readonly dualStack: boolean;
  /** Deprecated: it has no effect, with FRR either. */
  readonly disableMP: boolean;
  /** We never connect, the router does (RFC 4271 PassiveTcpEstablishment). */
  readonly passive: boolean;
  /** How long a router that has connected may take to send its OPEN before we send ours (RFC 4271 DelayOpenTime). */
  readonly delayOpen: Millis;
  /** Packets from more than this many hops away are dropped (GTSM, RFC 5082); undefined: none are. */
  readonly ttlSecurityHops: number | undefined;
}

/** Every list is sorted by name. */
export interface Config {
  readonly pools: readonly Pool[];
  readonly l2Advertisements: readonly L2Advertisement[];
  readonly bgpAdvertisements: readonly BgpAdvertisement[];
  readonly peers: readonly Peer[];
  readonly bfdProfiles: readonly BfdProfile[];
  readonly communities: readonly CommunityAliases[];
}

export const EMPTY_CONFIG: Config = {
  pools: [],
  l2Advertisements: [],
  bgpAdvertisements: [],
  peers: [],
  bfdProfiles: [],
  communities: [],
};
