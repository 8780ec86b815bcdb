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
  type KubernetesObject,
  type Node,
  objectKey,
  type Pod,
  SERVICE_NAME_LABEL,
  type Service,
} from '../api/kubernetes.ts';
import { CONFIG_RESOURCES, resolveConfig } from '../config/resolve.ts';
import { assign, withOwner } from '../election/assignment.ts';
import type { Candidate, Sha256 } from '../election/election.ts';
import type { Change } from '../kubernetes/cache.ts';
import { MAX_LINKS } from '../liveness/codec.ts';
import type { Member, NodeLiveness } from '../liveness/messages.ts';
import type { Machine, Millis, Tick } from '../machine.ts';
import { formatAddress } from '../net/address.ts';
import { fingerprint } from '../net/fingerprint.ts';
import { eventTarget } from '../reasons/reasons.ts';
import { DRAIN_ANNOTATION } from '../service/annotations.ts';
import { announcementsOf, type Elected, electFor, merge } from './layer2-decision.ts';
import { decideRoutes } from './routes.ts';
import {
  type Decision,
  type Duplicate,
  factsOf,
  INCUMBENTS,
  type SpeakerInput,
  type SpeakerOutput,
  type SpeakerResource,
  type SpeakerSettings,
  type SpeakerState,
  slicesOf,
} from './state.ts';

/** What the configuration is made of; of Nodes only the labels matter. */
const CONFIGURING = ['namespaces', 'secrets', ...CONFIG_RESOURCES] as const;

/** `sha256` is handed in. The state is owned by the machine and partly changed in place; see core/machine.ts. */
export function speakerMachine(sha256: Sha256): Machine<SpeakerState, SpeakerInput, SpeakerOutput> {
  return {
    step(state, input, now) {
      const outputs: SpeakerOutput[] = [];
      if (isConflict(input)) return takeInConflict(state, input);
      const wasSynced = state.cache.synced;
      let { next, dirty } = takeIn(state, input);
      // Nothing is announced and nothing withdrawn before the whole truth is known.
      if (!next.cache.synced) return { next, outputs };
      if (!wasSynced) dirty = 'all';
      if (!wasSynced || (dirty !== 'none' && isConfigChange(input, next))) next = reconfigure(next, outputs);
      // Pods, nodes and deaths make everything dirty; a change of one Service says nothing about who is there.
      if (dirty === 'all') next = updateDrain(updateMembers(next, outputs), wasSynced, now);
      next = decide(next, dirty, sha256, outputs);
      return { next, outputs };
    },
    nextDeadline: ({ drain }) =>
      drain === undefined || drain.hasLeft
        ? undefined
        : { at: drain.leavesAt, why: 'routers have been asked to go elsewhere' },
  };
}

type ConflictInput = Extract<SpeakerInput, { address: string }>;

function isConflict(input: SpeakerInput | Tick): input is ConflictInput {
  return input.kind === 'conflict' || input.kind === 'conflict-ended';
}

function takeInConflict(
  state: SpeakerState,
  { kind, address, ...duplicate }: ConflictInput,
): { next: SpeakerState; outputs: SpeakerOutput[] } {
  const duplicates = new Map(state.duplicates);
  if (kind === 'conflict') duplicates.set(address, duplicate);
  else duplicates.delete(address);
  const next = { ...state, duplicates };
  const outputs = [...state.decisions].flatMap(([key, decision]): SpeakerOutput[] => {
    const service = texts(decision).includes(address) ? state.cache.get<Service>('services', key) : undefined;
    if (service === undefined) return [];
    const told = decided(next, key, decision);
    if (kind === 'conflict-ended') return [told];
    const message = describeDuplicate(state.settings.node, address, duplicate);
    const target = eventTarget('v1', 'Service', service);
    return [told, { kind: 'emit-event', target, reason: 'duplicateAddress', message }];
  });
  return { next, outputs };
}

function describeDuplicate(node: string, address: string, { mac, interface: link }: Duplicate): string {
  return `${address} is also claimed by the station with the MAC ${mac}, seen on ${link} of node "${node}": it answers for the address too, and clients reach one or the other; find the station (the MAC's first half names its maker) and take the address off it, or take it out of the pool`;
}

type Dirty = 'none' | 'all' | ReadonlySet<string>;

function isConfigChange(input: SpeakerInput | Tick, state: SpeakerState): boolean {
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
  input: Exclude<SpeakerInput, ConflictInput> | Tick,
): { next: SpeakerState; dirty: Dirty } {
  switch (input.kind) {
    case 'tick':
      // The only thing that is waited for is the end of a drain.
      return { next: state, dirty: 'all' };
    case 'liveness': {
      const dead = input.view.nodes.filter(({ state: is }) => is === 'dead').map(({ node }) => node);
      return { next: { ...state, view: input.view, dead: new Set(dead) }, dirty: 'all' };
    }
    case 'links':
      return { next: { ...state, links: input }, dirty: 'all' };
    case 'silence':
      return { next: { ...state, silent: input.peers }, dirty: 'all' };
  }
  if (input.resource === 'endpointslices') return { next: state, dirty: takeInSlices(state, input) };
  const changed = state.cache.apply(input);
  if (changed.length === 0) return { next: state, dirty: 'none' };
  if (input.resource === INCUMBENTS) return { next: state, dirty: new Set() };
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
  const { config, problems } = resolveConfig(objects, state.config, state.settings.bgpEngine);
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
  const known = new Map(state.view.nodes.map((liveness) => [liveness.node, liveness]));
  const candidates = state.cache.all<Node>('nodes').map(
    ({ metadata, spec, status }): Candidate => ({
      name: metadata.name,
      labels: metadata.labels ?? {},
      alive:
        metadata.name === state.settings.node ||
        (!state.dead.has(metadata.name) && (!state.settings.liveness || withSpeaker.has(metadata.name))),
      passive: known.get(metadata.name)?.state === 'passive',
      unsteady: known.get(metadata.name)?.state === 'unsteady',
      unheard: known.get(metadata.name)?.unheard === true,
      links: linksOf(state, metadata.name, known),
      drained: isDrained(state.settings, metadata.annotations, spec?.unschedulable),
      networkUnavailable:
        status?.conditions?.some(({ type, status: value }) => type === 'NetworkUnavailable' && value === 'True') ??
        false,
    }),
  );
  return { ...state, members: text, candidates };
}

/** Routers first hear that the node is about to go, and lose its routes later (RFC 8326 §4). A speaker that starts on a drained node announces nothing. */
function updateDrain(state: SpeakerState, wasSynced: boolean, now: Millis): SpeakerState {
  const self = state.candidates.find(({ name }) => name === state.settings.node);
  if (self?.drained !== true) return { ...state, drain: undefined };
  const leavesAt = state.drain?.leavesAt ?? now + (wasSynced ? state.settings.drainWait : 0);
  return { ...state, drain: { leavesAt, hasLeft: now >= leavesAt } };
}

/** Links that a node can announce on; undefined where that is not known, or there are more than speakers tell each other. */
function linksOf(
  { settings, links }: SpeakerState,
  node: string,
  known: ReadonlyMap<string, NodeLiveness>,
): readonly string[] | undefined {
  const isOurs = settings.liveness && node === settings.node;
  const names = isOurs ? links.fit : known.get(node)?.links?.map(({ name }) => name);
  return names === undefined || names.length >= MAX_LINKS ? undefined : names;
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
  const keys = new Set(dirty === 'all' ? [...state.cache.keys('services'), ...state.decisions.keys()] : dirty);
  for (const key of keys) electService(state, key, sha256);
  const owners = assignOwners(state, keys);
  const next = { ...state, owners, plans: decideRoutes(state, keys, dirty === 'all', outputs) };
  let isNews = false;
  for (const key of keys) if (decideService(next, key, outputs)) isNews = true;
  // Most changes concern other nodes: then thousands of announcements need not be gathered anew.
  if (!isNews) return next;
  const announcements = merge([...state.decisions.values()].flatMap((decision) => decision.announcements));
  const handingOver = merge([...state.decisions.values()].flatMap((decision) => decision.handingOver ?? []));
  const announced = JSON.stringify(
    [announcements, handingOver].map((list) =>
      list.map(({ address, interfaces }) => [formatAddress(address), interfaces ?? null]),
    ),
  );
  if (announced === state.announced) return next;
  outputs.push({ kind: 'announce', announcements, handingOver });
  return { ...next, announced };
}

function electService(state: SpeakerState, key: string, sha256: Sha256): void {
  const service = state.cache.get<Service>('services', key);
  const elected = service && electFor(factsOf(state), service, slicesOf(state, service), sha256);
  if (elected === undefined) state.elections.delete(key);
  else state.elections.set(key, elected);
}

/** With rules that look at all addresses together, a change of one Service can move others: they are added to `keys`. */
function assignOwners(state: SpeakerState, keys: Set<string>): SpeakerState['owners'] {
  const { rules } = state.settings;
  if (!rules.balanced && rules.preempt) return state.owners;
  const incumbents = incumbentsOf(state);
  const addressOf = ({ addresses: [first] }: Elected) => formatAddress(first!);
  const contestants = [...state.elections].map(([key, elected]) => ({
    address: addressOf(elected),
    election: elected.election,
    incumbent: incumbents.get(key),
  }));
  const owners = assign(contestants, rules);
  for (const [key, elected] of state.elections) {
    const address = addressOf(elected);
    if (owners.get(address) !== state.owners.get(address)) keys.add(key);
  }
  return owners;
}

interface Incumbent extends KubernetesObject {
  readonly status?: { readonly node?: string; readonly serviceName?: string; readonly serviceNamespace?: string };
}

/** Of two speakers that both say that they announce a Service the later one does: the other has not said yet that it stopped. */
function incumbentsOf({ cache, settings }: SpeakerState): Map<string, string> {
  if (settings.rules.preempt) return new Map();
  const statuses = cache.all<Incumbent>(INCUMBENTS).filter(({ status }) => status?.node !== undefined);
  const since = ({ metadata, status }: Incumbent) => `${metadata.creationTimestamp ?? ''} ${status?.node}`;
  statuses.sort((a, b) => (since(a) < since(b) ? -1 : 1));
  return new Map(statuses.map(({ status }) => [`${status!.serviceNamespace}/${status!.serviceName}`, status!.node!]));
}

/** True: something else is announced, or handed over, than before. */
function decideService(state: SpeakerState, key: string, outputs: SpeakerOutput[]): boolean {
  const service = state.cache.get<Service>('services', key);
  const old = state.decisions.get(key);
  const decision = service === undefined ? NOTHING : withHandOver(old, decisionFor(state, key));
  if (service === undefined) state.decisions.delete(key);
  else state.decisions.set(key, decision);
  const told = decided(state, key, decision);
  const isNews =
    told.announced.join() !== (old === undefined ? [] : texts(old)).join() ||
    told.interfaces.join() !== (old?.announcements[0]?.interfaces ?? []).join() ||
    verdictText(old) !== verdictText(decision);
  if (isNews) outputs.push(told);
  const isMove = announcedBy(decision) !== announcedBy(old ?? NOTHING);
  if (service === undefined) return isMove;
  const before = new Set(old?.events.map((note) => JSON.stringify(note)));
  for (const note of decision.events) {
    if (!before.has(JSON.stringify(note)))
      outputs.push({ kind: 'emit-event', target: eventTarget('v1', 'Service', service), ...note });
  }
  return isMove;
}

function decided(
  { settings, duplicates }: SpeakerState,
  service: string,
  decision: Decision,
): Extract<SpeakerOutput, { kind: 'service-decided' }> {
  const announced = texts(decision);
  return {
    kind: 'service-decided',
    service,
    announced,
    interfaces: decision.announcements[0]?.interfaces ?? [],
    election: decision.election,
    duplicates: announced.flatMap((address) => {
      const duplicate = duplicates.get(address);
      return duplicate === undefined ? [] : [describeDuplicate(settings.node, address, duplicate)];
    }),
  };
}

/** Make before break: an address that another node owns now is answered for until that node claims it. */
function withHandOver(old: Decision | undefined, decision: Decision): Decision {
  const isElsewhere = decision.announcements.length === 0 && decision.election?.owner !== undefined;
  const before = old?.announcements.length ? old.announcements : old?.handingOver;
  return isElsewhere && before !== undefined ? { ...decision, handingOver: before } : decision;
}

function announcedBy({ announcements, handingOver }: Decision): string {
  return fingerprint([announcements, handingOver]);
}

const NOTHING: Decision = { announcements: [], election: undefined, events: [] };

function texts(decision: Decision): string[] {
  return decision.announcements.map(({ address }) => formatAddress(address));
}

function verdictText(decision: Decision | undefined): string {
  return JSON.stringify(decision?.election?.checks ?? []);
}

function decisionFor({ settings, elections, owners, candidates, links }: SpeakerState, key: string): Decision {
  const elected = elections.get(key);
  if (elected === undefined) return NOTHING;
  const election = withOwner(elected.election, owners.get(formatAddress(elected.addresses[0]!)));
  const self = candidates.find(({ name }) => name === settings.node);
  if (self === undefined || election.owner !== settings.node) return { announcements: [], election, events: [] };
  const { announcements, event } = announcementsOf(elected, self, links.names);
  return { announcements, election, events: [event] };
}
