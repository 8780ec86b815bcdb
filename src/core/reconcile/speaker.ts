/**
 * The speaker of one node as a machine: changes of the cluster in; what this node announces, and Events, out.
 *
 *   gather  the cache of watched objects, the dead nodes, the local links
 *   decide  the election, for each Service (behaviour reference §4.1-§4.4)
 *   act     the whole of what to announce, whenever it differs from before
 * @module
 */
import {
  type EndpointSlice,
  type Node,
  objectKey,
  type Pod,
  SERVICE_NAME_LABEL,
  type Service,
} from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { anySelectorMatches } from '../api/selector.ts';
import { type Config, EMPTY_CONFIG, type L2Advertisement, type Pool } from '../config/config.ts';
import { CONFIG_RESOURCES, resolveConfig } from '../config/resolve.ts';
import { type Candidate, type ElectionResult, elect, type Sha256 } from '../election/election.ts';
import type { Announce, Announcement } from '../layer2/fsm.ts';
import type { Member } from '../liveness/messages.ts';
import type { Machine } from '../machine.ts';
import { formatAddress, type IpAddress, parseAddress } from '../net/address.ts';
import { rangeContains } from '../net/prefix.ts';
import { DRAIN_ANNOTATION, userAnnotation } from './annotations.ts';
import { Cache, type Change } from './cache.ts';
import { type EventNote, type EventTarget, targetOf } from './reasons.ts';
import { isOurClass } from './service-class.ts';
import { currentAddresses } from './service-decision.ts';

export const SPEAKER_RESOURCES = [
  'services',
  'endpointslices',
  'nodes',
  'pods',
  'namespaces',
  'secrets',
  ...CONFIG_RESOURCES,
] as const;
export type SpeakerResource = (typeof SPEAKER_RESOURCES)[number];

export interface SpeakerSettings {
  readonly node: string;
  readonly loadBalancerClass: string;
  readonly ignoreExcludeLabel: boolean;
  /** --drain-on-cordon: a node that is cordoned counts as drained. */
  readonly drainOnCordon: boolean;
  /** False: there is no speaker list, every known node is taken to have a speaker (behaviour reference §4.10). */
  readonly liveness: boolean;
}

export type SpeakerInput =
  | Change<SpeakerResource>
  /** All nodes whose speakers do not answer, and all whose speakers start or have been stopped. */
  | { readonly kind: 'dead-nodes'; readonly nodes: readonly string[]; readonly passive: readonly string[] }
  /** A station that is none of ours claims an address that this node announces. */
  | { readonly kind: 'conflict'; readonly address: string; readonly mac: string; readonly interface: string }
  /** Names of all local links that are not excluded. */
  | { readonly kind: 'links'; readonly names: readonly string[] };

export type SpeakerOutput =
  | Announce
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  | ({ readonly kind: 'emit-event'; readonly target: EventTarget } & EventNote)
  | { readonly kind: 'configuration'; readonly config: Config; readonly problems: readonly Problem[] }
  /** For metrics and logs: what this node says about a Service has changed. */
  | {
      readonly kind: 'service-decided';
      readonly service: string;
      readonly announced: readonly string[];
      /** Interfaces of the announcement; empty: all. */
      readonly interfaces: readonly string[];
      readonly election: ElectionResult | undefined;
    };

/** Why nothing at all is announced for a Service, before any election. */
interface Decision {
  readonly announcements: readonly Announcement[];
  /** What was announced before another node was elected. */
  readonly handingOver?: readonly Announcement[];
  readonly election: ElectionResult | undefined;
  readonly events: readonly EventNote[];
}

export interface SpeakerState {
  readonly settings: SpeakerSettings;
  readonly cache: Cache<SpeakerResource>;
  readonly config: Config;
  readonly dead: ReadonlySet<string>;
  readonly passive: ReadonlySet<string>;
  readonly links: readonly string[];
  readonly candidates: readonly Candidate[];
  /** Keys of the EndpointSlices of each Service. */
  readonly slices: Map<string, Set<string>>;
  readonly decisions: Map<string, Decision>;
  readonly members: string;
  readonly announced: string;
  /** Labels of all Nodes, as the configuration in force took them into account. */
  readonly nodeLabels: string;
}

export function initialSpeaker(settings: SpeakerSettings): SpeakerState {
  return {
    settings,
    cache: new Cache(SPEAKER_RESOURCES),
    config: EMPTY_CONFIG,
    dead: new Set(),
    passive: new Set(),
    links: [],
    candidates: [],
    slices: new Map(),
    decisions: new Map(),
    members: '[]',
    announced: '[[],[]]',
    nodeLabels: '',
  };
}

/** What the configuration is made of; of Nodes only the labels matter. */
const CONFIGURING = ['namespaces', 'secrets', ...CONFIG_RESOURCES] as const;

/** `sha256` is handed in. The state is owned by the machine and partly changed in place; see core/machine.ts. */
export function speakerMachine(sha256: Sha256): Machine<SpeakerState, SpeakerInput, SpeakerOutput> {
  return {
    step(state, input) {
      const outputs: SpeakerOutput[] = [];
      if (input.kind === 'conflict') return { next: state, outputs: tellConflict(state, input) };
      const wasSynced = state.cache.synced;
      let { next, dirty } = takeIn(state, input);
      // Nothing is announced and nothing withdrawn before the whole truth is known.
      if (!next.cache.synced) return { next, outputs };
      if (!wasSynced) dirty = 'all';
      if (!wasSynced || (dirty !== 'none' && isConfigChange(input, next))) next = reconfigure(next, outputs);
      // Pods, nodes and deaths make everything dirty; a change of one Service says nothing about who is there.
      if (dirty === 'all') next = updateMembers(next, outputs);
      next = decide(next, dirty, sha256, outputs);
      return { next, outputs };
    },
    nextDeadline: () => undefined,
  };
}

function tellConflict(
  state: SpeakerState,
  { address, mac, interface: link }: Extract<SpeakerInput, { kind: 'conflict' }>,
): SpeakerOutput[] {
  const message = `${address} is also claimed by the station with the MAC ${mac}, seen on ${link} of node "${state.settings.node}": it answers for the address too, and clients reach one or the other; find the station (the MAC's first half names its maker) and take the address off it, or take it out of the pool`;
  return [...state.decisions].flatMap(([key, decision]) => {
    const service = texts(decision).includes(address) ? state.cache.get<Service>('services', key) : undefined;
    if (service === undefined) return [];
    return [
      {
        kind: 'emit-event' as const,
        target: targetOf('v1', 'Service', service),
        reason: 'duplicateAddress' as const,
        message,
      },
    ];
  });
}

type Dirty = 'none' | 'all' | ReadonlySet<string>;

function isConfigChange(input: SpeakerInput | { kind: 'tick' }, state: SpeakerState): boolean {
  if (!('resource' in input)) return false;
  if (input.resource === 'nodes') return nodeLabels(state) !== state.nodeLabels;
  return (CONFIGURING as readonly string[]).includes(input.resource);
}

/** Node selectors of configuration objects are about these. */
function nodeLabels({ cache }: SpeakerState): string {
  return JSON.stringify(cache.all('nodes').map(({ metadata: { name, labels } }) => [name, labels ?? {}]));
}

function takeIn(
  state: SpeakerState,
  input: Exclude<SpeakerInput, { kind: 'conflict' }> | { kind: 'tick' },
): { next: SpeakerState; dirty: Dirty } {
  switch (input.kind) {
    case 'tick':
      return { next: state, dirty: 'none' };
    case 'dead-nodes':
      return { next: { ...state, dead: new Set(input.nodes), passive: new Set(input.passive) }, dirty: 'all' };
    case 'links':
      return { next: { ...state, links: input.names }, dirty: 'all' };
  }
  if (input.resource === 'endpointslices') return { next: state, dirty: takeInSlices(state, input) };
  const changed = state.cache.apply(input);
  if (changed.length === 0) return { next: state, dirty: 'none' };
  return { next: state, dirty: input.resource === 'services' ? new Set(changed) : 'all' };
}

function takeInSlices(state: SpeakerState, change: Change<SpeakerResource>): Set<string> {
  const touched =
    change.kind === 'replaced'
      ? state.cache.all<EndpointSlice>('endpointslices')
      : [state.cache.get<EndpointSlice>('endpointslices', objectKey(change.object))];
  const before = new Map(touched.flatMap((slice) => (slice ? [[objectKey(slice), serviceOf(slice)] as const] : [])));
  const dirty = new Set<string>();
  for (const key of state.cache.apply(change)) {
    const old = before.get(key);
    if (old !== undefined) {
      state.slices.get(old)?.delete(key);
      dirty.add(old);
    }
    const slice = state.cache.get<EndpointSlice>('endpointslices', key);
    const service = slice && serviceOf(slice);
    if (service === undefined) continue;
    dirty.add(service);
    const slices = state.slices.get(service);
    if (slices === undefined) state.slices.set(service, new Set([key]));
    else slices.add(key);
  }
  return dirty;
}

function serviceOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${slice.metadata.namespace ?? ''}/${name}`;
}

function reconfigure(state: SpeakerState, outputs: SpeakerOutput[]): SpeakerState {
  const objects = Object.fromEntries(
    [...CONFIGURING, 'nodes' as const].map((resource) => [resource, state.cache.all(resource)]),
  );
  const { config, problems } = resolveConfig(objects, state.config);
  outputs.push({ kind: 'configuration', config, problems });
  return { ...state, config, nodeLabels: nodeLabels(state) };
}

/** Who should be there: the Pods of the speakers, as upstream finds them (behaviour reference §4.10). */
function updateMembers(state: SpeakerState, outputs: SpeakerOutput[]): SpeakerState {
  const members = state.cache.all<Pod>('pods').flatMap((pod): Member[] => {
    const node = pod.spec?.nodeName;
    const address = pod.status?.podIP;
    return node && address && pod.metadata.deletionTimestamp === undefined ? [{ node, address }] : [];
  });
  members.sort((a, b) => (a.node < b.node ? -1 : 1));
  const text = JSON.stringify(members);
  if (text !== state.members && state.settings.liveness) outputs.push({ kind: 'members', members });
  const withSpeaker = new Set(members.map(({ node }) => node));
  const candidates = state.cache.all<Node>('nodes').map(
    ({ metadata, spec, status }): Candidate => ({
      name: metadata.name,
      labels: metadata.labels ?? {},
      alive:
        metadata.name === state.settings.node ||
        (!state.dead.has(metadata.name) && (!state.settings.liveness || withSpeaker.has(metadata.name))),
      passive: state.passive.has(metadata.name),
      drained: isDrained(state.settings, metadata.annotations, spec?.unschedulable),
      networkUnavailable:
        status?.conditions?.some(({ type, status: value }) => type === 'NetworkUnavailable' && value === 'True') ??
        false,
    }),
  );
  return { ...state, members: text, candidates };
}

function isDrained(
  { drainOnCordon }: SpeakerSettings,
  annotations: Readonly<Record<string, string>> | undefined,
  unschedulable: boolean | undefined,
): boolean {
  const wish = annotations?.[DRAIN_ANNOTATION];
  return (wish !== undefined && wish !== 'false') || (drainOnCordon && unschedulable === true);
}

function decide(state: SpeakerState, dirty: Dirty, sha256: Sha256, outputs: SpeakerOutput[]): SpeakerState {
  if (dirty === 'none') return state;
  const keys = dirty === 'all' ? new Set([...state.cache.keys('services'), ...state.decisions.keys()]) : dirty;
  for (const key of keys) decideService(state, key, sha256, outputs);
  const announcements = merge([...state.decisions.values()].flatMap((decision) => decision.announcements));
  const handingOver = merge([...state.decisions.values()].flatMap((decision) => decision.handingOver ?? []));
  const announced = JSON.stringify(
    [announcements, handingOver].map((list) =>
      list.map(({ address, interfaces }) => [formatAddress(address), interfaces ?? null]),
    ),
  );
  if (announced === state.announced) return state;
  outputs.push({ kind: 'announce', announcements, handingOver });
  return { ...state, announced };
}

function decideService(state: SpeakerState, key: string, sha256: Sha256, outputs: SpeakerOutput[]): void {
  const service = state.cache.get<Service>('services', key);
  const old = state.decisions.get(key);
  const decision = service === undefined ? NOTHING : withHandOver(old, decisionFor(state, service, sha256));
  if (service === undefined) state.decisions.delete(key);
  else state.decisions.set(key, decision);
  const announced = texts(decision);
  const before = old === undefined ? [] : texts(old);
  const interfaces = decision.announcements[0]?.interfaces ?? [];
  const isNews =
    announced.join() !== before.join() ||
    interfaces.join() !== (old?.announcements[0]?.interfaces ?? []).join() ||
    verdictText(old) !== verdictText(decision);
  if (isNews)
    outputs.push({ kind: 'service-decided', service: key, announced, interfaces, election: decision.election });

  if (service === undefined) return;
  const told = new Set(old?.events.map((note) => JSON.stringify(note)));
  for (const note of decision.events) {
    if (!told.has(JSON.stringify(note)))
      outputs.push({ kind: 'emit-event', target: targetOf('v1', 'Service', service), ...note });
  }
}

/** Make before break: an address that another node owns now is answered for until that node claims it. */
function withHandOver(old: Decision | undefined, decision: Decision): Decision {
  const isElsewhere = decision.announcements.length === 0 && decision.election?.owner !== undefined;
  const before = old?.announcements.length ? old.announcements : old?.handingOver;
  return isElsewhere && before !== undefined ? { ...decision, handingOver: before } : decision;
}

const NOTHING: Decision = { announcements: [], election: undefined, events: [] };

function texts(decision: Decision): string[] {
  return decision.announcements.map(({ address }) => formatAddress(address));
}

function verdictText(decision: Decision | undefined): string {
  return JSON.stringify(decision?.election?.checks ?? []);
}

function decisionFor(state: SpeakerState, service: Service, sha256: Sha256): Decision {
  const { settings } = state;
  if (!isOurClass(service, settings.loadBalancerClass) || service.spec?.type !== 'LoadBalancer') return NOTHING;
  const addresses = currentAddresses(service).map(parseAddress);
  if (addresses.length === 0 || addresses.includes(undefined)) return NOTHING;
  const valid = addresses as IpAddress[];
  const pool = state.config.pools.find((candidate) => holdsAll(candidate, valid));
  if (pool === undefined) return NOTHING;
  const labels = service.metadata.labels ?? {};
  const advertisements = state.config.l2Advertisements.filter(
    (ad) => ad.pools.has(pool.name) && anySelectorMatches(ad.serviceSelectors, labels),
  );
  const nodes = servingNodes(state, service);
  const election = elect(
    {
      advertisements,
      address: formatAddress(valid[0]!),
      anyEndpoint: nodes.any,
      sharesAddress: userAnnotation(service, 'allow-shared-ip') !== undefined,
      ignoreExcludeLabel: settings.ignoreExcludeLabel,
      ...(service.spec.externalTrafficPolicy === 'Local' && { localNodes: nodes.named }),
    },
    state.candidates,
    sha256,
  );
  if (election.owner !== settings.node) return { announcements: [], election, events: [] };
  return announce(state, valid, advertisements, election);
}

function holdsAll(pool: Pool, addresses: readonly IpAddress[]): boolean {
  return addresses.every((address) => pool.ranges.some((range) => rangeContains(range, address)));
}

/** Behaviour reference §4.2; and what runs on a dead node cannot serve, whatever its EndpointSlice still says. */
function servingNodes(state: SpeakerState, service: Service): { any: boolean; named: Set<string> } {
  const named = new Set<string>();
  let any = false;
  for (const key of state.slices.get(objectKey(service)) ?? []) {
    for (const { nodeName, conditions } of state.cache.get<EndpointSlice>('endpointslices', key)?.endpoints ?? []) {
      const serves = conditions?.ready === undefined || conditions.ready || conditions.serving === true;
      if (!serves || (nodeName !== undefined && state.dead.has(nodeName))) continue;
      any = true;
      if (nodeName !== undefined) named.add(nodeName);
    }
  }
  return { any, named };
}

/** Behaviour reference §4.4. */
function announce(
  state: SpeakerState,
  addresses: readonly IpAddress[],
  advertisements: readonly L2Advertisement[],
  election: ElectionResult,
): Decision {
  const { node } = state.settings;
  const labels = state.candidates.find(({ name }) => name === node)?.labels ?? {};
  const here = advertisements.filter((ad) => anySelectorMatches(ad.nodeSelectors, labels));
  const everywhere = here.some((ad) => ad.interfaces.length === 0);
  const wanted = [...new Set(here.flatMap((ad) => ad.interfaces))].sort();
  if (!everywhere && !wanted.some((name) => state.links.includes(name))) {
    const message = `${addresses.map(formatAddress).join(', ')} cannot be announced from node "${node}" with protocol "layer2": none of the interfaces ${wanted.join(', ')} exists there; correct spec.interfaces of the L2Advertisement`;
    return { announcements: [], election, events: [{ reason: 'announceFailed', message }] };
  }
  const announcements = addresses.map((address) => (everywhere ? { address } : { address, interfaces: wanted }));
  return {
    announcements,
    election,
    events: [{ reason: 'nodeAssigned', message: `announcing from node "${node}" with protocol "layer2"` }],
  };
}

/** Services that share an address announce it once, on the union of their interfaces; in a fixed order. */
function merge(announcements: readonly Announcement[]): Announcement[] {
  const merged = new Map<string, Announcement>();
  for (const announcement of announcements) {
    const key = formatAddress(announcement.address);
    const old = merged.get(key);
    if (old === undefined) merged.set(key, announcement);
    else if (old.interfaces === undefined || announcement.interfaces === undefined)
      merged.set(key, { address: old.address });
    else
      merged.set(key, {
        address: old.address,
        interfaces: [...new Set([...old.interfaces, ...announcement.interfaces])].sort(),
      });
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, announcement]) => announcement);
}
