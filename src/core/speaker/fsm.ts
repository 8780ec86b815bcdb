/**
 * The speaker of one node as a machine: changes of the cluster in; what this node announces, and Events, out.
 *
 *   gather  the cache of watched objects, the dead nodes, the local links
 *   decide  the election, for each Service (docs/behaviour/layer2.md)
 *   act     the whole of what to announce, whenever it differs from before
 * @module
 */
import { type EndpointSlice, type Node, objectKey } from '../api/kubernetes.ts';
import type { Labels } from '../api/selector.ts';
import type { Config } from '../config/config.ts';
import { CONFIG_RESOURCES, resolveConfig } from '../config/resolve.ts';
import type { Sha256 } from '../election/election.ts';
import type { Change } from '../kubernetes/cache.ts';
import { type Deadline, earliest, type Machine, type Millis, type Tick } from '../machine.ts';
import { equal } from '../net/equal.ts';
import { serviceOf } from '../service/endpoints.ts';
import { candidatesOf, drainOf, membersOf, nodeAddresses } from './candidates.ts';
import { decideAnnouncements, electOwners } from './layer2.ts';
import { decideRoutes } from './routes.ts';
import {
  type Former,
  INCUMBENTS,
  type SpeakerInput,
  type SpeakerOutput,
  type SpeakerResource,
  type SpeakerState,
  type WireNews,
} from './state.ts';
import { isWireNews, takeInWireNews } from './wire-news.ts';

/** What the configuration is made of, besides the labels of this node. */
const CONFIGURING = ['namespaces', 'secrets', ...CONFIG_RESOURCES] as const;

/** `sha256` is handed in. The state is owned by the machine and partly changed in place; see core/machine.ts. */
export function speakerMachine(sha256: Sha256): Machine<SpeakerState, SpeakerInput, SpeakerOutput> {
  return {
    step(state, input, now) {
      const outputs: SpeakerOutput[] = [];
      if (isWireNews(input)) return takeInWireNews(state, input);
      const wasSynced = state.cache.synced;
      let { next, dirty } = takeIn(state, input, now);
      // Nothing is announced and nothing withdrawn before the whole truth is known.
      if (!next.cache.synced) return { next, outputs };
      if (!wasSynced) dirty = 'all';
      if (!wasSynced || (dirty !== 'none' && isConfigChange(input, next))) next = reconfigure(next, now, outputs);
      // Pods, nodes and deaths make everything dirty; a change of one Service says nothing about who is there.
      if (dirty === 'all') {
        next = updateCandidates(next, outputs);
        next = { ...next, drain: drainOf(next, !wasSynced, now) };
      }
      next = decide(next, dirty, sha256, outputs);
      return { next, outputs };
    },
    nextDeadline: (state) => earliest(deadlines(state)),
  };
}

function* deadlines({ drain, former }: SpeakerState): Iterable<Deadline> {
  if (drain.kind === 'leaving') yield { at: drain.until, why: 'routers have been asked to go elsewhere' };
  for (const { until } of former) yield { at: until, why: 'addresses have lost their pool' };
}

type Dirty = 'none' | 'all' | ReadonlySet<string>;

function isConfigChange(input: SpeakerInput | Tick, state: SpeakerState): boolean {
  if (!('resource' in input)) return false;
  if (input.resource === 'nodes') return !equal(ownLabels(state), state.ownLabels);
  return (CONFIGURING as readonly string[]).includes(input.resource);
}

/** What node selectors go by here; a node that nobody knows has none. */
function ownLabels({ cache, settings }: SpeakerState): Labels {
  return cache.get<Node>('nodes', `/${settings.node}`)?.metadata.labels ?? {};
}

function takeIn(
  state: SpeakerState,
  input: Exclude<SpeakerInput, WireNews> | Tick,
  now: Millis,
): { next: SpeakerState; dirty: Dirty } {
  switch (input.kind) {
    case 'tick':
      // What is waited for, the end of a drain or of a grace, may concern every Service.
      return { next: { ...state, former: state.former.filter(({ until }) => until > now) }, dirty: 'all' };
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
      const others = state.slices.get(old);
      others?.delete(key);
      if (others?.size === 0) state.slices.delete(old);
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

function reconfigure(state: SpeakerState, now: Millis, outputs: SpeakerOutput[]): SpeakerState {
  const { bgpEngine: engine, secretPassthrough } = state.settings;
  const looked = CONFIGURING.filter((resource) => !(secretPassthrough && resource === 'secrets'));
  const objects = state.cache.of(looked);
  const node = ownLabels(state);
  const viewpoint = { engine, node };
  const { config, problems, unsettled } = resolveConfig(objects, state.config, viewpoint);
  outputs.push({ kind: 'configuration', config, problems });
  return { ...state, config, unsettled, former: formerAfter(state, config, now), ownLabels: node };
}

/** What was in force still counts for addresses that have lost their pool, as long as the controller leaves them where they are. */
function formerAfter(
  { settings, config, unsettled, former }: SpeakerState,
  next: Config,
  now: Millis,
): readonly Former[] {
  const { poolChangeGrace } = settings;
  if (poolChangeGrace === 0 || config.pools.length === 0 || equal(config.pools, next.pools)) return former;
  return [{ config, unsettled, until: now + poolChangeGrace }, ...former];
}

/** Takes in who should be there, and what is known of each node. */
function updateCandidates(state: SpeakerState, outputs: SpeakerOutput[]): SpeakerState {
  const members = membersOf(state);
  if (state.settings.liveness && !equal(members, state.members)) outputs.push({ kind: 'members', members });
  return { ...state, members, candidates: candidatesOf(state, members), nodeAddresses: nodeAddresses(state) };
}

function decide(state: SpeakerState, dirty: Dirty, sha256: Sha256, outputs: SpeakerOutput[]): SpeakerState {
  if (dirty === 'none') return state;
  const keys = new Set(dirty === 'all' ? [...state.cache.keys('services'), ...state.decisions.keys()] : dirty);
  const owners = electOwners(state, keys, sha256);
  const next = { ...state, owners, peers: decideRoutes(state, keys, dirty === 'all', outputs) };
  return decideAnnouncements(next, keys, sha256, outputs);
}
