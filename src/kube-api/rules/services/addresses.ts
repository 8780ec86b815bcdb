/**
 * Families and cluster IPs of a Service: what fits together, what is inferred, and what is given out.
 * @module
 */
import { formatAddress, type IpFamily } from '../../../core/net/address.ts';
import { parsePrefix, prefixRange, rangeContains } from '../../../core/net/prefix.ts';
import { familyName, hasClusterIp, isHeadless, legacyAddress, type ServiceSpec } from './spec.ts';

type Fault = (field: string, message: string) => void;

/** Cluster IPs come from these (kubeadm's default for IPv4). */
const CLUSTER_RANGES: Readonly<Record<IpFamily, ReturnType<typeof prefixRange>>> = {
  ipv4: prefixRange(parsePrefix('10.96.0.0/12')!),
  ipv6: prefixRange(parsePrefix('fd00:10:96::/112')!),
};
/** The first addresses of a range are left to Services that ask for one. */
const STATIC_ADDRESSES = 256n;
/** In order: the first is that of a Service that says nothing. */
const FAMILIES = ['IPv4', 'IPv6'];
export const POLICIES: readonly string[] = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];

const invalid = (value: unknown, why: string) => `Invalid value: ${JSON.stringify(value)}: ${why}`;

/** `clusterIP` and `clusterIPs` say the same: a client may know only the older one. */
export function synchronize(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  const isUnchanged = isSame(spec.clusterIPs, old?.clusterIPs);
  if (old === undefined) {
    if (spec.clusterIP !== undefined) spec.clusterIPs ??= [spec.clusterIP];
  } else if (spec.clusterIP === undefined) {
    if (old.clusterIP !== undefined && isUnchanged) delete spec.clusterIPs;
  } else if (spec.clusterIP !== old.clusterIP && (isUnchanged || spec.clusterIPs === undefined))
    spec.clusterIPs = [spec.clusterIP];
  if (spec.clusterIPs === undefined) delete spec.clusterIPs;
}

/** Faults of the fields about addresses, each by itself and against the others. */
export function addressFaults(spec: ServiceSpec, fault: Fault): void {
  const { clusterIP, clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  if (!hasClusterIp(spec)) return;
  const whole = (why: string) => fault('spec.clusterIPs', invalid(clusterIPs, why));
  if (clusterIPs.length > 0 && clusterIP === undefined) whole('must be empty when `clusterIP` is not specified');
  else if (clusterIPs.length > 0 && clusterIPs[0] !== clusterIP) whole('first value must match `clusterIP`');
  if (ipFamilyPolicy !== undefined && !POLICIES.includes(ipFamilyPolicy)) {
    const supported = POLICIES.map((name) => `"${name}"`).join(', ');
    fault('spec.ipFamilyPolicy', `Unsupported value: "${ipFamilyPolicy}": supported values: ${supported}`);
  }
  for (const [i, family] of ipFamilies.entries()) {
    if (!FAMILIES.includes(family))
      fault(`spec.ipFamilies[${i}]`, `Unsupported value: "${family}": supported values: "IPv4", "IPv6"`);
    if (ipFamilies.indexOf(family) < i) fault(`spec.ipFamilies[${i}]`, `Duplicate value: "${family}"`);
  }
  if (clusterIPs.length > 2) whole('may only hold up to 2 values');
  let areAddresses = true;
  for (const [i, text] of clusterIPs.entries()) {
    if (text === 'None') {
      if (clusterIPs.length > 1) whole("'None' must be the first and only value");
      areAddresses = false;
    } else if (legacyAddress(text) === undefined) {
      areAddresses = false;
      fault(`spec.clusterIPs[${i}]`, invalid(text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
    }
  }
  const families = clusterIPs.map(familyOf);
  if (areAddresses && clusterIPs.length === 2 && families[0] === families[1])
    whole('may specify no more than one IP for each IP family');
  if (!areAddresses) return;
  for (const [i, wanted] of ipFamilies.entries())
    if (families[i] !== undefined && FAMILIES.includes(wanted) && families[i] !== wanted) {
      const why = `expected an ${wanted} value as indicated by \`ipFamilies[${i}]\``;
      fault(`spec.clusterIPs[${i}]`, invalid(clusterIPs[i], why));
    }
}

/** Infers policy and families from what is given and what was there before. Only for a spec without faults of its addresses. */
export function inferFamilies(spec: ServiceSpec, old: ServiceSpec | undefined, fault: Fault): void {
  if (!hasClusterIp(spec)) return;
  // Whoever looks up the endpoints of such a Service by himself may have them of every family.
  const isSelectorless = isHeadless(spec) && spec.selector === undefined;
  const before = old !== undefined && hasClusterIp(old) ? old.ipFamilyPolicy : undefined;
  spec.ipFamilyPolicy ??= before ?? (isSelectorless ? 'RequireDualStack' : 'SingleStack');
  const { ipFamilyPolicy: policy } = spec;
  const change = (why: string) => fault('spec.ipFamilyPolicy', invalid(policy, why));
  if (old !== undefined && policy === 'SingleStack') {
    // Going to one family takes no more than saying so.
    if (spec.clusterIPs !== undefined && isSame(spec.clusterIPs, old.clusterIPs)) spec.clusterIPs.splice(1);
    if (spec.ipFamilies !== undefined && isSame(spec.ipFamilies, old.ipFamilies)) spec.ipFamilies.splice(1);
  } else if (old !== undefined) {
    if (old.clusterIPs?.length === 2 && spec.clusterIPs?.length === 1)
      change("must be 'SingleStack' to release the secondary cluster IP");
    if (old.ipFamilies?.length === 2 && spec.ipFamilies?.length === 1)
      change("must be 'SingleStack' to release the secondary IP family");
  }
  if (policy === 'SingleStack') {
    const needed = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
    if (spec.clusterIPs?.length === 2) change(`${needed} cluster IPs are specified`);
    if (spec.ipFamilies?.length === 2) change(`${needed} IP families are specified`);
  }
  const families = [...(spec.ipFamilies ?? [])];
  if (!isHeadless(spec))
    families.push(...(spec.clusterIPs ?? []).slice(families.length).map((text) => familyOf(text)!));
  if (families.length === 0) families.push(FAMILIES[0]!);
  if (policy !== 'SingleStack' && families.length === 1)
    families.push(...FAMILIES.filter((name) => name !== families[0]));
  spec.ipFamilies = families;
}

/** Gives out what is missing. `taken` are the cluster IPs of other Services. */
export function allocateClusterIps(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  taken: ReadonlySet<string>,
  fault: Fault,
): void {
  if (!hasClusterIp(spec) || (isHeadless(spec) && (old === undefined || !hasClusterIp(old) || isHeadless(old)))) return;
  const asked = spec.clusterIPs ?? [];
  const given = spec.ipFamilies!.map((name, i) => asked[i] ?? freeClusterIp(name === 'IPv6' ? 'ipv6' : 'ipv4', taken));
  for (const text of asked) {
    const address = legacyAddress(text);
    // What an update may not change is refused with its other rules.
    if (address === undefined || (old !== undefined && hasClusterIp(old))) continue;
    const refuse = (why: string) => fault('spec.clusterIPs', invalid([text], `failed to allocate IP ${text}: ${why}`));
    if (!rangeContains(CLUSTER_RANGES[address.family], address))
      refuse('the provided network does not match the current range');
    else if (taken.has(formatAddress(address))) refuse('provided IP is already allocated');
  }
  spec.clusterIP = given[0]!;
  spec.clusterIPs = given;
}

/** What an update may not change: the first of the cluster IPs. */
export function changedClusterIps(
  { clusterIPs: now = [] }: ServiceSpec,
  { clusterIPs: before = [] }: ServiceSpec,
  fault: Fault,
): void {
  const count = Math.min(now.length, before.length);
  for (let i = 0; i < count; i++)
    if (now[i] !== before[i]) fault(`spec.clusterIPs[${i}]`, invalid(now, 'may not change once set'));
}

function familyOf(text: string): string | undefined {
  const address = legacyAddress(text);
  return address && familyName(address.family);
}

function freeClusterIp(family: IpFamily, taken: ReadonlySet<string>): string {
  const range = CLUSTER_RANGES[family];
  for (let value = range.first + STATIC_ADDRESSES; value <= range.last; value++) {
    const text = formatAddress({ family, value });
    if (!taken.has(text)) return text;
  }
  return '';
}

export function isSame(a: readonly unknown[] | undefined, b: readonly unknown[] | undefined): boolean {
  return JSON.stringify(a ?? []) === JSON.stringify(b ?? []);
}
