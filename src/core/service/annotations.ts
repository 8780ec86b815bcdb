/**
 * The annotations that users put on Services, under the present and the old prefix (docs/behaviour/allocation.md#annotations).
 * @module
 */
import type { Service } from '../api/kubernetes.ts';

export const ANNOTATION_PREFIX = 'metallb.io/';
const PREFIX = ANNOTATION_PREFIX;
/** Prefix of releases before 0.13; still read, never written. */
export const OLD_PREFIX = 'metallb.universe.tf/';

/** Written by the controller: the pool that owns the Service's addresses. */
export const POOL_ANNOTATION = `${PREFIX}ip-allocated-from-pool`;

type UserAnnotation = 'address-pool' | 'loadBalancerIPs' | 'allow-shared-ip';

/** The value under the present prefix, else under the old one; presence decides, so an empty new value hides an old one. */
export function userAnnotation(service: Service, name: UserAnnotation): string | undefined {
  const annotations = service.metadata.annotations ?? {};
  return annotations[PREFIX + name] ?? annotations[OLD_PREFIX + name];
}

/** Which key of the two the user wrote, to be named in messages. */
export function annotationKey(service: Service, name: UserAnnotation): string {
  return PREFIX + name in (service.metadata.annotations ?? {}) ? PREFIX + name : OLD_PREFIX + name;
}

/** On a Node, ours: with any value but `false`, its speaker hands over what other nodes can announce. */
export const DRAIN_ANNOTATION = 'metallb.io/drain';
