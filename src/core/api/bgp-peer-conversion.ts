/**
 * BGPPeer between its two versions (docs/behaviour/resources.md#conversion): what the conversion webhook answers.
 * @module
 */
import { isObject } from './json.ts';
import type { KubernetesObject, LabelSelector } from './kubernetes.ts';

export const BGP_PEER_VERSIONS = { old: 'metallb.io/v1beta1', current: 'metallb.io/v1beta2' } as const;

/** The fields of both versions; whatever else v1beta2 has is lost on the way to v1beta1, as in upstream. */
interface CommonSpec {
  readonly myASN?: number;
  readonly peerASN?: number;
  readonly peerAddress?: string;
  readonly sourceAddress?: string;
  readonly peerPort?: number;
  readonly holdTime?: string;
  readonly keepaliveTime?: string;
  readonly routerID?: string;
  readonly password?: string;
  readonly bfdProfile?: string;
  readonly ebgpMultiHop?: boolean;
  readonly nodeSelectors?: readonly LabelSelector[];
}

type BgpPeer = KubernetesObject & { readonly spec?: CommonSpec };

/** The same BGPPeer in the version asked for; undefined when there is no such version. Other kinds are not its business. */
export function convertBgpPeer(peer: KubernetesObject, apiVersion: string): KubernetesObject | undefined {
  if (peer.apiVersion === apiVersion) return peer;
  if (apiVersion !== BGP_PEER_VERSIONS.old && apiVersion !== BGP_PEER_VERSIONS.current) return undefined;
  const { spec, ...rest } = peer as BgpPeer;
  // What the schema of no version allows is for the API server to refuse.
  if (!isObject(spec)) return { ...peer, apiVersion };
  const toSelector = apiVersion === BGP_PEER_VERSIONS.old ? toOldSelector : toCurrentSelector;
  const { myASN, peerASN, peerAddress, sourceAddress, peerPort, routerID, password, bfdProfile, ebgpMultiHop } = spec;
  const converted = {
    ...present({ myASN, peerASN, peerAddress, sourceAddress, routerID, password, bfdProfile, ebgpMultiHop }),
    // Zero is how v1beta1 says nothing; the default of v1beta2 fills it in.
    ...(peerPort !== undefined && peerPort !== 0 && { peerPort }),
    // v1beta1 cannot say that a timer is not set: it becomes an explicit zero.
    holdTime: spec.holdTime ?? '0s',
    keepaliveTime: spec.keepaliveTime ?? '0s',
    ...(Array.isArray(spec.nodeSelectors) && { nodeSelectors: spec.nodeSelectors.filter(isObject).map(toSelector) }),
  };
  const result = { ...rest, apiVersion, spec: converted };
  return result;
}

function present(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function toOldSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): LabelSelector {
  return { matchLabels, matchExpressions };
}

function toCurrentSelector({ matchLabels, matchExpressions }: LabelSelector): LabelSelector {
  return {
    ...(Object.keys(matchLabels ?? {}).length > 0 && { matchLabels }),
    ...((matchExpressions ?? []).length > 0 && { matchExpressions }),
  } as LabelSelector;
}
