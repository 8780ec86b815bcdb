/**
 * What the API server fills in when a Service is applied, as far as allocation goes by it: a manifest seldom has cluster IPs.
 * @module
 */
import type { Service } from '../api/kubernetes.ts';
import { type IpFamily, parseAddress } from '../net/address.ts';

type Spec = NonNullable<Service['spec']>;

/** Stands for an address of the family that nobody knows yet. */
const UNKNOWN: Readonly<Record<IpFamily, string>> = { ipv4: '0.0.0.0', ipv6: '::' };

/** `others`: the Services of the cluster, which show the families that it has. */
export function withClusterIPs(spec: Spec, old: Spec | undefined, others: Iterable<Service>): Spec {
  if (spec.type !== 'LoadBalancer' || spec.clusterIP !== undefined || spec.clusterIPs !== undefined) return spec;
  const { ipFamilyPolicy = old?.ipFamilyPolicy ?? 'SingleStack', ipFamilies = [] } = spec;
  const had = clusterIPsOf(old);
  const all = [...others].map(({ spec: other }) => clusterIPsOf(other)).filter((addresses) => addresses.length > 0);
  const familyOf = (address: string | undefined) => parseAddress(address ?? '')?.family;
  const primary =
    familyOf(had[0]) ?? ipFamilies[0]?.toLowerCase() ?? familyOf(all.find(([first]) => first)?.[0]) ?? 'ipv4';
  const isDual =
    ipFamilyPolicy === 'RequireDualStack' ||
    (ipFamilyPolicy === 'PreferDualStack' && all.some((addresses) => addresses.length > 1));
  const secondary = primary === 'ipv4' ? 'ipv6' : 'ipv4';
  const families = (isDual ? [primary, secondary] : [primary]) as IpFamily[];
  const clusterIPs = families.map((family) => had.find((address) => familyOf(address) === family) ?? UNKNOWN[family]);
  return { ...spec, ipFamilyPolicy, clusterIP: clusterIPs[0]!, clusterIPs };
}

function clusterIPsOf({ clusterIP, clusterIPs = clusterIP ? [clusterIP] : [] }: Spec = {}): readonly string[] {
  return clusterIPs;
}
