/**
 * Explains, as data, why a Service has its address or none, and which nodes announce it.
 * @module
 */

import { annotationFaults } from '../api/annotation-faults.ts';
import { referenceTo } from '../api/kind.ts';
import type { BGPSessionStatus } from '../api/kinds.ts';
import {
  type Condition,
  type EndpointSlice,
  type KubernetesObject,
  objectKey,
  type Service,
} from '../api/kubernetes.ts';
import { formatReference, type Problem } from '../api/problem.ts';
import { anySelectorMatches } from '../api/selector.ts';
import { familiesOf } from '../bgp/peers/session-settings.ts';
import { fitsMessage } from '../bgp/rib/route.ts';
import type { Peer } from '../config/config.ts';
import { inOneNamespace } from '../config/namespace.ts';
import { CONFIG_RESOURCES, kindOf } from '../config/resolve.ts';
import { withSetAside } from '../controller/service-decision.ts';
import { requestOfService } from '../controller/service-request.ts';
import type { ControllerSettings } from '../controller/state.ts';
import type { Candidate, ElectionResult, Sha256 } from '../election/election.ts';
import type { PoolCheck } from '../ipam/request.ts';
import { formatPrefix } from '../net/prefix.ts';
import { annotationNotes, describeAnnotationFault } from '../reasons/annotations.ts';
import { ALLOCATED_CONDITION } from '../reasons/conditions.ts';
import type { BgpVerdict, EventNote } from '../reasons/reasons.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { serviceOf } from '../service/endpoints.ts';
import { isOurClass } from '../service/service-class.ts';
import {
  type BgpDecision,
  decideBgpFor,
  describeRoute,
  describeRoutes,
  routesFor,
  toldPeers,
} from '../speaker/bgp-decision.ts';
import type { AddressElection } from '../speaker/layer2-decision.ts';
import { electionsFor, factsOf, type SpeakerResource, type SpeakerState, slicesOf } from '../speaker/state.ts';
import { OfflineController } from './offline-controller.ts';
import { offlineSpeaker } from './offline-speaker.ts';
import { routersByNode } from './routers.ts';

export type ExplainObjects = Readonly<
  Partial<Record<SpeakerResource | 'bgpsessionstatuses' | 'configurationstates', readonly KubernetesObject[]>>
>;

export interface Explanation {
  readonly service: string;
  readonly addresses: readonly string[];
  /** The Events that the controller would emit if it decided about the Service now. */
  readonly told: readonly { readonly reason: string; readonly message: string }[];
  /** Resources that could not be read: what depends on them is left out, and `told` is what the status says. */
  readonly hidden: readonly string[];
  /** Every pool with its verdict for this Service. */
  readonly pools: readonly PoolCheck[];
  /** Undefined when there is nothing to announce. All speakers are assumed to be alive: only they know who is. */
  readonly election: ElectionResult | undefined;
  /** One, which is that, unless its addresses have several owners. */
  readonly elections: readonly AddressElection[];
  /** For every node: whether it announces the Service by BGP, which prefixes, and to which peers; empty: BGP does not apply. */
  readonly bgp: readonly BgpAnnouncer[];
  /** Who announces it by layer 2, on which interfaces (empty: all), since when (RFC 3339), by the speakers' own status objects. */
  readonly announcers: readonly Announcer[];
  /** All BGP sessions by the speakers' own status objects, those that are not Established first. */
  readonly sessions: readonly ToldSession[];
  /** Some node should announce it by BGP, but no speaker reports an Established session with any of the peers. */
  readonly unheard: boolean;
  readonly problems: readonly Problem[];
  /** Annotations of configuration objects and Nodes that do nothing, in words. */
  readonly idleAnnotations: readonly string[];
}

export interface BgpAnnouncer {
  readonly node: string;
  readonly verdict: BgpVerdict;
  readonly prefixes: readonly string[];
  readonly peers: readonly string[];
  /** For each peer, the route of each prefix, or why the peer does not get it. */
  readonly routes: readonly ToldRoute[];
}

/** For people: the attributes of the route besides AS_PATH and NEXT_HOP, or why the peer does not get it. */
export interface ToldRoute {
  readonly peer: string;
  readonly prefix: string;
  readonly attributes?: readonly string[];
  readonly whyNot?: string;
}

/** A BGP session as its speaker reports it. */
export type ToldSession = BGPSessionStatus;

export interface Announcer {
  readonly node: string;
  readonly interfaces: readonly string[];
  readonly since: string;
  /** Who else claims its addresses, in words. */
  readonly troubles: readonly string[];
}

/** How the controller runs, and what of the cluster could not be read. */
export interface ExplainSettings extends Pick<ControllerSettings, 'namespace' | 'shareAcrossNamespaces'> {
  readonly hidden?: readonly string[];
}

/** Explains the Service `key` (namespace/name); undefined if it does not exist. */
export function explainService(
  given: ExplainObjects,
  key: string,
  loadBalancerClass: string,
  sha256: Sha256,
  settings: ExplainSettings = {},
): Explanation | undefined {
  const here = inOneNamespace(given, settings.namespace);
  const { objects } = here;
  const service = (objects.services ?? []).find((object) => objectKey(object) === key) as Service | undefined;
  if (service === undefined) return undefined;
  const { hidden = [] } = settings;
  const announcers = announcersOf(objects, key);
  const sessions = sessionsOf(objects);
  if (hidden.length > 0) return explainByStatus(service, { hidden, announcers, sessions });
  const offline = new OfflineController(objects, {
    loadBalancerClass,
    shareAcrossNamespaces: settings.shareAcrossNamespaces,
    namespace: here.namespace,
  });
  offline.settle();
  const ours = isOurClass(service, loadBalancerClass) && service.spec?.type === 'LoadBalancer';
  const request = ours ? requestOfService(service) : undefined;
  // Secrets are not read here, so peers come from the controller's config, which has those with a password as well.
  const speakers = speakersFor(objects, key, loadBalancerClass, sha256, offline.config.peers);
  return {
    service: key,
    addresses: currentAddresses(service),
    told: ours ? withAnnotations(offline.eventsOf(key), service) : offline.eventsOf(key),
    hidden,
    pools: request === undefined ? [] : withSetAside(offline.allocator.examine(request), request, offline.setAside),
    ...speakers,
    announcers,
    sessions,
    unheard: hasNoSession(speakers.bgp, sessions),
    problems: [...offline.problems, ...here.problems],
    idleAnnotations: idleAnnotations(objects),
  };
}

/** Nothing can be computed from a part of the facts: this is what controller and speakers have written. */
function explainByStatus(service: Service, said: Pick<Explanation, 'hidden' | 'announcers' | 'sessions'>): Explanation {
  const told = (service.status?.conditions ?? []).filter(({ type }) => type === ALLOCATED_CONDITION);
  return {
    service: objectKey(service),
    addresses: currentAddresses(service),
    told: [...told, ...annotationNotes(service)].map(({ reason, message }) => ({ reason, message })),
    elections: [],
    pools: [],
    election: undefined,
    bgp: [],
    unheard: false,
    problems: [],
    idleAnnotations: [],
    ...said,
  };
}

/** Without our webhook nobody says so of configuration, and of Nodes nobody at all. */
function idleAnnotations(objects: ExplainObjects): string[] {
  return (['nodes', ...CONFIG_RESOURCES] as const).flatMap((resource) => {
    const kind = resource === 'nodes' ? 'Node' : kindOf(resource);
    return (objects[resource] ?? []).flatMap((object) =>
      annotationFaults(kind, object.metadata).map(
        (fault) => `${formatReference(referenceTo(kind, object))}: ${describeAnnotationFault(fault)}`,
      ),
    );
  });
}

/** A controller that finds everything as it should be says nothing of annotations; whoever asks should know. */
function withAnnotations(told: readonly EventNote[], service: Service): readonly EventNote[] {
  const missing = annotationNotes(service).filter((note) => !told.some(({ message }) => message === note.message));
  return [...told, ...missing];
}

interface L2Status extends KubernetesObject {
  readonly status?: {
    readonly node?: string;
    readonly serviceName?: string;
    readonly serviceNamespace?: string;
    readonly interfaces?: readonly { readonly name?: string }[];
    readonly conditions?: readonly Condition[];
  };
}

function announcersOf(objects: ExplainObjects, key: string): Announcer[] {
  return ((objects.servicel2statuses ?? []) as readonly L2Status[])
    .filter(({ status }) => `${status?.serviceNamespace}/${status?.serviceName}` === key)
    .map(({ metadata, status }) => ({
      node: status?.node ?? '',
      interfaces: (status?.interfaces ?? []).flatMap(({ name }) => name ?? []),
      since: metadata.creationTimestamp ?? '',
      troubles: (status?.conditions ?? []).map(({ message }) => message),
    }));
}

function hasNoSession(announcers: readonly BgpAnnouncer[], sessions: readonly ToldSession[]): boolean {
  const needed = announcers.flatMap(({ node, peers }) => peers.map((peer) => `${node} ${peer}`));
  const said = sessions.filter(({ node, peer }) => needed.includes(`${node} ${peer}`));
  // Without any status of these sessions nothing is known about them.
  return said.length > 0 && said.every(({ state }) => state !== 'Established');
}

/** Sorted by peer and node, those that are not Established first. */
export function sessionsOf({ bgpsessionstatuses = [] }: ExplainObjects): ToldSession[] {
  const sessions = (bgpsessionstatuses as readonly { status?: ToldSession }[]).flatMap(({ status }) => status ?? []);
  const rank = ({ state, peer, node }: ToldSession) => `${state === 'Established' ? 1 : 0} ${peer} ${node}`;
  return sessions.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

function speakersFor(
  objects: ExplainObjects,
  key: string,
  loadBalancerClass: string,
  sha256: Sha256,
  routers: readonly Peer[],
): Pick<Explanation, 'election' | 'elections' | 'bgp'> {
  const state = offlineSpeaker(objects, loadBalancerClass, sha256);
  const elections = electionsFor(state, key);
  return { election: elections[0]?.election, elections, bgp: bgpOf(objects, state, key, routers) };
}

function bgpOf(objects: ExplainObjects, state: SpeakerState, key: string, routers: readonly Peer[]): BgpAnnouncer[] {
  const service = state.cache.get<Service>('services', key);
  if (service === undefined) return [];
  const facts = factsOf(state);
  const routersOf = routersByNode(objects, routers);
  return state.candidates.flatMap((candidate): BgpAnnouncer[] => {
    const decision = decideBgpFor(facts, candidate, service, slicesOf(state, service), true);
    if (decision === undefined) return [];
    const peers = routersOf(candidate.labels);
    const { verdict } = decision;
    const routes =
      decision.verdict === 'announced' ? routers.flatMap((peer) => toldRoutes(peer, peers, candidate, decision)) : [];
    const told = { prefixes: describeRoutes(decision), peers: toldPeers(decision, peers), routes };
    return [{ node: candidate.name, verdict, ...told }];
  });
}

/** `inForce` are the peers of the node. */
function toldRoutes(peer: Peer, inForce: readonly Peer[], node: Candidate, decision: BgpDecision): ToldRoute[] {
  const no = (whyNot: string, prefix = describeRoutes(decision).join(', ')) => ({ peer: peer.name, prefix, whyNot });
  if (!anySelectorMatches(peer.nodeSelectors, node.labels)) return [no('its nodeSelectors do not select the node')];
  if (!inForce.includes(peer)) return [no('an older BGPPeer of the node is the same router')];
  const routes = routesFor(peer, decision);
  if (routes.length === 0) return [no('no BGPAdvertisement of the pool is for it')];
  return routes.map((route): ToldRoute => {
    const prefix = formatPrefix(route.prefix);
    const carried = familiesOf(peer);
    if (!carried.includes(route.prefix.family))
      return no(`its session carries ${carried.join(' and ')} only: set dualStackAddressFamily`, prefix);
    if (!fitsMessage(route)) return no('its communities do not fit into a BGP message: give fewer', prefix);
    return { peer: peer.name, prefix, attributes: describeRoute(route) };
  });
}

/** How many endpoints the Service has, serving or not; 0 is the most common reason for no announcement. */
export function endpointCount(objects: ExplainObjects, key: string): number {
  const slices = (objects.endpointslices ?? []) as readonly EndpointSlice[];
  return slices
    .filter((slice) => serviceOf(slice) === key)
    .reduce((count, { endpoints }) => count + (endpoints?.length ?? 0), 0);
}
