/**
 * What the liveness machine knows, hears and asks for. fsm.ts is how it moves.
 * @module
 */
import type { SpeakerHealth } from '../election/election.ts';
import type { Millis } from '../machine.ts';
import { nextRandom as randomAfter } from '../random.ts';
import type { FitLink, HolderContent, Member, MemberRecord, Message, Status, Update } from './messages.ts';
import { ABSENT, ASSUMED, digestOf, hash } from './records.ts';
import { ReplayWindow } from './replay-window.ts';
import { Ring } from './ring.ts';

/** Intervals after which an isolated speaker takes itself to be the last one, and a starting one takes those it has not heard from to be absent. */
export const PATIENCE = 10;
/** Suspicion begins so many intervals before a death is declared. */
export const SUSPECT_EARLIER = 0.75;

export interface LivenessSettings {
  readonly self: string;
  readonly incarnation: bigint;
  /** Milliseconds between pings. */
  readonly interval: Millis;
  /** Missed intervals after which a node counts as dead. */
  readonly misses: number;
  /** Deaths take effect ten intervals later: until then the smaller side of a partition has fallen silent (--partition-mode=fenced). */
  readonly fenced: boolean;
}

/** One other speaker. Times that are undefined: it has not happened yet. */
export interface Peer {
  member: Member;
  record: MemberRecord;
  /** When its status came about. */
  since: Millis | undefined;
  /** When a datagram of its own came in. */
  lastHeard: Millis | undefined;
  /** When another speaker heard from it, according to an indirect ack. */
  indirectlyHeard: Millis | undefined;
  /** Since when we watch it: nobody is late before having had the time to speak. */
  watchedSince: Millis | undefined;
  window: ReplayWindow;
  /** The incarnation that the window belongs to. */
  windowOf: bigint;
  /** `confirmations`: others that have not heard from it either. */
  suspicion: { confirmations: number } | undefined;
  /** Who has sent a ping-req about it and waits for a sign of life. */
  readonly requesters: Set<string>;
  /** A death that we heard of late, which it may refute until then. */
  lateDeath: { readonly update: Update; readonly until: Millis } | undefined;
  /** Since when its digest has differed from ours. */
  differsSince: Millis | undefined;
  pinged: { readonly sequence: number; readonly at: Millis } | undefined;
  roundTrip: Millis | undefined;
  /** Its state as last reported to the election. */
  reported: SpeakerHealth;
}

/**
 * Owned by the machine and changed in place: copying what is known of thousands for every datagram would cost too much.
 * Times that are undefined: it has not happened yet, or is not planned.
 */
export interface LivenessState {
  readonly settings: LivenessSettings;
  readonly peers: Map<string, Peer>;
  /** What was heard last of members that are none any more: if they come back, nothing of it counts again. */
  readonly former: Map<string, Pick<Peer, 'window' | 'windowOf'>>;
  ring: Ring;
  /** This speaker's own record. */
  own: MemberRecord;
  /** Those that it has had since the start, the last one at the end; of very many, the last ones. */
  ownIncarnations: readonly bigint[];
  /** When the last of them began, if it is not the first. */
  renewedAt: Millis | undefined;
  ownSince: Millis | undefined;
  /** When we begin to say that we are active. */
  activeAt: Millis | undefined;
  isReady: boolean;
  knowsMembers: boolean;
  isLeaving: boolean;
  links: readonly FitLink[];
  unheard: boolean;
  sequence: number;
  digest: number;
  nextPing: Millis | undefined;
  /** When members that we only assume to be there become absent. */
  assumedUntil: Millis | undefined;
  /** Who watches us, and whom we watch. */
  monitors: readonly string[];
  monitorsSince: Millis | undefined;
  watched: readonly string[];
  /** Members that do not run, as far as we know; undefined: to be gathered again. One of them is pinged in every interval. */
  notRunning: string[] | undefined;
  nextNotRunning: number;
  heardAt: Millis | undefined;
  ackedAt: Millis | undefined;
  /** Before this moment nobody had the time to speak: we were not listening. */
  graceFrom: Millis | undefined;
  /** How late our own timers are, as steps by which our windows grow (Lifeguard's local health). */
  lateness: number;
  isolatedSince: Millis | undefined;
  isAlone: boolean;
  /** Until when this speaker holds itself down, because it has flapped. */
  holdUntil: Millis | undefined;
  /** When it refuted its death, or was not acknowledged, lately. */
  flaps: Millis[];
  /** Updates that ride on every datagram, by node, with how often each was sent. */
  readonly piggyback: Map<string, number>;
  /** Nodes whose updates nobody has been sent yet. */
  readonly unsent: Set<string>;
  /** Not before this moment do datagrams go out for the sake of updates alone. */
  gossipFrom: Millis | undefined;
  pull: { readonly from: string; readonly until: Millis } | undefined;
  pulledAt: Millis | undefined;
  /** Nodes with a `lateDeath`. */
  readonly lateDeaths: Set<string>;
  /** Nodes whose death has not taken effect yet, with `fenced`. */
  readonly deferredDeaths: Set<string>;
  random: number;
  quorum: boolean;
}

export function initialLiveness(settings: LivenessSettings): LivenessState {
  const { self: node } = settings;
  // Of a clock that stands before 1970.
  const incarnation = settings.incarnation > ABSENT ? settings.incarnation : ABSENT + 1n;
  const own: MemberRecord = { node, incarnation, version: 0, status: 'starting', links: [], unheard: false };
  return {
    settings,
    peers: new Map(),
    former: new Map(),
    ring: new Ring([node]),
    own,
    ownIncarnations: [incarnation],
    renewedAt: undefined,
    ownSince: undefined,
    activeAt: undefined,
    isReady: false,
    knowsMembers: false,
    isLeaving: false,
    links: [],
    unheard: false,
    sequence: 0,
    digest: digestOf(own),
    nextPing: undefined,
    assumedUntil: undefined,
    monitors: [],
    monitorsSince: undefined,
    watched: [],
    notRunning: undefined,
    nextNotRunning: 0,
    heardAt: undefined,
    ackedAt: undefined,
    graceFrom: undefined,
    lateness: 0,
    isolatedSince: undefined,
    isAlone: false,
    holdUntil: undefined,
    flaps: [],
    piggyback: new Map(),
    unsent: new Set(),
    gossipFrom: undefined,
    pull: undefined,
    pulledAt: undefined,
    lateDeaths: new Set(),
    deferredDeaths: new Set(),
    random: hash(`${node} ${incarnation}`) || 1,
    quorum: true,
  };
}

export function newPeer(member: Member, incarnation: bigint, status: Status): Peer {
  return {
    member,
    record: { node: member.node, incarnation, version: 0, status, links: [], unheard: false },
    since: undefined,
    lastHeard: undefined,
    indirectlyHeard: undefined,
    watchedSince: undefined,
    window: new ReplayWindow(),
    windowOf: ASSUMED,
    suspicion: undefined,
    requesters: new Set(),
    lateDeath: undefined,
    differsSince: undefined,
    pinged: undefined,
    roundTrip: undefined,
    reported: 'alive',
  };
}

export function nodeOf({ member }: Peer): string {
  return member.node;
}

/** Somebody has heard from it: we do not only assume that it is there. */
export function isKnown({ record }: Peer): boolean {
  return record.incarnation !== ASSUMED;
}

/** A whole number below `limit`: whom gossip goes to is no secret. */
export function nextRandom(state: LivenessState, limit: number): number {
  state.random = randomAfter(state.random);
  return state.random % limit;
}

export type LivenessOutput =
  | { readonly kind: 'send-message'; readonly message: Message; readonly to: Member }
  /** Another speaker asks, or says, who has an address. */
  | { readonly kind: 'about-addresses'; readonly from: string; readonly content: HolderContent }
  /** What livenessView says has changed. */
  | { readonly kind: 'view-changed' }
  /** For logs and metrics: how the view has changed. `silentFor` with `dead`: for how long this speaker itself has not heard from it. */
  | {
      readonly kind: 'node-changed';
      readonly node: string;
      readonly state: SpeakerHealth | 'forgotten';
      readonly silentFor?: Millis;
    }
  /** This speaker hears nobody any more, or somebody again. */
  | { readonly kind: 'isolation-changed'; readonly isolated: boolean };

/** One step: the state, which is changed in place, and what comes out of it. */
export interface Turn {
  readonly s: LivenessState;
  readonly now: Millis;
  readonly outputs: LivenessOutput[];
}
