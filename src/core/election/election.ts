/**
 * Which node speaks for an address at layer 2, and why no other (docs/behaviour/layer2.md#who-announces).
 * Every speaker computes this from the same facts and needs nobody's word for it.
 * @module
 */
import { anySelectorMatches, type Labels, selectorMatches } from '../api/selector.ts';
import type { L2Advertisement } from '../config/config.ts';

/**
 * What the election makes of the speaker of a node: `unsteady` comes and goes, or is not acknowledged by others; `passive` starts, or is being
 * shut down in good order.
 */
export type SpeakerHealth = 'alive' | 'unsteady' | 'passive' | 'dead';

/** One node as the election sees it. */
export interface Candidate {
  readonly name: string;
  readonly labels: Labels;
  readonly speaker: SpeakerHealth;
  /** It is to be emptied: it announces only what nobody else can. */
  readonly drained: boolean;
  /** Names of the links that are up and have a carrier; undefined: it has not said. */
  readonly links: readonly string[] | undefined;
  /** It has BGP routers to talk to, and a session with none of them. */
  readonly unheard: boolean;
  /** Node condition NetworkUnavailable is True. */
  readonly networkUnavailable: boolean;
}

/** The facts about one Service that the election needs. */
export interface Contest {
  /** Advertisements of the pool that match the Service. */
  readonly advertisements: readonly L2Advertisement[];
  /** Some endpoint, anywhere, can serve. */
  readonly anyEndpoint: boolean;
  /** externalTrafficPolicy Local: nodes that have an endpoint that can serve. Undefined with policy Cluster. */
  readonly localNodes?: ReadonlySet<string>;
  /** The Service shares its address, which advertisements with Service selectors cannot express. */
  readonly sharesAddress: boolean;
  readonly ignoreExcludeLabel: boolean;
  /** --partition-mode=fenced, and this node is on the smaller side. */
  readonly fenced: boolean;
}

/** Outcome of the checks for one node, in the order in which they are made. */
export type NodeVerdict =
  | 'owner'
  | 'lost-election'
  | 'serves-fewer'
  | 'drained'
  | 'unsteady'
  | 'no-link'
  | 'fenced'
  | 'address-of-node'
  | 'no-endpoints'
  | 'shared-with-selectors'
  | 'no-advertisement'
  | 'not-selected'
  | 'speaker-not-alive'
  | 'speaker-passive'
  | 'network-unavailable'
  | 'excluded-by-label'
  | 'no-local-endpoint';

export interface NodeCheck {
  readonly node: string;
  readonly verdict: NodeVerdict;
  /** Sum of preference weights; counts only among nodes that may announce. */
  readonly score: number;
}

export interface ElectionResult {
  readonly owner: string | undefined;
  /** Every node: owner first, then the order in which they would take over, then those that may not announce. */
  readonly checks: readonly NodeCheck[];
}

/** Hash of a text, SHA-256; handed in because core computes nothing that the platform does better. */
export type Sha256 = (text: string) => Uint8Array;

/** Nodes with this label, whatever its value, take no traffic from load balancers (Kubernetes well-known label). */
export const EXCLUDE_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** Addresses that are to have one owner. */
export interface Lot {
  /** Canonical text of the one whose hash decides: the first address of a Service that shares none. */
  readonly address: string;
  /** Nodes that have one of them for their own. */
  readonly nodes: ReadonlySet<string>;
  /** The Services that have one of them. */
  readonly contests: readonly Contest[];
  /** Who owns other addresses of these Services: the better owner, where nothing else is against it. */
  readonly kin: ReadonlySet<string>;
}

/**
 * The owner is the node that can serve most of the Services. Those that none can serve, for example because they have no endpoints, do not
 * count: they would not be served by any other owner.
 */
export function elect(
  { address, nodes, contests, kin }: Lot,
  candidates: readonly Candidate[],
  sha256: Sha256,
): ElectionResult {
  const open = contests.filter((contest) => commonObstacle(contest) === undefined);
  const rejected: NodeCheck[] = [];
  const eligible: Eligible[] = [];
  for (const candidate of candidates) {
    const checks = (open.length === 0 ? contests : open).map((contest) => checkOf(contest, nodes, candidate));
    const able = checks.filter(({ obstacle }) => obstacle === undefined);
    const linked = able.filter(({ shortcoming }) => shortcoming !== 'no-link');
    const some = linked.length > 0 ? linked : able;
    const score = (some.length > 0 ? some : checks).reduce((sum, check) => sum + check.score, 0);
    const [first] = checks;
    if (some.length === 0) rejected.push({ node: candidate.name, verdict: first?.obstacle ?? 'no-endpoints', score });
    else
      eligible.push({
        candidate,
        served: linked.length,
        shortcoming: worst(some.map(({ shortcoming }) => shortcoming)),
        score,
        hash: sha256(`${candidate.name}#${address}`),
      });
  }
  eligible.sort(
    (a, b) =>
      b.served - a.served ||
      rankOf(a.shortcoming) - rankOf(b.shortcoming) ||
      Number(kin.has(b.candidate.name)) - Number(kin.has(a.candidate.name)) ||
      b.score - a.score ||
      compareBytes(a.hash, b.hash),
  );
  rejected.sort((a, b) => (a.node < b.node ? -1 : 1));
  const most = eligible[0]?.served ?? 0;
  const ranked = eligible.map(({ candidate, served, shortcoming, score }, rank): NodeCheck => {
    const behind = shortcoming ?? (served < most ? 'serves-fewer' : 'lost-election');
    return { node: candidate.name, verdict: rank === 0 ? 'owner' : behind, score };
  });
  return { owner: eligible[0]?.candidate.name, checks: [...ranked, ...rejected] };
}

interface Eligible {
  readonly candidate: Candidate;
  /** How many Services it can serve on a link that is up. */
  readonly served: number;
  readonly shortcoming: Shortcoming | undefined;
  readonly score: number;
  readonly hash: Uint8Array;
}

function checkOf(contest: Contest, nodes: ReadonlySet<string>, candidate: Candidate) {
  return {
    obstacle: commonObstacle(contest) ?? nodeObstacle(contest, nodes, candidate),
    shortcoming: shortcomingOf(contest, candidate),
    score: scoreOf(contest.advertisements, candidate),
  };
}

function worst(shortcomings: readonly (Shortcoming | undefined)[]): Shortcoming | undefined {
  return shortcomings.reduce((a, b) => (rankOf(a) >= rankOf(b) ? a : b), undefined);
}

/** How many of the Services the node would serve as the owner. */
export function servedBy({ nodes, contests }: Pick<Lot, 'nodes' | 'contests'>, candidate: Candidate): number {
  return contests.filter((contest) => {
    const { obstacle, shortcoming } = checkOf(contest, nodes, candidate);
    return obstacle === undefined && shortcoming !== 'no-link';
  }).length;
}

/** How many of them some node could serve, if none of the addresses were a node's own. */
export function servable({ contests }: Lot, candidates: readonly Candidate[]): number {
  const nodes = new Set<string>();
  const isServable = (contest: Contest) =>
    candidates.some((candidate) => servedBy({ nodes, contests: [contest] }, candidate) > 0);
  return contests.filter(isServable).length;
}

/** What makes a node the last resort, the worst last: who has one announces only what nobody without can. */
const SHORTCOMINGS = ['drained', 'unsteady', 'no-link'] as const satisfies readonly NodeVerdict[];
type Shortcoming = (typeof SHORTCOMINGS)[number];

/** Whether the node could announce, if no better one could. */
export function isEligible({ verdict }: NodeCheck): boolean {
  return (
    verdict === 'owner' ||
    verdict === 'lost-election' ||
    verdict === 'serves-fewer' ||
    SHORTCOMINGS.some((shortcoming) => shortcoming === verdict)
  );
}

function rankOf(shortcoming: Shortcoming | undefined): number {
  return shortcoming === undefined ? 0 : SHORTCOMINGS.indexOf(shortcoming) + 1;
}

function shortcomingOf(contest: Contest, node: Candidate): Shortcoming | undefined {
  if (!hasLink(contest, node)) return 'no-link';
  if (node.speaker === 'unsteady') return 'unsteady';
  return node.drained ? 'drained' : undefined;
}

/** Some link that an advertisement for the node names, or any when one names none, is up there. */
function hasLink({ advertisements }: Contest, { links, labels }: Candidate): boolean {
  if (links === undefined) return true;
  return advertisements.some(
    ({ interfaces, nodeSelectors }) =>
      anySelectorMatches(nodeSelectors, labels) &&
      (interfaces.length === 0 ? links.length > 0 : interfaces.some((name) => links.includes(name))),
  );
}

function commonObstacle(contest: Contest): NodeVerdict | undefined {
  if (contest.fenced) return 'fenced';
  if (!contest.anyEndpoint) return 'no-endpoints';
  if (contest.advertisements.length === 0) return 'no-advertisement';
  if (contest.sharesAddress && contest.advertisements.some((ad) => ad.serviceSelectors.length > 0))
    return 'shared-with-selectors';
  return undefined;
}

function nodeObstacle(contest: Contest, nodes: ReadonlySet<string>, node: Candidate): NodeVerdict | undefined {
  for (const holder of nodes) if (holder !== node.name) return 'address-of-node';
  if (node.speaker === 'dead') return 'speaker-not-alive';
  if (node.speaker === 'passive') return 'speaker-passive';
  if (node.networkUnavailable) return 'network-unavailable';
  if (EXCLUDE_LABEL in node.labels && !contest.ignoreExcludeLabel) return 'excluded-by-label';
  if (!contest.advertisements.some((ad) => anySelectorMatches(ad.nodeSelectors, node.labels))) return 'not-selected';
  if (contest.localNodes !== undefined && !contest.localNodes.has(node.name)) return 'no-local-endpoint';
  return undefined;
}

function scoreOf(advertisements: readonly L2Advertisement[], node: Candidate): number {
  let score = 0;
  for (const advertisement of advertisements) {
    if (!anySelectorMatches(advertisement.nodeSelectors, node.labels)) continue;
    for (const { weight, selector } of advertisement.preferences)
      if (selectorMatches(selector, node.labels)) score += weight;
  }
  return score;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
