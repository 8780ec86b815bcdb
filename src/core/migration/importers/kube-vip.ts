/**
 * kube-vip: the ConfigMap of its cloud provider (`kube-system/kubevip`), with the keys `cidr-NAMESPACE` and `range-NAMESPACE`; `global` is for all.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import { type Imported, type ImportedObject, l2Advertisement, objectName, pool } from './imported.ts';

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** Placeholders that ask for an address from DHCP. */
const DHCP = /^(0\.0\.0\.0(\/32)?|0\.0\.0\.0-0\.0\.0\.0)$/;

export function importKubeVip(objects: readonly KubernetesObject[], namespace: string): Imported {
  const found: ImportedObject[] = [];
  const notes: string[] = [];
  for (const { kind, metadata, data = {} } of objects as readonly ConfigMap[]) {
    if (kind !== 'ConfigMap' || metadata.name !== 'kubevip') continue;
    const scopes = new Map<string, string[]>();
    for (const [key, value] of Object.entries(data)) {
      const [, form, scope] = /^(cidr|range)-(.+)$/.exec(key) ?? [];
      if (form === undefined || scope === undefined) {
        notes.push(...other(key, value));
        continue;
      }
      const entries = value.split(/[\s,]+/).filter((entry) => entry !== '');
      const fixed = entries.filter((entry) => !DHCP.test(entry));
      if (fixed.length < entries.length)
        notes.push(
          `${key}: addresses from DHCP are not supported; give the namespace a range that your DHCP server does not use`,
        );
      scopes.set(scope, [...(scopes.get(scope) ?? []), ...fixed]);
    }
    for (const [scope, addresses] of scopes) {
      if (addresses.length === 0) continue;
      const own = scope === 'global' ? {} : { serviceAllocation: { priority: 1, namespaces: [scope] } };
      found.push(pool(objectName(`kube-vip-${scope}`), namespace, { addresses, ...own }));
    }
  }
  if (found.length > 0) found.push(l2Advertisement('kube-vip', namespace, pools(found)));
  notes.push(
    'kube-vip uses the global range only for namespaces without a range of their own; here a Service falls back to the global pool when the pool of its namespace is exhausted',
  );
  return { objects: found, notes: found.length === 0 ? [] : notes };
}

function pools(objects: readonly ImportedObject[]) {
  return { ipAddressPools: objects.map(({ metadata }) => metadata.name) };
}

function other(key: string, value: string): string[] {
  if (key.startsWith('interface-'))
    return [
      `${key}: ${value}: the interface for the Services of one namespace; create an L2Advertisement with spec.interfaces: [${value}] for its pool`,
    ];
  if (key === 'skip-end-ips-in-cidr' && value === 'true')
    return [
      'skip-end-ips-in-cidr: kube-vip leaves out the first and last address of each CIDR; set spec.avoidBuggyIPs, which leaves out those that end in .0 and .255',
    ];
  if (key === 'search-order' && value === 'desc')
    return [
      'search-order: desc: here addresses are taken from the start of a pool; Services that already have one keep it',
    ];
  if (key.startsWith('allow-share-'))
    return [
      `${key}: here Services share an address if they have the annotation metallb.io/allow-shared-ip with the same value`,
    ];
  return [`${key}: this setting has no equivalent here`];
}
