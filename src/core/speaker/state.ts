/**
 * What a speaker hears, says and knows; fsm.ts is what it makes of it.
 * @module
 */
import { type EndpointSlice, objectKey, type Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import type { Labels } from '../api/selector.ts';
import type { Gateway } from '../bgp/peers/peer-location.ts';
import type { SilentPeer } from '../bgp/peers/state.ts';
import type { WantedPeers } from '../bgp/peers/wanted.ts';
import { type BfdProfile, type BgpAdvertisement, type BgpEngine, type Config, EMPTY_CONFIG } from '../config/config.ts';
import { CONFIG_RESOURCES } from '../config/resolve.ts';
import type { AssignmentRules } from '../election/assignment.ts';
import type { Candidate, ElectionResult } from '../election/election.ts';
import type { Elected } from '../election/sharing.ts';
import { Cache, type Change } from '../kubernetes/cache.ts';
import type { Announce, Conflict, Disputed, Layer2Output } from '../layer2/state.ts';
import type { LivenessView, Member } from '../liveness/messages.ts';
import type { Millis } from '../machine.ts';
import type { BgpVerdict, EventNote, EventTarget } from '../reasons/reasons.ts';
import { AdvertisedRoutes } from './advertised-routes.ts';
import { type AddressElection, type Entry, electionsOf, type Layer2Decision, NOTHING } from './layer2-decision.ts';
import type { Resolved, ServiceFacts } from './service-facts.ts';

export const SPEAKER_RESOURCES = [
  'services',
  'endpointslices',
  'nodes',
  'pods',
  'namespaces',
  'secrets',
  ...CONFIG_RESOURCES,
] as const;
/** Who announces what now: watched when owners are not preempted. */
export const INCUMBENTS = 'servicel2statuses';
export type SpeakerResource = (typeof SPEAKER_RESOURCES)[number] | typeof INCUMBENTS;

/** What a speaker has to watch. */
export function speakerResources({ preempt }: AssignmentRules): readonly SpeakerResource[] {
  return preempt ? SPEAKER_RESOURCES : [...SPEAKER_RESOURCES, INCUMBENTS];
}

export interface SpeakerSettings {
  readonly node: string;
  readonly loadBalancerClass: string;
  readonly ignoreExcludeLabel: boolean;
  /** --drain-on-cordon: a node that is cordoned counts as drained. */
  readonly drainOnCordon: boolean;
  /** --drain-wait, in milliseconds: from asking routers to come by other nodes until the routes of a drained node go. */
  readonly drainWait: Millis;
  /** --pool-change-grace: how long an address that has lost its pool is still announced. */
  readonly poolChangeGrace: Millis;
  /** False: there is no speaker list, every known node is taken to have a speaker (docs/behaviour/layer2.md#who-counts-as-alive). */
  readonly liveness: boolean;
  /** --partition-mode=fenced: on the smaller side of a partition nothing is announced. */
  readonly fenced: boolean;
  readonly rules: AssignmentRules;
  readonly bgpEngine: BgpEngine;
  /** --frrk8s-secret-passthrough: Secrets of BGPPeers are in frr-k8s's namespace, and not looked at here. */
  readonly secretPassthrough: boolean;
}

/** `profiles`: all BFDProfiles, used or not. */
export type BgpOutput = Extract<SpeakerOutput, { kind: 'bgp' }>;
export type BgpDecided = Extract<SpeakerOutput, { kind: 'bgp-decided' }>;

/** Upstream's: the hash of each address decides, and the best node takes it back when it returns. */
export const UPSTREAM_RULES: AssignmentRules = { balanced: false, preempt: true };

/** A speaker that is not told anything besides its name, and takes every node to have one. */
export const SPEAKER_DEFAULTS: Omit<SpeakerSettings, 'node'> = {
  loadBalancerClass: '',
  ignoreExcludeLabel: false,
  drainOnCordon: false,
  drainWait: 10_000,
  poolChangeGrace: 0,
  liveness: false,
  fenced: false,
  rules: UPSTREAM_RULES,
  bgpEngine: 'native',
  secretPassthrough: false,
};

export type SpeakerInput =
  | Change<SpeakerResource>
  | { readonly kind: 'liveness'; readonly view: LivenessView }
  /** The whole of the BGPPeers that this node has had no session with for a while. */
  | { readonly kind: 'silence'; readonly peers: readonly SilentPeer[] }
  /** Who else claims an address that this node announces, or does so no longer. */
  | WireNews
  /** Names of all local links that are not excluded, and of those that can be announced on now. */
  | {
      readonly kind: 'links';
      readonly names: readonly string[];
      readonly fit: readonly string[];
      readonly gateways?: readonly Gateway[];
    };

export type WireNews = Extract<Layer2Output, { kind: 'conflict' | 'conflict-ended' | 'disputed' | 'dispute-ended' }>;

/** A station that claims an address of ours. */
export interface Duplicate extends Omit<Conflict, 'kind' | 'address'> {
  /** The node of ours that has the MAC: its speaker does not confirm the claim. */
  readonly sibling: string | undefined;
}

/** Another of our speakers announces an address too. */
export type Rival = Omit<Disputed, 'kind' | 'address'>;

export type SpeakerOutput =
  | Announce
  /** Routers of this node, or what they are to hold, have changed. */
  | ({ readonly kind: 'bgp'; readonly profiles: readonly BfdProfile[] } & WantedPeers)
  /** For metrics, logs and status: what this node tells routers of a Service has changed. */
  | {
      readonly kind: 'bgp-decided';
      readonly service: string;
      readonly verdict: BgpVerdict | undefined;
      readonly prefixes: readonly string[];
      readonly addresses: readonly string[];
      readonly peers: readonly string[];
      /** The routers do not hear it, and no other node announces the Service to any that does. */
      readonly unheard: boolean;
    }
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  | ({ readonly kind: 'emit-event'; readonly target: EventTarget } & EventNote)
  | { readonly kind: 'configuration'; readonly config: Config; readonly problems: readonly Problem[] }
  /** For metrics and logs: what this node says about a Service has changed. */
  | {
      readonly kind: 'service-decided';
      readonly service: string;
      /** Less what another speaker keeps. */
      readonly announced: readonly string[];
      /** Interfaces of the announcement; empty: all. */
      readonly interfaces: readonly string[];
      readonly election: ElectionResult | undefined;
      /** Another node owns one of its addresses. */
      readonly isPartial: boolean;
      /** In words: who else claims its addresses. */
      readonly duplicates: readonly string[];
      /** In words: which of our speakers announce them too, and who is silent. */
      readonly disputes: readonly string[];
    };

/** How far this node has gone with its drain: the annotation metallb.io/drain is on it, or what counts as it. */
export type Drain =
  | { readonly kind: 'none' }
  /** Routers have been asked to send elsewhere, and have time for it until then. */
  | { readonly kind: 'leaving'; readonly until: Millis }
  /** What others announce too is not announced from here any more. */
  | { readonly kind: 'left' };

/** A configuration that was in force, and until when it still counts for addresses that have lost their pool. */
export interface Former extends Resolved {
  readonly until: Millis;
}

/** The whole of what this node announces at layer 2. */
export type Announced = Omit<Announce, 'kind'>;

export interface SpeakerState {
  readonly settings: SpeakerSettings;
  readonly cache: Cache<SpeakerResource>;
  readonly config: Config;
  /** The latest first. */
  readonly former: readonly Former[];
  readonly view: LivenessView;
  readonly dead: ReadonlySet<string>;
  readonly links: Omit<Extract<SpeakerInput, { kind: 'links' }>, 'kind'>;
  readonly candidates: readonly Candidate[];
  /** Keys of the EndpointSlices of each Service. */
  readonly slices: Map<string, Set<string>>;
  /** Services that could be announced. */
  readonly entries: Map<string, Entry>;
  /** Who has each address, in their status. */
  readonly sharers: Map<string, Set<string>>;
  /** By address. */
  readonly elections: Map<string, Elected>;
  /** By the address that is its own, the node. */
  readonly nodeAddresses: ReadonlyMap<string, string>;
  /** With rules of our own: the owner of the addresses that this one stands for. */
  readonly owners: ReadonlyMap<string, string | undefined>;
  readonly decisions: Map<string, Layer2Decision>;
  readonly drain: Drain;
  readonly advertised: AdvertisedRoutes;
  readonly silent: readonly SilentPeer[];
  /** What the last `bgp` output said of routers; undefined: there was none. */
  readonly peers: Pick<BgpOutput, 'plans' | 'profiles'> | undefined;
  /** What was told of each Service. */
  readonly toldBgp: Map<string, BgpDecided>;
  /** By address. */
  readonly duplicates: ReadonlyMap<string, Duplicate>;
  /** By address. */
  readonly rivals: ReadonlyMap<string, Rival>;
  /** Who should be there, by name of the node. */
  readonly members: readonly Member[];
  readonly announced: Announced;
  /** The labels of this node that the configuration in force was resolved with. */
  readonly ownLabels: Labels;
  /** The BGPAdvertisements that other nodes go by, as far as it can be known here. */
  readonly unsettled: readonly BgpAdvertisement[];
}

export function initialSpeaker(settings: SpeakerSettings): SpeakerState {
  return {
    settings,
    cache: new Cache(speakerResources(settings.rules)),
    config: EMPTY_CONFIG,
    former: [],
    view: { nodes: [], quorum: true },
    dead: new Set(),
    links: { names: [], fit: [] },
    candidates: [],
    slices: new Map(),
    entries: new Map(),
    sharers: new Map(),
    elections: new Map(),
    nodeAddresses: new Map(),
    owners: new Map(),
    decisions: new Map(),
    drain: { kind: 'none' },
    advertised: new AdvertisedRoutes(),
    silent: [],
    peers: undefined,
    toldBgp: new Map(),
    duplicates: new Map(),
    rivals: new Map(),
    members: [],
    announced: { announcements: [], handingOver: [] },
    unsettled: [],
    ownLabels: {},
  };
}

/** What decisions about Services go by, besides the Services. */
export function factsOf(state: SpeakerState): ServiceFacts {
  const { settings, config, unsettled, former, candidates, dead, view } = state;
  const { node, loadBalancerClass, ignoreExcludeLabel } = settings;
  const fenced = settings.fenced && !view.quorum;
  return { loadBalancerClass, ignoreExcludeLabel, fenced, config, unsettled, former, node, candidates, dead };
}

export function slicesOf(state: SpeakerState, service: Service): EndpointSlice[] {
  return [...(state.slices.get(objectKey(service)) ?? [])].flatMap(
    (key) => state.cache.get<EndpointSlice>('endpointslices', key) ?? [],
  );
}

/** Who was elected for the addresses of the Service, by address, those with one owner once; empty: there is nothing to announce. */
export function electionsFor({ decisions }: SpeakerState, service: string): readonly AddressElection[] {
  return electionsOf(decisions.get(service) ?? NOTHING);
}
