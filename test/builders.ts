/**
 * Objects for tests: only what matters is said, the rest is filled in.
 * @module
 */
import type { EndpointSlice, KubernetesObject, Node, Pod, Service } from '../src/core/api/kubernetes.ts';
import { SERVICE_NAME_LABEL } from '../src/core/api/kubernetes.ts';
import type { Route } from '../src/core/bgp/rib/route.ts';
import type { SessionSettings } from '../src/core/bgp/session/negotiation.ts';
import type { L2Advertisement, Peer } from '../src/core/config/config.ts';
import type { Candidate } from '../src/core/election/election.ts';
import { parseAddress } from '../src/core/net/address.ts';
import { parsePrefix } from '../src/core/net/prefix.ts';

type Metadata = Partial<KubernetesObject['metadata']>;

let counter = 0;

function metadata(name: string, namespace: string | undefined, more: Metadata = {}): KubernetesObject['metadata'] {
  counter++;
  const base = {
    name,
    uid: `uid-${counter}`,
    resourceVersion: String(counter),
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return { ...base, ...(namespace !== undefined && { namespace }), ...more };
}

export function pool(
  name: string,
  addresses: readonly string[],
  spec: object = {},
  meta: Metadata = {},
): KubernetesObject {
  const object = { metadata: metadata(name, 'metallb-system', meta), spec: { addresses, ...spec } };
  return object;
}

/** The object with these annotations, and none besides. */
export function annotated(object: KubernetesObject, annotations: Readonly<Record<string, string>>): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** A configuration object of any other kind. */
export function configured(name: string, spec: object = {}, meta: Metadata = {}): KubernetesObject {
  const object = { metadata: metadata(name, 'metallb-system', meta), spec };
  return object;
}

/** Announces every pool, at layer 2. */
export const LAN: KubernetesObject = configured('lan');

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): KubernetesObject {
  return { metadata: metadata(name, undefined, { labels }) };
}

export function service(
  name: string,
  spec: object = {},
  meta: Metadata = {},
  addresses: readonly string[] = [],
): Service {
  return {
    metadata: metadata(name, meta.namespace ?? 'default', meta),
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: addresses.length === 0 ? {} : { ingress: addresses.map((ip) => ({ ip })) } },
  };
}

export function endpoints(
  serviceName: string,
  ...nodes: readonly (string | { node?: string; ready?: boolean; serving?: boolean })[]
): EndpointSlice {
  return {
    metadata: metadata(`${serviceName}-slice`, 'default', { labels: { [SERVICE_NAME_LABEL]: serviceName } }),
    addressType: 'IPv4',
    endpoints: nodes.map((given) => {
      const { node, ...conditions } = typeof given === 'string' ? { node: given, ready: true } : given;
      return { addresses: ['10.244.0.1'], conditions, ...(node !== undefined && { nodeName: node }) };
    }),
  };
}

export function node(name: string, labels: Readonly<Record<string, string>> = {}): Node {
  return {
    metadata: metadata(name, undefined, { labels }),
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

export function speakerPod(nodeName: string, podIP = '192.0.2.1'): Pod {
  return {
    metadata: metadata(`speaker-${nodeName}`, 'metallb-system'),
    spec: { nodeName },
    status: { podIP, phase: 'Running' },
  };
}

/** A node as the election sees it, fit for everything. */
export function candidate(name: string, more: Partial<Candidate> = {}): Candidate {
  const fit = {
    speaker: 'alive' as const,
    drained: false,
    unheard: false,
    networkUnavailable: false,
  };
  return { name, labels: {}, links: undefined, ...fit, ...more };
}

/** An L2Advertisement of the pool `p` as the configuration has it, for everybody. */
export function l2Advertisement(more: Partial<L2Advertisement> = {}): L2Advertisement {
  const everything = { nodeSelectors: [], serviceSelectors: [], interfaces: [], preferences: [] };
  return { name: 'l2', pools: new Set(['p']), ...everything, ...more };
}

/** A route to one prefix, of no attributes but those that are given. */
export function bgpRoute(prefix: string, more: Partial<Route> = {}): Route {
  return { prefix: parsePrefix(prefix)!, localPref: 0, communities: [], largeCommunities: [], ...more };
}

/** What an external session of IPv4 is to be like, with its defaults. */
export const SESSION_SETTINGS: SessionSettings = {
  asn: 64500,
  localAsn: 64500,
  peerAsn: 64501,
  holdTime: 90_000,
  keepaliveTime: undefined,
  connectTime: undefined,
  families: ['ipv4'],
  gracefulRestart: false,
  passive: false,
  delayOpen: 0,
};

/** A BGPPeer as the configuration has it, with its defaults. */
export function bgpPeer(name: string, address: string, more: Partial<Peer> = {}): Peer {
  return {
    name,
    myASN: 64500,
    peerASN: 64501,
    target: { kind: 'address', address: parseAddress(address)! },
    port: 179,
    nodeSelectors: [],
    gracefulRestart: false,
    ebgpMultiHop: false,
    vrf: '',
    dualStack: false,
    disableMP: false,
    passive: false,
    delayOpen: 0,
    ttlSecurityHops: undefined,
    ...more,
  };
}
