/**
 * What a Service asks of the address pools, and what it is told.
 * @module
 */
import type { Labels } from '../api/selector.ts';
import type { IpAddress, IpFamily } from '../net/address.ts';

/** `namespace/name`. */
export type ServiceKey = string;

export interface AllocationRequest {
  readonly service: ServiceKey;
  readonly namespace: string;
  readonly labels: Labels;
  /** Families of the Service's cluster IPs, the primary one first. */
  readonly families: readonly IpFamily[];
  /** Only meaningful with two families: whether both are needed, or one will do. */
  readonly requireBoth: boolean;
  /** Name of the pool asked for by annotation. */
  readonly pool?: string;
}

export interface Allocation {
  readonly pool: string;
  /** One address, or IPv4 then IPv6. */
  readonly addresses: readonly IpAddress[];
}

/** What was found out about one pool. The texts of these verdicts are in the catalogue of reasons. */
export type PoolVerdict =
  | 'chosen'
  | 'usable'
  | 'exhausted'
  | 'wrong-family'
  | 'auto-assign-off'
  | 'not-selected'
  | 'no-such-pool'
  | 'not-requested';

export interface PoolCheck {
  readonly pool: string;
  readonly verdict: PoolVerdict;
}

/** Why an explicit address cannot be given. */
export type ClaimRefusal =
  | { readonly kind: 'not-in-a-pool'; readonly address: IpAddress }
  | { readonly kind: 'buggy'; readonly address: IpAddress; readonly pool: string }
  | { readonly kind: 'not-selected'; readonly pool: string }
  | { readonly kind: 'in-use'; readonly address: IpAddress; readonly holder: ServiceKey };

export type AllocationDecision =
  | { readonly ok: true; readonly allocation: Allocation; readonly checks: readonly PoolCheck[] }
  | { readonly ok: false; readonly checks: readonly PoolCheck[] };

export type ClaimDecision =
  | { readonly ok: true; readonly allocation: Allocation }
  | { readonly ok: false; readonly refusal: ClaimRefusal };
