/**
 * What a Service asks of the address pools, and what it is told.
 * @module
 */
import type { Labels } from '../api/selector.ts';
import type { IpAddress, IpFamily } from '../net/address.ts';

/** `namespace/name`. */
export type ServiceKey = string;

/** How a Service uses an address, which decides with whom it can share it (docs/behaviour/allocation.md#sharing). */
export interface AddressUse {
  /** Value of the annotation allow-shared-ip; empty: shares with nobody. */
  readonly sharingKey: string;
  /** Canonical selector under externalTrafficPolicy Local, empty under Cluster: who shares must have the same endpoints. */
  readonly backendKey: string;
  /** `TCP/80` … */
  readonly ports: readonly string[];
  /** The Service is being deleted, and keeps the address until these are gone. */
  readonly finalizers?: readonly string[];
}

export interface AllocationRequest {
  readonly service: ServiceKey;
  readonly namespace: string;
  readonly labels: Labels;
  /** Families of the Service's cluster IPs, the primary one first. */
  readonly families: readonly IpFamily[];
  /** Only meaningful with two families: whether both are needed, or one will do. */
  readonly requireBoth: boolean;
  readonly use: AddressUse;
  /** Name of the pool asked for by annotation. */
  readonly pool?: string;
  /** Addresses asked for; only `examine` looks at them here, for all else they are claimed. */
  readonly wished?: readonly IpAddress[];
}

export interface Allocation {
  /** Undefined: it has kept what no pool has, and where that is from is not known. */
  readonly pool: string | undefined;
  /** One address, or IPv4 then IPv6. */
  readonly addresses: readonly IpAddress[];
}

/** What was found out about one pool. The texts of these verdicts are in the catalogue of reasons. */
export type PoolVerdict =
  | 'chosen'
  | 'usable'
  | 'outranked'
  | 'not-asked-for'
  | 'outside'
  | 'avoids'
  | 'exhausted'
  | 'wrong-family'
  | 'one-family-only'
  | 'only-avoided'
  | 'auto-assign-off'
  | 'not-selected'
  | 'no-such-pool'
  | 'set-aside'
  | ShareFault['kind'];

export interface PoolCheck {
  readonly pool: string;
  readonly verdict: PoolVerdict;
  /** The requested address that the verdict is about. */
  readonly address?: IpAddress;
  /** The families that the verdict is about; absent: all that the pool has. */
  readonly families?: readonly IpFamily[];
  /** With an exhausted pool: how many of its addresses are held by Services that are being deleted. */
  readonly leaving?: number;
  /** Who is in the way, when somebody is. */
  readonly clash?: ShareFault;
}

/** Why a Service cannot use an address that others use. */
export type ShareFault = {
  readonly address: IpAddress;
  readonly holder: ServiceKey;
  /** What the holder waits for, when it is being deleted. */
  readonly finalizers?: readonly string[];
} /** Neither of the two shares with anybody. */ & (
  | { readonly kind: 'in-use' }
  /** Only the holder has a sharing key, or only the Service that asks. */
  | { readonly kind: 'no-key' }
  | { readonly kind: 'holder-has-no-key' }
  /** It asks to share, and may not with those of other namespaces. */
  | { readonly kind: 'other-namespace' }
  | { readonly kind: 'other-key'; readonly theirs: string }
  | { readonly kind: 'other-endpoints'; readonly key: string }
  | { readonly kind: 'port-clash'; readonly key: string; readonly port: string }
);

/** Why an explicit address cannot be given. */
export type ClaimRefusal =
  | { readonly kind: 'not-in-a-pool'; readonly address: IpAddress }
  | { readonly kind: 'buggy'; readonly address: IpAddress; readonly pool: string }
  | { readonly kind: 'different-pools'; readonly pools: readonly string[] }
  | { readonly kind: 'not-selected'; readonly pool: string }
  | { readonly kind: 'other-pool'; readonly pool: string; readonly asked: string }
  | ShareFault;

export type AllocationDecision =
  | { readonly ok: true; readonly allocation: Allocation; readonly checks: readonly PoolCheck[] }
  | { readonly ok: false; readonly checks: readonly PoolCheck[] };

export type ClaimDecision =
  | { readonly ok: true; readonly allocation: Allocation }
  | { readonly ok: false; readonly refusal: ClaimRefusal };
