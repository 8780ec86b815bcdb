/**
 * BGPAdvertisements (docs/behaviour/resources.md, rules B1 to B7 and X1).
 * @module
 */
import { bgpAdvertisement } from '../api/kinds.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { isIn } from '../api/membership.ts';
import type { IpFamily } from '../net/address.ts';
import { type Aliases, COMMUNITY_CURE, communityBytes, MOST_COMMUNITY_BYTES, parseCommunity } from './communities.ts';
import type { BfdProfile, BgpAdvertisement, CommunityValue, Peer, Pool } from './config.ts';
import { advertisementExtensions } from './extensions.ts';
import type { Inspection } from './inspection.ts';
import { parseTargets } from './l2-advertisements.ts';
import { type Nodes, shareNode } from './node-sets.ts';
import { narrowestOf, showRange } from './pools.ts';

/** The objects that an advertisement may refer to. */
export interface BgpSurroundings {
  readonly pools: readonly Pool[];
  readonly aliases: Readonly<Pick<Aliases, 'get'>>;
  readonly peers: readonly Peer[];
  readonly bfdProfiles: readonly BfdProfile[];
  readonly nodes: Nodes;
}

const LENGTH_FIELD = { ipv4: 'aggregationLength', ipv6: 'aggregationLengthV6' } as const;
const FULL_LENGTH = { ipv4: 32, ipv6: 128 } as const;
const FAMILIES: readonly IpFamily[] = ['ipv4', 'ipv6'];

export function parseBgpAdvertisement(
  object: KubernetesObject,
  inspection: Inspection,
  surroundings: BgpSurroundings,
): BgpAdvertisement | undefined {
  const validated = inspection.validate(bgpAdvertisement, object);
  if (validated === undefined) return undefined;
  const spec = validated.spec ?? {};
  const targets = parseTargets(object.metadata.name, spec, inspection, surroundings.pools);
  const { communities = [], peers = [], localPref = 0 } = spec;
  inspection.unique(['spec', 'communities'], communities);
  inspection.unique(['spec', 'peers'], peers);
  if (localPref < 0) inspection.report(['spec', 'localPref'], String(localPref), 'it is negative', 'give zero or more');
  const aggregationLengths = {
    ipv4: spec.aggregationLength ?? FULL_LENGTH.ipv4,
    ipv6: spec.aggregationLengthV6 ?? FULL_LENGTH.ipv6,
  };
  const advertisement: BgpAdvertisement = {
    ...targets,
    aggregationLengths,
    localPref,
    communities: communities.flatMap((text, i) => resolveCommunity(text, i, inspection, surroundings.aliases) ?? []),
    peers,
    ...advertisementExtensions(object, inspection),
  };
  checkRoom(advertisement, inspection);
  checkLengths(advertisement, inspection, surroundings.pools);
  checkEchoMode(advertisement, inspection, surroundings);
  return advertisement;
}

/** A community literal or an alias (rule B6). */
function resolveCommunity(
  text: string,
  index: number,
  inspection: Inspection,
  aliases: BgpSurroundings['aliases'],
): CommunityValue | undefined {
  const alias = aliases.get(text);
  if (alias !== undefined) return alias.value;
  const path = ['spec', 'communities', index];
  const parsed = parseCommunity(text);
  if (parsed.kind === 'value') return parsed.value;
  if (parsed.kind === 'bad-literal') inspection.report(path, text, parsed.message, COMMUNITY_CURE);
  else
    inspection.awaits(
      path,
      text,
      'this is not a community, and no valid Community object has an alias of this name',
      `create the alias, or ${COMMUNITY_CURE}`,
    );
  return undefined;
}

/** One route travels in one message (rule B7). */
function checkRoom({ communities }: BgpAdvertisement, inspection: Inspection): void {
  const large = communities.filter(({ kind }) => kind === 'large').length;
  if (communityBytes(communities.length - large, large) > MOST_COMMUNITY_BYTES)
    inspection.report(
      ['spec', 'communities'],
      `${communities.length} communities`,
      'a route with all of them does not fit into a BGP message',
      `give fewer: ${MOST_COMMUNITY_BYTES} bytes at most, 4 for each and 12 for each large one`,
    );
}

/** No route may reach beyond an entry of its pool (rules B2 and B3). */
function checkLengths(advertisement: BgpAdvertisement, inspection: Inspection, pools: readonly Pool[]): void {
  for (const family of FAMILIES) {
    const length = advertisement.aggregationLengths[family];
    const path = ['spec', LENGTH_FIELD[family]];
    if (length < 0 || length > FULL_LENGTH[family]) {
      const message = `a prefix length is at most ${FULL_LENGTH[family]}`;
      inspection.report(path, String(length), message, `give a number from 1 to ${FULL_LENGTH[family]}`);
      continue;
    }
    for (const pool of pools) {
      if (!advertisement.pools.has(pool.name)) continue;
      const narrowest = narrowestOf(pool)[family];
      if (narrowest === undefined || length >= narrowest.length) continue;
      const message = `routes of this length would reach beyond ${showRange(narrowest.range)} of IPAddressPool ${pool.name}`;
      inspection.report(path, String(length), message, `give ${narrowest.length} or more`);
    }
  }
}

/** BFD echo works over IPv4 alone (rule X1). */
function checkEchoMode(
  { pools, peers, nodeSelectors }: BgpAdvertisement,
  inspection: Inspection,
  surroundings: BgpSurroundings,
): void {
  const v6 = surroundings.pools.find((pool) => pools.has(pool.name) && narrowestOf(pool).ipv6 !== undefined);
  if (v6 === undefined) return;
  const echo = new Set(surroundings.bfdProfiles.filter(({ echoMode }) => echoMode).map(({ name }) => name));
  for (const { name, bfdProfile, nodeSelectors: peerNodes } of surroundings.peers) {
    if (bfdProfile === undefined || !echo.has(bfdProfile) || (peers.length > 0 && !isIn(peers, name))) continue;
    if (!shareNode(nodeSelectors, peerNodes, surroundings.nodes)) continue;
    inspection.report(
      ['spec', 'peers'],
      name,
      `BFDProfile ${bfdProfile} of this peer has echoMode, which does not work with the IPv6 addresses of IPAddressPool ${v6.name}`,
      'turn echoMode off, or advertise the pool to other peers',
    );
  }
}

/** A route can have only one LOCAL_PREF (rule B4). */
export function preferenceClashes(
  advertisement: BgpAdvertisement,
  accepted: Iterable<BgpAdvertisement>,
  inspection: Inspection,
  pools: readonly Pool[],
  nodes: Nodes,
): void {
  for (const other of accepted) {
    const pool = contestedPool(advertisement, other, pools);
    if (pool === undefined || !shareNode(advertisement.nodeSelectors, other.nodeSelectors, nodes)) continue;
    inspection.report(
      ['spec', 'localPref'],
      String(advertisement.localPref),
      `BGPAdvertisement ${other.name} gives the same routes of IPAddressPool ${pool.name} the localPref ${other.localPref}`,
      'use one localPref, or make them differ in aggregation length, peers or nodes',
    );
  }
}

/** Of advertisements that all apply to one node, oldest first, those in force there (rule B4). */
export function settle(advertisements: readonly BgpAdvertisement[], pools: readonly Pool[]): BgpAdvertisement[] {
  const inForce: BgpAdvertisement[] = [];
  for (const advertisement of advertisements)
    if (!inForce.some((older) => contestedPool(advertisement, older, pools) !== undefined)) inForce.push(advertisement);
  return inForce;
}

/** A pool for which the two give the same routes another LOCAL_PREF. With serviceSelectors it depends on the Service. */
function contestedPool(a: BgpAdvertisement, b: BgpAdvertisement, pools: readonly Pool[]): Pool | undefined {
  if (a.localPref === b.localPref || a.serviceSelectors.length > 0 || b.serviceSelectors.length > 0) return undefined;
  if (!sharePeer(a, b)) return undefined;
  return pools.find((pool) => a.pools.has(pool.name) && b.pools.has(pool.name) && !areDifferentRoutes(a, b, pool));
}

function sharePeer(a: BgpAdvertisement, b: BgpAdvertisement): boolean {
  return a.peers.length === 0 || b.peers.length === 0 || a.peers.some((name) => isIn(b.peers, name));
}

/** True when the routes differ in length for every family that the pool has. */
function areDifferentRoutes(a: BgpAdvertisement, b: BgpAdvertisement, pool: Pool): boolean {
  const narrowest = narrowestOf(pool);
  const present = FAMILIES.filter((family) => narrowest[family] !== undefined);
  return present.every((family) => a.aggregationLengths[family] !== b.aggregationLengths[family]);
}
