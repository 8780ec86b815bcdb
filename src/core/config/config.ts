/**
 * The configuration as the rest of the core uses it: parsed, checked, with defaults filled in.
 * @module
 */
import type { LabelSelector } from '../api/kubernetes.ts';
import type { Labels } from '../api/selector.ts';
import type { AddressRange } from '../net/prefix.ts';

/** An IPAddressPool that passed every rule. */
export interface Pool {
  readonly name: string;
  readonly labels: Labels;
  /** In the order in which the user listed them; no two overlap, in this pool or with another. */
  readonly ranges: readonly AddressRange[];
  readonly autoAssign: boolean;
  readonly avoidBuggyIPs: boolean;
  /** Present when the pool is reserved for some namespaces or Services (behaviour reference §3.5). */
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

/** An L2Advertisement that passed every rule. */
export interface L2Advertisement {
  readonly name: string;
  /** Names of the pools it covers, resolved from names and selectors. */
  readonly pools: ReadonlySet<string>;
  readonly nodeSelectors: readonly LabelSelector[];
  readonly serviceSelectors: readonly LabelSelector[];
  /** Empty: all interfaces. */
  readonly interfaces: readonly string[];
  readonly preferences: readonly { readonly weight: number; readonly selector: LabelSelector }[];
}

export interface Config {
  /** Sorted by name. */
  readonly pools: readonly Pool[];
  /** Sorted by name. */
  readonly l2Advertisements: readonly L2Advertisement[];
}

export const EMPTY_CONFIG: Config = { pools: [], l2Advertisements: [] };
