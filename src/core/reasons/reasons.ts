/**
 * The catalogue of reasons: every Event that we emit, and the text of every verdict. Status, Events, logs and the
 * command line all take their texts from here.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { NodeVerdict } from '../election/election.ts';
import type { ClaimRefusal, PoolCheck, PoolVerdict, ShareFault } from '../ipam/request.ts';
import { formatAddress } from '../net/address.ts';

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
  /** Ours: on a configuration object that was set aside. */
  InvalidConfiguration: 'Warning',
  /** Ours: on the ConfigMap of --config-map. */
  ConfigurationConverted: 'Normal',
} as const;

export type EventReason = keyof typeof EVENT_TYPES;

/** What an Event says, without its object and time. */
export interface EventNote {
  readonly reason: EventReason;
  readonly message: string;
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

const POOL_VERDICTS: Readonly<Record<PoolVerdict, string>> = {
  chosen: 'gave the address',
  usable: 'could give an address',
  outranked: 'could give an address, but another pool comes first',
  'not-asked-for': 'is not the pool that the annotation address-pool requests',
  outside: 'does not contain the requested address',
  exhausted: 'is exhausted',
  'wrong-family': 'has no addresses of the needed IP family',
  'auto-assign-off': 'has autoAssign off',
  'not-selected': 'is reserved for other namespaces or Services (serviceAllocation)',
  'no-such-pool': 'does not exist',
  'set-aside': 'is invalid and set aside; see its events',
  'port-clash': 'has no other address left',
};

/** The cure for each verdict that denies an address. Only the first that applies is shown. */
const CURES: readonly (readonly [PoolVerdict, string])[] = [
  ['no-such-pool', 'create the IPAddressPool, or correct the address-pool annotation'],
  ['set-aside', 'fix the IPAddressPool; kubectl describe shows what is wrong'],
  ['port-clash', 'use another port, another sharing key, or add addresses to a pool'],
  ['exhausted', 'add addresses to a pool, or delete a Service that holds one'],
  ['wrong-family', 'add addresses of that family to a pool, or change ipFamilies of the Service'],
  ['not-selected', 'change serviceAllocation of a pool, or the namespace or labels of the Service'],
  ['auto-assign-off', 'request the pool with the annotation metallb.io/address-pool, or set autoAssign'],
];

/** Why a Service has no address, in one word: the label `reason` of metrics. */
export type UnservedReason =
  | PoolVerdict
  | ClaimRefusal['kind']
  | 'no-pool'
  | 'bad-request'
  | 'cluster-ips'
  | 'not-enough-cluster-ips';

/** Of the verdicts of all pools, the one that the cure is for. */
export function mainVerdict(checks: readonly PoolCheck[]): UnservedReason {
  return CURES.find(([verdict]) => checks.some((check) => check.verdict === verdict))?.[0] ?? 'no-pool';
}

/** One sentence for a Service that got no address: each pool with its verdict, then the cure. */
export function describeRefusals(checks: readonly PoolCheck[]): string {
  if (checks.length === 0) return 'there is no IPAddressPool; create one';
  const verdicts = checks.map(describeCheck);
  const cure = CURES.find(([verdict]) => checks.some((check) => check.verdict === verdict))?.[1];
  return `${verdicts.join(', ')}${cure === undefined ? '' : `; ${cure}`}`;
}

/** One pool with its verdict, and what is in the way. */
export function describeCheck({ pool, verdict, clash }: PoolCheck): string {
  const text = `pool "${pool}" ${POOL_VERDICTS[verdict]}`;
  return clash === undefined ? text : `${text}: ${describeShareFault(clash)}`;
}

function describeShareFault(fault: ShareFault): string {
  const address = formatAddress(fault.address);
  switch (fault.kind) {
    case 'in-use':
      return `address ${address} is in use by Service ${fault.holder}`;
    case 'other-key':
      return `address ${address} is in use by Service ${fault.holder} under the sharing key "${fault.theirs}"`;
    case 'other-endpoints':
      return `address ${address} is shared under key "${fault.key}" with Service ${fault.holder}, which has other endpoints (externalTrafficPolicy Local needs the same selector)`;
    case 'port-clash':
      return `port ${fault.port} of address ${address} is held by Service ${fault.holder} under key "${fault.key}"`;
  }
}

/** Why a requested or current address cannot be assigned. */
export function describeRefusal(refusal: ClaimRefusal): string {
  switch (refusal.kind) {
    case 'not-in-a-pool':
      return `address ${formatAddress(refusal.address)} is in no IPAddressPool; add it to one, or request another address`;
    case 'buggy':
      return `address ${formatAddress(refusal.address)} ends in .0 or .255, which pool "${refusal.pool}" avoids (avoidBuggyIPs); request another address`;
    case 'not-selected':
      return `pool "${refusal.pool}" is reserved for other namespaces or Services (serviceAllocation)`;
    case 'other-pool':
      return `the address is from pool "${refusal.pool}", but the annotation address-pool requests pool "${refusal.asked}"`;
    case 'different-pools':
      return `the addresses are from different pools (${refusal.pools.join(', ')}); request addresses from one pool`;
    case 'in-use':
    case 'other-key':
      return `${describeShareFault(refusal)}; request another address, or release it there`;
    case 'other-endpoints':
    case 'port-clash':
      return `${describeShareFault(refusal)}; use another port or another address`;
  }
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
  drained: 'is being drained; it announces only what no other node can',
  unsteady: 'its speaker is unstable, or other speakers do not hear it; it announces only what no other node can',
  'no-link': 'none of the interfaces that it may announce on is up there',
  fenced: NODE_FENCED,
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
