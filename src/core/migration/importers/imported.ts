/**
 * What an importer makes of the configuration of another load balancer.
 * @module
 */

export interface Imported {
  readonly objects: readonly ImportedObject[];
  /** What was not carried over, or not as it was, and what to do about it. */
  readonly notes: readonly string[];
}

export interface ImportedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

export const POOLS = 'metallb.io/v1beta1';

/** An IPAddressPool. */
export function pool(name: string, namespace: string, spec: ImportedObject['spec']): ImportedObject {
  return { apiVersion: POOLS, kind: 'IPAddressPool', metadata: { name, namespace }, spec };
}

/** An L2Advertisement for all pools of the import, where their owner announces by ARP and NDP. */
export function l2Advertisement(name: string, namespace: string, spec: ImportedObject['spec']): ImportedObject {
  return { apiVersion: POOLS, kind: 'L2Advertisement', metadata: { name, namespace }, spec };
}

/** A name as Kubernetes takes it (RFC 1123). */
export function objectName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
}
