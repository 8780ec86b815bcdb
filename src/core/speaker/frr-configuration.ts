/**
 * What an FRR that others share is to do for this node: the FRRConfiguration of frr-k8s (docs/behaviour/bgp.md#frr-k8s).
 * @module
 */
import { annotation } from '../api/annotations.ts';
import type { Route } from '../bgp/rib/route.ts';
import type { BfdProfile, Peer } from '../config/config.ts';
import type { Desired } from '../kubernetes/writer/messages.ts';
import type { Millis } from '../machine.ts';
import { formatAddress } from '../net/address.ts';
import { formatPrefix } from '../net/prefix.ts';

/** How passwords reach FRR. */
export interface FrrSecrets {
  /** True: as references to Secrets, which FRR reads itself; false: in clear text. */
  readonly byReference: boolean;
  /** From base64 to text. */
  readonly decode: (base64: string) => string;
}

/** A router, and all that it is to hold. */
export interface FrrPeer {
  readonly peer: Peer;
  readonly routes: readonly Route[];
}

export interface FrrConfiguration {
  readonly nodeSelector: object;
  readonly bgp: { readonly routers: readonly object[]; readonly bfdProfiles: readonly object[] };
}

/** Well-known community GRACEFUL_SHUTDOWN (RFC 8326). */
const GRACEFUL_SHUTDOWN = '65535:0';

export function frrConfiguration(
  node: string,
  plans: readonly FrrPeer[],
  profiles: readonly BfdProfile[],
  secrets: FrrSecrets,
): FrrConfiguration {
  const instances = new Map<string, FrrPeer[]>();
  for (const plan of plans) {
    if (!hasPlace(plan.peer)) continue;
    const key = JSON.stringify([plan.peer.vrf, plan.peer.myASN, routerIdOf(plan.peer)]);
    const instance = instances.get(key);
    if (instance === undefined) instances.set(key, [plan]);
    else instance.push(plan);
  }
  const routers = [...instances].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, members]) => routerOf(members, secrets));
  const bfdProfiles = [...profiles].sort((a, b) => (a.name < b.name ? -1 : 1)).map((profile) => ({ ...profile }));
  return { nodeSelector: { matchLabels: { 'kubernetes.io/hostname': node } }, bgp: { routers, bfdProfiles } };
}

/** Upstream's name of a node's FRRConfiguration. */
export function frrName(node: string): string {
  return `metallb-${node}`;
}

/** The object of this node that frr-k8s reads. */
export function frrObject(node: string, spec: FrrConfiguration): Desired {
  return {
    resource: 'frrconfigurations',
    object: {
      apiVersion: 'frrk8s.metallb.io/v1beta1',
      kind: 'FRRConfiguration',
      metadata: { name: frrName(node) },
      spec,
    },
  };
}

function hasPlace({ target }: Peer): boolean {
  return target.kind === 'address' || target.kind === 'interface';
}

function routerIdOf({ routerId }: Peer): string {
  return routerId === undefined ? '' : formatAddress(routerId);
}

function routerOf(plans: readonly FrrPeer[], secrets: FrrSecrets): object {
  const { peer } = plans[0]!;
  const id = routerIdOf(peer);
  const neighbors = plans.map((plan) => neighborOf(plan, secrets));
  const prefixes = unique(plans.flatMap((plan) => sendable(plan).map(({ prefix }) => formatPrefix(prefix))));
  return { asn: peer.myASN, ...(id !== '' && { id }), ...(peer.vrf !== '' && { vrf: peer.vrf }), neighbors, prefixes };
}

/** Without both families on one session, only routes of the family of the router's address go there. */
function sendable({ peer: { target, dualStack }, routes }: FrrPeer): readonly Route[] {
  if (dualStack || target.kind !== 'address') return routes;
  return routes.filter(({ prefix }) => prefix.family === target.address.family);
}

function neighborOf(plan: FrrPeer, secrets: FrrSecrets): object {
  const { peer } = plan;
  const { target, peerASN, port, holdTime, keepaliveTime, connectTime, bfdProfile } = peer;
  const routes = sendable(plan);
  return {
    ...(target.kind === 'address' ? { address: formatAddress(target.address) } : {}),
    ...(target.kind === 'interface' ? { interface: target.name } : {}),
    ...(typeof peerASN === 'number' ? { asn: peerASN } : { dynamicASN: peerASN }),
    port,
    ...(holdTime !== undefined && { holdTime: seconds(holdTime) }),
    ...(keepaliveTime !== undefined && { keepaliveTime: seconds(keepaliveTime) }),
    ...(connectTime !== undefined && { connectTime: seconds(connectTime) }),
    ...(bfdProfile !== undefined && { bfdProfile }),
    ...(peer.gracefulRestart && { enableGracefulRestart: true }),
    ...(peer.ebgpMultiHop && { ebgpMultiHop: true }),
    ...(peer.dualStack && { dualStackAddressFamily: true }),
    ...(peer.disableMP && { disableMP: true }),
    ...passwordOf(peer, secrets),
    toAdvertise: {
      allowed: { prefixes: unique(routes.map(({ prefix }) => formatPrefix(prefix))) },
      withCommunity: grouped(routes, communitiesOf).map(([community, prefixes]) => ({ community, prefixes })),
      withLocalPref: grouped(routes, ({ localPref }) => (localPref === 0 ? [] : [String(localPref)])).map(
        ([localPref, prefixes]) => ({ localPref: Number(localPref), prefixes }),
      ),
    },
  };
}

/** Durations in the words of Kubernetes. */
function seconds(time: Millis): string {
  return `${Math.trunc(time / 1000)}s`;
}

function passwordOf({ password, passwordSecret }: Peer, { byReference, decode }: FrrSecrets): object {
  if (passwordSecret !== undefined && byReference) return { passwordSecret };
  if (password === undefined) return {};
  return { password: password.encoding === 'utf8' ? password.text : decode(password.text) };
}

function communitiesOf({ communities, largeCommunities, gracefulShutdown = false }: Route): string[] {
  return [
    ...communities.map((parts) => parts.join(':')),
    ...largeCommunities.map((parts) => `large:${parts.join(':')}`),
    ...(gracefulShutdown ? [GRACEFUL_SHUTDOWN] : []),
  ];
}

function grouped(routes: readonly Route[], keysOf: (route: Route) => readonly string[]): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const route of routes)
    for (const key of keysOf(route)) groups.set(key, [...(groups.get(key) ?? []), formatPrefix(route.prefix)]);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, prefixes]): [string, string[]] => [key, unique(prefixes)]);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

/** What of the peer FRR is not told, and would do otherwise; empty: nothing. */
export function lostWithFrr({ peer, routes }: FrrPeer): string[] {
  const lost = [
    peer.sourceAddress !== undefined && 'spec.sourceAddress',
    peer.localASN !== undefined && 'spec.localASN',
    peer.passive && `the annotation ${annotation('passive')}`,
    peer.ttlSecurityHops !== undefined && `the annotation ${annotation('ttl-security-hops')}`,
    routes.some(({ prepend }) => prepend !== undefined) && 'as-path-prepend of a BGPAdvertisement',
    routes.some(({ med }) => med !== undefined) && 'med of a BGPAdvertisement',
    routes.some(({ bandwidth }) => bandwidth !== undefined) && 'link-bandwidth of a BGPAdvertisement',
  ];
  return lost.filter((name) => name !== false);
}
