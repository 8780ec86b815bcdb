/**
 * Could any node announce what a Service holds, by what the configuration says?
 * @module
 */
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { anySelectorMatches, type Labels } from '../api/selector.ts';
import type { AdvertisementTargets, Config, Peer } from './config.ts';

/** Undefined: they are not read, or not yet. */
type KnownNodes = readonly KubernetesObject[] | undefined;

/** What the advertisements of each pool are good for. A pool that is not in it came later, and is not judged. */
export type Advertising = ReadonlyMap<string, readonly Advertiser[]>;

interface Advertiser {
  /** For example `L2Advertisement lan`. */
  readonly name: string;
  readonly serviceSelectors: readonly LabelSelector[];
  /** Why no node acts on it, with the cure; undefined: some node does. */
  readonly obstacle: string | undefined;
}

/** Costs what there is of advertisements, peers and nodes; what it gives is cheap to ask for each Service. */
export function advertisingOf(config: Config, nodes: KnownNodes): Advertising {
  const advertisers = [
    ...config.l2Advertisements.map((ad) => ({ ad, advertiser: advertiserOf('L2Advertisement', ad, undefined, nodes) })),
    ...config.bgpAdvertisements.map((ad) => ({
      ad,
      advertiser: advertiserOf('BGPAdvertisement', ad, peersOf(ad.peers, config), nodes),
    })),
  ];
  return new Map(
    config.pools.map(({ name }) => [
      name,
      advertisers.filter(({ ad }) => ad.pools.has(name)).map(({ advertiser }) => advertiser),
    ]),
  );
}

/**
 * Why no node will ever announce an address of the pool for a Service with these labels, with the cure; undefined: some node may. Endpoints,
 * interfaces and sessions are what speakers know, and tell.
 */
export function whyNotAdvertised(advertising: Advertising, pool: string, labels: Labels = {}): string | undefined {
  const advertisers = advertising.get(pool);
  if (advertisers?.length === 0)
    return `no L2Advertisement and no BGPAdvertisement covers pool "${pool}"; create one, or name the pool in one`;
  const obstacles = advertisers?.map(({ name, serviceSelectors, obstacle }) => {
    const why = anySelectorMatches(serviceSelectors, labels)
      ? obstacle
      : 'is for other Services (serviceSelectors): change it, or the labels of the Service';
    return why === undefined ? undefined : `${name} ${why}`;
  });
  return obstacles === undefined || obstacles.includes(undefined) ? undefined : obstacles.join('; ');
}

function peersOf(names: readonly string[], { peers }: Config): readonly Peer[] {
  return names.length === 0 ? peers : peers.filter(({ name }) => names.includes(name));
}

/** `peers`: the routers that it is for; undefined at layer 2. */
function advertiserOf(
  kind: string,
  { name, serviceSelectors, nodeSelectors }: AdvertisementTargets,
  peers: readonly Peer[] | undefined,
  nodes: KnownNodes,
): Advertiser {
  return { name: `${kind} ${name}`, serviceSelectors, obstacle: obstacleOf(nodeSelectors, peers, nodes) };
}

function obstacleOf(
  nodeSelectors: readonly LabelSelector[],
  peers: readonly Peer[] | undefined,
  nodes: KnownNodes,
): string | undefined {
  const here = nodes?.filter(({ metadata }) => anySelectorMatches(nodeSelectors, metadata.labels));
  if (here?.length === 0) return 'is for no node that there is (nodeSelectors): change it, or label a node';
  if (peers === undefined) return undefined;
  if (peers.length === 0) return 'is for no router: create a BGPPeer, or correct its peers';
  const isOn = (peer: Peer, { metadata }: KubernetesObject) => anySelectorMatches(peer.nodeSelectors, metadata.labels);
  if (here === undefined || peers.some((peer) => here.some((node) => isOn(peer, node)))) return undefined;
  const names = peers.map(({ name }) => name).join(', ');
  return `is for nodes that have no session with its routers: change its nodeSelectors, or those of BGPPeer ${names}`;
}
