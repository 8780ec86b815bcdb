/**
 * Every annotation that we read or write: on which kind, and which process reads it.
 * @module
 */
import { GROUP } from './kind.ts';

export const ANNOTATION_PREFIX = `${GROUP}/`;
/** Prefix of MetalLB's annotations on Services before 0.13; still read, never written. */
export const OLD_PREFIX = 'metallb.universe.tf/';

/** By name without the prefix. Those on Services are upstream's; the others are ours, so that the CRDs stay as they are. */
export const ANNOTATIONS = {
  'address-pool': { on: 'Service', readBy: ['controller'] },
  loadBalancerIPs: { on: 'Service', readBy: ['controller'] },
  'allow-shared-ip': { on: 'Service', readBy: ['controller', 'speaker'] },
  /** Written by the controller: the pool that owns the addresses of the Service. */
  'ip-allocated-from-pool': { on: 'Service', readBy: ['controller'], writtenByUs: true },
  /** With any value but `false` the speaker of the node hands over what other nodes can announce. */
  drain: { on: 'Node', readBy: ['speaker'] },
  /** Takes the place of spec.peerAddress. */
  'peer-address-from': { on: 'BGPPeer', readBy: ['controller', 'speaker'] },
  passive: { on: 'BGPPeer', readBy: ['speaker'] },
  'delay-open': { on: 'BGPPeer', readBy: ['speaker'] },
  'ttl-security-hops': { on: 'BGPPeer', readBy: ['speaker'] },
  'as-path-prepend': { on: 'BGPAdvertisement', readBy: ['speaker'] },
  med: { on: 'BGPAdvertisement', readBy: ['speaker'] },
  'link-bandwidth': { on: 'BGPAdvertisement', readBy: ['speaker'] },
} as const satisfies Readonly<Record<string, Annotation>>;

export type AnnotatedKind = 'Service' | 'Node' | 'BGPPeer' | 'BGPAdvertisement';

interface Annotation {
  readonly on: AnnotatedKind;
  readonly readBy: readonly ('controller' | 'speaker')[];
  /** It is no request of users. */
  readonly writtenByUs?: true;
}

type AnnotationName = keyof typeof ANNOTATIONS;

/** Names of the annotations on objects of a kind. */
export type AnnotationOn<K extends AnnotatedKind> = {
  [N in AnnotationName]: (typeof ANNOTATIONS)[N]['on'] extends K ? N : never;
}[AnnotationName];

/** The annotation as it stands on the object. */
export function annotation<N extends AnnotationName>(name: N): `${typeof ANNOTATION_PREFIX}${N}` {
  return `${ANNOTATION_PREFIX}${name}`;
}

export const POOL_ANNOTATION = annotation('ip-allocated-from-pool');
