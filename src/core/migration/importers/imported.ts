/**
 * The result of importing the configuration of another load balancer.
 * @module
 */

export interface Imported {
  readonly objects: readonly ImportedObject[];
  /** What could not be carried over as it was, and what to do about it. */
  readonly notes: readonly string[];
}

export interface ImportedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const API_VERSION = 'metallb.io/v1beta1';

/** An IPAddressPool. */
export function pool(name: string, namespace: string, spec: ImportedObject['spec']): ImportedObject {
  return { apiVersion: API_VERSION, kind: 'IPAddressPool', metadata: { name, namespace }, spec };
}

/** An L2Advertisement. */
export function l2Advertisement(name: string, namespace: string, spec: ImportedObject['spec']): ImportedObject {
  return { apiVersion: API_VERSION, kind: 'L2Advertisement', metadata: { name, namespace }, spec };
}

/** The text as a valid object name (RFC 1123 subdomain). */
export function objectName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
}
