/**
 * The catalogue of reasons: every Event that we emit, and the text of every verdict. Status, Events, logs and the
 * command line all take their texts from here.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { NodeVerdict } from '../election/election.ts';

/** Event reasons with their type (docs/behaviour/events.md; those marked "ours" are new). */
export const EVENT_TYPES = {
  IPAllocated: 'Normal',
  ClearAssignment: 'Normal',
  AdditionalAssignFailed: 'Normal',
  AllocationFailed: 'Warning',
  LoadBalancerFailed: 'Warning',
  'not enough clusterips': 'Warning',
  noclusterIPsIPFamily: 'Warning',
  nolbIPsIPFamily: 'Warning',
  deprecatedAnnotation: 'Warning',
  /** Ours: an annotation, or a label, that was meant for us and that we do not know. */
  unknownAnnotation: 'Warning',
  nodeAssigned: 'Normal',
  announceFailed: 'Warning',
  /** Ours: the Service has an address, and the configuration has nobody announce it. */
  notAdvertised: 'Warning',
  /** Ours: the Service has an address that is a node's, or of one of the cluster's networks. */
  foreignAddress: 'Warning',
  /** Ours: another station claims an address that this node owns. */
  duplicateAddress: 'Warning',
  /** Ours: two speakers take an address for their own, and one of them is silent. */
  addressDisputed: 'Warning',
  /** Ours: on a configuration object that was set aside. */
  InvalidConfiguration: 'Warning',
  /** Ours: on the ConfigMap of --config-map. */
  ConfigurationConverted: 'Normal',
} as const;

export type EventReason = keyof typeof EVENT_TYPES;

/** What an Event says, without its object and time. */
export interface EventNote extends Said {
  readonly reason: EventReason;
}

/** A text about an object. */
export interface Said {
  /** For everybody who may read the object. */
  readonly message: string;
  /** For whoever may read everything: the same with the names that the message leaves out, if it leaves out any. */
  readonly detail?: string;
}

/** Who reads a text: those of one namespace, or somebody who may read everything. */
export type Reader = { readonly namespace: string } | 'operator';

/** A text, as it is for each reader. */
export type Words = (reader: Reader) => string;

/** An Event on an object of the namespace. */
export function noted(reason: EventReason, namespace: string, words: Words): EventNote {
  return { reason, ...said(namespace, words) };
}

/** What is said of an object of the namespace. */
export function said(namespace: string, words: Words): Said {
  const [message, detail] = [words({ namespace }), words('operator')];
  return { message, ...(detail !== message && { detail }) };
}

/** The text for each reader again. */
export function wordsOf({ message, detail = message }: Said): Words {
  return (reader) => (reader === 'operator' ? detail : message);
}

/** The reference to an object in an Event (involvedObject). */
export interface EventTarget {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
}

/** The reference by which Events name the object. */
export function eventTarget(apiVersion: string, kind: string, object: KubernetesObject): EventTarget {
  const { namespace = '', name, uid } = object.metadata;
  return uid === undefined ? { apiVersion, kind, namespace, name } : { apiVersion, kind, namespace, name, uid };
}

const NODE_FENCED = 'is on the smaller side of a partition (--partition-mode=fenced)';
const NODE_EXCLUDED = 'the node has the label node.kubernetes.io/exclude-from-external-load-balancers';

/** The outcome of the BGP checks, in the order in which they are made. */
export type BgpVerdict =
  | 'announced'
  | 'drained'
  | 'fenced'
  | 'not-selected'
  | 'no-advertisement'
  | 'conflicting-advertisements'
  | 'network-unavailable'
  | 'excluded-by-label'
  | 'no-local-endpoint'
  | 'no-endpoints';

/** What a node does with a Service by BGP, for people. */
export const BGP_VERDICTS: Readonly<Record<BgpVerdict, string>> = {
  announced: 'announces it to routers',
  drained: 'the node is drained: routers use other nodes, and its routes are withdrawn after --drain-wait',
  fenced: NODE_FENCED,
  'not-selected': 'no BGPAdvertisement of the pool selects the node',
  'no-advertisement': 'no BGPAdvertisement of the pool that selects the node covers the Service',
  'conflicting-advertisements':
    'BGPAdvertisements give the same route of the Service different localPref; make them agree',
  'network-unavailable': 'the node has the condition NetworkUnavailable',
  'excluded-by-label': NODE_EXCLUDED,
  'no-local-endpoint': 'externalTrafficPolicy is Local and no endpoint on the node can serve',
  'no-endpoints': 'no endpoint of the Service can serve',
};

/** Verdicts of the layer 2 election, for people. */
export const NODE_VERDICTS: Readonly<Record<NodeVerdict, string>> = {
  owner: 'announces the address',
  'lost-election': 'could announce it; another node comes first',
  'serves-fewer': 'could announce it, but another node can serve more of the Services that share the address',
  drained: 'is being drained; it announces only what no other node can',
  unsteady: 'its speaker is unstable, or other speakers do not hear it; it announces only what no other node can',
  'no-link': 'none of the interfaces that it may announce on is up there',
  fenced: NODE_FENCED,
  'address-of-node': 'the address is another node’s own, which answers for it; take it out of the pool',
  'no-endpoints': 'no endpoint of the Service can serve',
  'shared-with-selectors': 'the Service shares its address, and the L2Advertisement has serviceSelectors',
  'no-advertisement': 'no L2Advertisement covers the pool and the Service',
  'not-selected': 'no L2Advertisement selects the node',
  'speaker-not-alive': 'its speaker does not answer',
  'speaker-passive': 'its speaker is starting, or has been stopped',
  'network-unavailable': 'the node has the condition NetworkUnavailable',
  'excluded-by-label': NODE_EXCLUDED,
  'no-local-endpoint': 'externalTrafficPolicy is Local and no endpoint on the node can serve',
};
