/**
 * Turns custom resources into one Config, and reports every problem of every object.
 * @module
 */
import { KINDS } from '../api/kinds.ts';
import type { KubernetesObject, Secret, Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import type { Labels } from '../api/selector.ts';
import { parseBgpAdvertisement, preferenceClashes } from './bgp-advertisements.ts';
import { parseBfdProfile, parsePeer, peerClashes } from './bgp-peers.ts';
import { type Aliases, aliasClashes, parseAliases, takeAliases } from './communities.ts';
import { type BgpAdvertisement, type BgpEngine, type Config, EMPTY_CONFIG } from './config.ts';
import { readAll } from './inspection.ts';
import { parseL2Advertisement } from './l2-advertisements.ts';
import type { Nodes } from './node-sets.ts';
import { PoolIndex, parsePool, poolClashes } from './pools.ts';
import { relevanceTo } from './relevance.ts';

/** The resources that make up the configuration. */
export const CONFIG_RESOURCES = [
  'ipaddresspools',
  'l2advertisements',
  'bgpadvertisements',
  'bgppeers',
  'bfdprofiles',
  'communities',
] as const;
export type ConfigResource = (typeof CONFIG_RESOURCES)[number];

export function isConfigResource(resource: string): resource is ConfigResource {
  return (CONFIG_RESOURCES as readonly string[]).includes(resource);
}

/** The kind of a resource, such as IPAddressPool. */
export function kindOf(resource: ConfigResource): string {
  return KINDS.find(({ plural }) => plural === resource)!.kind;
}

/** The resource of a kind; undefined for kinds that are not configuration. */
export function resourceOfKind(kind: string): ConfigResource | undefined {
  return CONFIG_RESOURCES.find((resource) => kindOf(resource) === kind);
}

/** The version of the API group in which we read and write the resource. */
export function apiVersionOf(resource: ConfigResource): string {
  return `metallb.io/${KINDS.find(({ plural }) => plural === resource)!.versions[0].name}`;
}

/**
 * The objects that the configuration is resolved from, as the API server holds them. Without `nodes` or `secrets` the
 * rules that need them are not checked.
 */
export type ConfigObjects = Readonly<
  Partial<Record<ConfigResource | 'namespaces' | 'nodes', readonly KubernetesObject[]>>
> & { readonly secrets?: readonly Secret[]; readonly services?: readonly Service[] };

/** Groups objects by resource; kinds that are not configuration are left out. */
export function byResource<T extends { readonly kind: string }>(
  objects: readonly T[],
): Partial<Record<ConfigResource, readonly T[]>> {
  return Object.fromEntries(
    CONFIG_RESOURCES.map((resource) => [resource, objects.filter(({ kind }) => resourceOfKind(kind) === resource)]),
  );
}

export interface Resolved {
  readonly config: Config;
  readonly problems: readonly Problem[];
  /** The BGPAdvertisements that are valid by themselves, oldest first; which are in force on another node depends on it (`settle`). */
  readonly unsettled: readonly BgpAdvertisement[];
}

/** For whom the configuration is resolved. */
export interface Viewpoint {
  /** Default: native. */
  readonly engine?: BgpEngine | undefined;
  /** The labels of the one node that it is for; default: it is for the whole cluster. */
  readonly node?: Labels | undefined;
}

/** Resolves the whole configuration. `previous` is the configuration in force until now. */
export function resolveConfig(
  objects: ConfigObjects,
  previous: Config = EMPTY_CONFIG,
  { engine = 'native', node }: Viewpoint = {},
): Resolved {
  const problems: Problem[] = [];
  const relevance = relevanceTo(node, objects);
  const nodes = nodesOf(objects, node);
  const of = (resource: ConfigResource) => ({ kind: kindOf(resource), objects: objects[resource] ?? [] });
  const { namespaces = [], secrets } = objects;
  const taken = new PoolIndex();
  const pools = readAll(
    {
      ...of('ipaddresspools'),
      previous: previous.pools,
      parse: (object, inspection) => parsePool(object, inspection, namespaces),
      clashes: (pool, _accepted, inspection) => poolClashes(pool, taken, inspection),
      accept: (pool) => taken.add(pool),
    },
    problems,
  );
  const l2Advertisements = readAll(
    {
      ...of('l2advertisements'),
      previous: previous.l2Advertisements,
      parse: (object, inspection) => parseL2Advertisement(object, inspection, pools),
    },
    problems,
  );
  const aliases: Aliases = new Map();
  const communities = readAll(
    {
      ...of('communities'),
      previous: previous.communities,
      parse: parseAliases,
      clashes: (community, _accepted, inspection) => aliasClashes(community, aliases, inspection),
      accept: (community) => takeAliases(community, aliases),
      concerns: relevance.community,
    },
    problems,
  );
  const bfdProfiles = readAll(
    {
      ...of('bfdprofiles'),
      previous: previous.bfdProfiles,
      parse: parseBfdProfile,
      concerns: relevance.bfdProfile,
    },
    problems,
  );
  const peers = readAll(
    {
      ...of('bgppeers'),
      previous: previous.peers,
      parse: (object, inspection) => parsePeer(object, inspection, { bfdProfiles, secrets }),
      clashes: (peer, accepted, inspection) => peerClashes(peer, accepted, inspection, nodes, engine),
      concerns: relevance.selecting,
    },
    problems,
  );
  const unsettled: BgpAdvertisement[] = [];
  const bgpAdvertisements = readAll(
    {
      ...of('bgpadvertisements'),
      previous: previous.bgpAdvertisements,
      parse: (object, inspection) =>
        parseBgpAdvertisement(object, inspection, { pools, aliases, peers, bfdProfiles, nodes }),
      clashes: (advertisement, accepted, inspection) =>
        preferenceClashes(advertisement, accepted, inspection, pools, nodes),
      concerns: relevance.selecting,
    },
    problems,
    unsettled,
  );
  const config = { pools, l2Advertisements, bgpAdvertisements, peers, bfdProfiles, communities };
  return { config, problems, unsettled };
}

function nodesOf({ nodes }: ConfigObjects, node: Labels | undefined): Nodes {
  if (node !== undefined) return { kind: 'one', labels: node };
  if (nodes === undefined) return { kind: 'unknown' };
  return { kind: 'all', labels: nodes.map(({ metadata: { labels = {} } }) => labels) };
}
