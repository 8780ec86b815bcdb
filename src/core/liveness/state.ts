/**
 * What the liveness machine knows, and what can be read off it.
 * @module
 */
import type { Millis } from '../machine.ts';
import type {
  FitLink,
  LivenessView,
  Member,
  MemberRecord,
  Message,
  News,
  NodeLiveness,
  NodeState,
  Status,
} from './messages.ts';
import { ASSUMED, fingerprint, hash, isRunning, stateOf } from './records.ts';
import { ReplayWindow } from './replay-window.ts';
import { Ring } from './ring.ts';

export const NEVER = Number.POSITIVE_INFINITY;
export const LONG_AGO = Number.NEGATIVE_INFINITY;

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

export interface Peer {
  member: Member;
  record: MemberRecord;
  /** When its status came about. */
  since: Millis;
  /** When a datagram of its own came in. */
  lastHeard: Millis;
  /** When another one heard of it, by its own word. */
  vouched: Millis;
  /** Since when it is ours to watch: nobody is late before having had the time to speak. */
  watchedSince: Millis;
  window: ReplayWindow;
  /** The incarnation that the window is about. */
  windowOf: bigint;
  suspicion: { agreed: number } | undefined;
  /** Who waits for a sign of life of it. */
  readonly askers: Set<string>;
  /** Late news of its death, which it may refute until then. */
  doubt: { readonly news: News; readonly until: Millis } | undefined;
  /** Since when it has known other things than we do. */
  differsSince: Millis | undefined;
  pinged: { readonly sequence: number; readonly at: Millis } | undefined;
  roundTrip: Millis | undefined;
  /** What the election makes of it, as told last. */
  told: NodeState;
}

/** Owned by the machine and changed in place: copying what is known of thousands for every datagram would cost too much. */
export interface LivenessState {
  readonly settings: LivenessSettings;
  readonly peers: Map<string, Peer>;
  ring: Ring;
  /** This speaker's own record. */
  own: MemberRecord;
  ownSince: Millis;
  /** When we begin to say that we are active. */
  activeAt: Millis;
  isReady: boolean;
  knowsMembers: boolean;
  isLeaving: boolean;
  links: readonly FitLink[];
  unheard: boolean;
  sequence: number;
  digest: number;
  nextPing: Millis;
  /** When all that we took for granted when we came is doubted. */
  assumedUntil: Millis;
  /** Who watches us, and whom we watch. */
  monitors: readonly string[];
  monitorsSince: Millis;
  watched: readonly string[];
  /** Those who do not run, as far as we know; undefined: to be gathered anew. One of them is pinged in every interval. */
  outcasts: string[] | undefined;
  nextOutcast: number;
  heardAt: Millis;
  ackedAt: Millis;
  /** Before this moment nobody had the time to speak: we were not listening. */
  graceFrom: Millis;
  /** How late our own timers are, as steps by which our windows grow. */
  lateness: number;
  isolatedSince: Millis | undefined;
  isAlone: boolean;
  /** Until when this speaker holds itself down, for it came and went too often. */
  holdUntil: Millis;
  /** When it was refuted, or unheard, lately. */
  faults: Millis[];
  /** What still has to be told, and how often it was. */
  readonly rumors: Map<string, number>;
  /** What nobody has been told yet. */
  readonly fresh: Set<string>;
  toldAt: Millis;
  pull: { readonly from: string; readonly until: Millis } | undefined;
  pulledAt: Millis;
  /** Those of whose death there is late news. */
  readonly doubted: Set<string>;
  /** Deaths that have not taken effect yet, with `fenced`. */
  readonly held: Set<string>;
  random: number;
  quorum: boolean;
}

export function initialLiveness(settings: LivenessSettings): LivenessState {
  const { self: node, incarnation } = settings;
  const own: MemberRecord = { node, incarnation, version: 0, status: 'starting', links: [], unheard: false };
  return {
    settings,
    peers: new Map(),
    ring: new Ring([node]),
    own,
    ownSince: LONG_AGO,
    activeAt: NEVER,
    isReady: false,
    knowsMembers: false,
    isLeaving: false,
    links: [],
    unheard: false,
    sequence: 0,
    digest: fingerprint(own),
    nextPing: NEVER,
    assumedUntil: NEVER,
    monitors: [],
    monitorsSince: LONG_AGO,
    watched: [],
    outcasts: undefined,
    nextOutcast: 0,
    heardAt: LONG_AGO,
    ackedAt: LONG_AGO,
    graceFrom: LONG_AGO,
    lateness: 0,
    isolatedSince: undefined,
    isAlone: false,
    holdUntil: LONG_AGO,
    faults: [],
    rumors: new Map(),
    fresh: new Set(),
    toldAt: LONG_AGO,
    pull: undefined,
    pulledAt: LONG_AGO,
    doubted: new Set(),
    held: new Set(),
    random: hash(`${node} ${incarnation}`) || 1,
    quorum: true,
  };
}

export function newPeer(member: Member, incarnation: bigint, status: Status): Peer {
  return {
    member,
    record: { node: member.node, incarnation, version: 0, status, links: [], unheard: false },
    since: LONG_AGO,
    lastHeard: LONG_AGO,
    vouched: LONG_AGO,
    watchedSince: LONG_AGO,
    window: new ReplayWindow(),
    windowOf: ASSUMED,
    suspicion: undefined,
    askers: new Set(),
    doubt: undefined,
    differsSince: undefined,
    pinged: undefined,
    roundTrip: undefined,
    told: 'alive',
  };
}

/** A whole number below `limit` (xorshift32): who is told something by chance is no secret. */
export function nextRandom(state: LivenessState, limit: number): number {
  let x = state.random;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  state.random = x >>> 0;
  return state.random % limit;
}

/** All that the election has to know. */
export function livenessView(state: LivenessState): LivenessView {
  const nodes: NodeLiveness[] = [];
  for (const { record, told } of state.peers.values()) {
    const { node, unheard } = record;
    const isHeardOf = record.incarnation > 0n;
    if (told !== 'alive' || isHeardOf)
      nodes.push({ node, state: told, links: isHeardOf ? record.links : undefined, unheard });
  }
  const { own, links, unheard } = state;
  if (own.status === 'unsteady') nodes.push({ node: own.node, state: 'unsteady', links, unheard });
  nodes.sort((a, b) => (a.node < b.node ? -1 : 1));
  return { nodes, quorum: state.quorum };
}

/** What is known first-hand of one of those that this speaker watches or is watched by. */
export interface PeerReport {
  readonly node: string;
  /** Milliseconds since it was heard; undefined: never. */
  readonly silentFor: Millis | undefined;
  readonly roundTrip: Millis | undefined;
  readonly suspected: boolean;
}

export function peerReports(state: LivenessState, now: Millis): PeerReport[] {
  return [...new Set([...state.monitors, ...state.watched])].sort().flatMap((node) => {
    const peer = state.peers.get(node);
    if (peer === undefined) return [];
    const silentFor = peer.lastHeard === LONG_AGO ? undefined : now - peer.lastHeard;
    return [{ node, silentFor, roundTrip: peer.roundTrip, suspected: peer.suspicion !== undefined }];
  });
}

/**
 * Most of those that run or should: a half needs the first by name. Who leaves, or has never come, is not counted. An isolated
 * speaker counts itself only.
 */
export function hasQuorum(state: LivenessState): boolean {
  let running = 1;
  let all = 1;
  let first = state.own.node;
  let isFirstHere = true;
  for (const { record } of state.peers.values()) {
    const runs = isRunning(record) && state.isolatedSince === undefined;
    if (!isRunning(record) && stateOf(record) !== 'dead') continue;
    all++;
    if (runs) running++;
    if (record.node < first) {
      first = record.node;
      isFirstHere = runs;
    }
  }
  return running * 2 > all || (running * 2 === all && isFirstHere);
}

export type LivenessOutput =
  | { readonly kind: 'send-message'; readonly message: Message; readonly to: Member }
  /** What livenessView says has changed. */
  | { readonly kind: 'view-changed' }
  /** For logs and metrics: how the view has changed. `silentFor` with `dead`: since when this speaker has not heard it itself. */
  | {
      readonly kind: 'node-changed';
      readonly node: string;
      readonly state: NodeState | 'forgotten';
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
