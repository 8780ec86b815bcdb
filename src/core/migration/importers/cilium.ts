/**
 * Cilium: CiliumLoadBalancerIPPools and CiliumL2AnnouncementPolicies (cilium.io/v2alpha1, v2).
 * @module
 */
import type { KubernetesObject, LabelSelector } from '../../api/kubernetes.ts';
import { type Imported, type ImportedObject, l2Advertisement, objectName, pool } from './imported.ts';

interface IpPool extends KubernetesObject {
  readonly spec?: {
    readonly blocks?: readonly { readonly cidr?: string; readonly start?: string; readonly stop?: string }[];
    readonly cidrs?: readonly { readonly cidr?: string }[];
    readonly serviceSelector?: LabelSelector;
    readonly allowFirstLastIPs?: string;
    readonly disabled?: boolean;
  };
}

interface L2Policy extends KubernetesObject {
  readonly spec?: {
    readonly interfaces?: readonly string[];
    readonly nodeSelector?: LabelSelector;
    readonly serviceSelector?: LabelSelector;
    readonly loadBalancerIPs?: boolean;
    readonly externalIPs?: boolean;
  };
}

/** Keys that Cilium's Service selectors may use although Services do not have these labels. */
const NAMESPACE_LABEL = 'io.kubernetes.service.namespace';
const NAME_LABEL = 'io.kubernetes.service.name';

export function importCilium(objects: readonly KubernetesObject[], namespace: string): Imported {
  const found: ImportedObject[] = [];
  const notes: string[] = [];
  for (const object of objects) {
    if (object.kind === 'CiliumLoadBalancerIPPool') found.push(...importPool(object as IpPool, namespace, notes));
    if (object.kind === 'CiliumL2AnnouncementPolicy') found.push(...policyOf(object as L2Policy, namespace, notes));
    if (/^CiliumBGP/.test(object.kind ?? ''))
      notes.push(
        `${object.kind} ${object.metadata.name}: write a BGPPeer for each neighbour and a BGPAdvertisement; docs/bgp.md has every field`,
      );
  }
  return { objects: found, notes };
}

function importPool({ metadata, spec = {} }: IpPool, namespace: string, notes: string[]): ImportedObject[] {
  const named = `CiliumLoadBalancerIPPool ${metadata.name}`;
  const addresses = [...(spec.blocks ?? []), ...(spec.cidrs ?? [])].flatMap((block) => {
    const { cidr, start, stop } = block as { cidr?: string; start?: string; stop?: string };
    if (cidr !== undefined) return [cidr];
    return start === undefined ? [] : [`${start}-${stop ?? start}`];
  });
  if (spec.allowFirstLastIPs === 'No')
    notes.push(
      `${named}: allowFirstLastIPs: No: set spec.avoidBuggyIPs, which leaves out addresses that end in .0 and .255`,
    );
  const { [NAMESPACE_LABEL]: ofNamespace, [NAME_LABEL]: ofName, ...labels } = spec.serviceSelector?.matchLabels ?? {};
  const matchExpressions = spec.serviceSelector?.matchExpressions ?? [];
  if (ofName !== undefined)
    notes.push(
      `${named}: it selects the Service ${ofName} by name; select it by a label, or give it the annotation metallb.io/address-pool`,
    );
  const foreign = matchExpressions.filter(({ key }) => key === NAMESPACE_LABEL || key === NAME_LABEL);
  for (const { key, operator, values = [] } of foreign)
    notes.push(
      `${named}: ${key} ${operator} ${values.join(', ')}: name the namespaces in spec.serviceAllocation.namespaces`,
    );
  const expressions = matchExpressions.filter((each) => !foreign.includes(each));
  const hasSelector = Object.keys(labels).length + expressions.length > 0;
  const selector = {
    ...(Object.keys(labels).length > 0 && { matchLabels: labels }),
    ...(expressions.length > 0 && { matchExpressions: expressions }),
  };
  const allocation = {
    priority: 1,
    ...(ofNamespace !== undefined && { namespaces: [ofNamespace] }),
    ...(hasSelector && { serviceSelectors: [selector] }),
  };
  const isForSome = hasSelector || ofNamespace !== undefined;
  if (spec.disabled === true)
    notes.push(`${named}: it is disabled; the pool gives out addresses only where a Service asks for it`);
  return [
    pool(objectName(metadata.name), namespace, {
      addresses,
      ...((spec.disabled === true || ofName !== undefined) && { autoAssign: false }),
      ...(isForSome && { serviceAllocation: allocation }),
    }),
  ];
}

function policyOf({ metadata, spec = {} }: L2Policy, namespace: string, notes: string[]): ImportedObject[] {
  const named = `CiliumL2AnnouncementPolicy ${metadata.name}`;
  if (spec.externalIPs === true) notes.push(`${named}: externalIPs are not announced here, only addresses from pools`);
  if (spec.loadBalancerIPs !== true) return [];
  const interfaces = spec.interfaces ?? [];
  const patterns = interfaces.filter((name) => /[\\^$*+?()[\]|]/.test(name));
  if (patterns.length > 0)
    notes.push(
      `${named}: interfaces are names here, not regular expressions: replace ${patterns.join(', ')} with the names of your interfaces`,
    );
  const selectors = spec.serviceSelector;
  return [
    l2Advertisement(objectName(metadata.name), namespace, {
      ...(interfaces.length > 0 && { interfaces: interfaces.map((name) => name.replace(/^\^|\$$/g, '')) }),
      ...(spec.nodeSelector !== undefined && { nodeSelectors: [spec.nodeSelector] }),
      ...(selectors !== undefined && { serviceSelectors: [selectors] }),
    }),
  ];
}
