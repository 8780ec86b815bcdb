/**
 * What a speaker says of itself in objects: ServiceL2Status and ServiceBGPStatus, one for each Service that this node announces, and
 * BGPSessionStatus, one for each router (docs/behaviour/status.md).
 * @module
 */
import type { BGPSessionStatus } from '../api/kinds.ts';
import type { Sha256 } from '../election/election.ts';
import type { Desired, Labels } from '../kubernetes/writer/messages.ts';
import { claimConditions, type OtherClaims } from '../reasons/conditions.ts';

/** How a Service is announced at layer 2. */
export interface AnnouncedOn extends OtherClaims {
  /** Empty: on all. */
  readonly interfaces: readonly string[];
  /** Another node announces one of its addresses. */
  readonly isPartial: boolean;
}

/** What the kinds differ in. */
export interface StatusKind<T> {
  readonly kind: string;
  readonly resource: 'servicel2statuses' | 'servicebgpstatuses' | 'bgpsessionstatuses';
  /** What the object is about, for those who look for it. */
  readonly labelsOf: (key: string) => Labels;
  /** Of names, as upstream generates them. */
  readonly prefix: string;
  readonly fieldManager: string;
  /** No other node announces it: the objects of others are of the past. */
  readonly isSole: (told: T) => boolean;
  /** `now` is RFC 3339 text. */
  readonly statusOf: (told: T, key: string, now: string) => object;
}

/** The label that tells a node's objects from those of the others. */
const NODE = 'metallb.io/node';
/** Characters that the value of a label may have. */
const LONGEST_LABEL = 63;

export const L2_STATUS: StatusKind<AnnouncedOn> = {
  kind: 'ServiceL2Status',
  resource: 'servicel2statuses',
  labelsOf: serviceLabels,
  prefix: 'l2-',
  fieldManager: 'metallb-speaker-l2',
  isSole: ({ isPartial }) => !isPartial,
  statusOf: ({ interfaces, isPartial: _, ...claims }, key, now) => ({
    ...serviceOf(key),
    interfaces: interfaces.map((name) => ({ name })),
    conditions: claimConditions(claims, now),
  }),
};

/** Names of the BGPPeers that are told of the Service. */
export const BGP_STATUS: StatusKind<readonly string[]> = {
  kind: 'ServiceBGPStatus',
  resource: 'servicebgpstatuses',
  labelsOf: serviceLabels,
  prefix: 'bgp-',
  fieldManager: 'metallb-speaker-bgp',
  isSole: () => false,
  statusOf: (peers, key) => ({ ...serviceOf(key), peers }),
};

/** By the name of the BGPPeer. Clusters with upstream's CRDs do not have the kind. */
export const SESSION_STATUS: StatusKind<Omit<BGPSessionStatus, 'node' | 'peer'>> = {
  kind: 'BGPSessionStatus',
  resource: 'bgpsessionstatuses',
  labelsOf: (key) => ({ 'metallb.io/bgp-peer': key.slice(0, LONGEST_LABEL).replace(/[^a-z0-9]+$/, '') }),
  prefix: 'session-',
  fieldManager: 'metallb-speaker-bgp',
  isSole: () => false,
  statusOf: (session, peer) => ({ peer, ...session }),
};

/** What all status objects of a node carry. */
export function nodeLabels(node: string): Labels {
  return { [NODE]: node };
}

/** Upstream's names are generated with the same prefix; ours cannot come twice. */
export function statusName(
  { prefix }: Pick<StatusKind<never>, 'prefix'>,
  node: string,
  key: string,
  sha256: Sha256,
): string {
  const hex = Array.from(sha256(`${node} ${key}`), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${prefix}${hex.slice(0, 10)}`;
}

/** The object that says it. `key` is the Service's `namespace/name`, or the name of the BGPPeer; `now` is RFC 3339 text. */
export function statusObject<T>(
  flavour: StatusKind<T>,
  node: string,
  key: string,
  told: T,
  now: string,
  sha256: Sha256,
): Desired {
  const { kind, resource, labelsOf, isSole, statusOf } = flavour;
  const about = labelsOf(key);
  return {
    resource,
    object: {
      apiVersion: 'metallb.io/v1beta1',
      kind,
      metadata: { name: statusName(flavour, node, key, sha256), labels: { ...nodeLabels(node), ...about } },
      status: { node, ...statusOf(told, key, now) },
    },
    ...(isSole(told) && { supersedes: about }),
  };
}

/** The key of a Service is `namespace/name`. */
function serviceOf(key: string): { serviceName: string; serviceNamespace: string } {
  const [serviceNamespace = '', serviceName = ''] = key.split('/');
  return { serviceName, serviceNamespace };
}

function serviceLabels(key: string): Labels {
  const { serviceName, serviceNamespace } = serviceOf(key);
  return { 'metallb.io/service-name': serviceName, 'metallb.io/service-namespace': serviceNamespace };
}
