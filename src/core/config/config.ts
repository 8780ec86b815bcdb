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
  /** 0 comes last, otherwise lower comes first. */
  readonly priority: number;
  /** Names given and names found by selector. */
  readonly namespaces: ReadonlySet<string>;
  /** True when the pool names namespaces in any way, even if its selectors match none at present. */
  readonly limitsNamespaces: boolean;
  readonly serviceSelectors: readonly LabelSelector[];
}

/** What both kinds of advertisement say about whom they are for. */
export interface AdvertisementTargets {
  readonly name: string;
  /** Names of the pools it covers, resolved from names and selectors. */
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
  /** How often more than once our AS stands in AS_PATH. */
  readonly prepend: number;
  /** MULTI_EXIT_DISC. */
  readonly med: number | undefined;
  /** Routes say how many endpoints can serve on this node. */
  readonly linkBandwidth: boolean;
}

/** A BFDProfile that passed every rule; what is absent is up to the BFD engine. Intervals are in milliseconds. */
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

/** Who speaks BGP (METALLB_BGP_TYPE): this system itself, or an FRR that frr-k8s looks after. */
export type BgpEngine = 'native' | 'frr-k8s';

/** Where a peer is. */
export type PeerTarget =
  /** `zone`: the interface that a link-local address is on. */
  | { readonly kind: 'address'; readonly address: IpAddress; readonly zone?: string | undefined }
  /** On the other end of an interface (unnumbered). */
  | { readonly kind: 'interface'; readonly name: string }
  /** Another one for each node: a peer template. */
  | { readonly kind: 'default-gateway'; readonly family: IpFamily }
  | { readonly kind: 'node-annotation'; readonly key: string }
  /** What a template comes to on a node that lacks what it asks for. */
  | { readonly kind: 'unknown'; readonly why: string };

/** A BGPPeer that passed every rule. */
export interface Peer {
  readonly name: string;
  readonly myASN: number;
  /** What the peer must call itself: one AS number, our own (internal) or any other (external). */
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
  /** TCP-MD5 (RFC 2385). Never to be logged. */
  readonly password?: { readonly encoding: 'utf8' | 'base64'; readonly text: string } | undefined;
  /** Where the password comes from; absent: it stands in the BGPPeer, or there is none. */
  readonly passwordSecret?: { readonly name: string; readonly namespace: string } | undefined;
  readonly bfdProfile?: string | undefined;
  readonly gracefulRestart: boolean;
  readonly ebgpMultiHop: boolean;
  readonly vrf: string;
  readonly dualStack: boolean;
  /** Of FRR's; it has no effect there either. */
  readonly disableMP: boolean;
  /** The router connects to us. */
  readonly passive: boolean;
  /** How long it may take to speak first then. */
  readonly delayOpen: Millis;
  /** Packets that have come farther than this many hops are dropped (RFC 5082); undefined: none is. */
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
