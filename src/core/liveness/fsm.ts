/**
 * Which speakers are alive: each sends a heartbeat to every other one, and who is not heard for three intervals is
 * dead. Membership comes from the API; the absence of news about the API changes nothing here.
 *
 * This is the simple form. Every speaker talks to every other one, which is right for tens of nodes, not for thousands.
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import type { Heartbeat, Member, Phase } from './messages.ts';

export interface LivenessSettings {
  readonly self: string;
  readonly incarnation: bigint;
  /** Milliseconds between heartbeats. */
  readonly interval: number;
  /** Missed intervals after which a node counts as dead. */
  readonly misses: number;
}

interface Peer {
  readonly member: Member;
  /** When it was last heard, or first known: nobody is dead before having had the time to speak. */
  readonly lastHeard: Millis;
  readonly alive: boolean;
  /** What it said last; undefined: it has not been heard of yet. */
  readonly phase: Phase | undefined;
  readonly incarnation: bigint;
  readonly sequence: number;
}

export interface LivenessState {
  readonly settings: LivenessSettings;
  readonly peers: ReadonlyMap<string, Peer>;
  readonly sequence: number;
  readonly nextHeartbeat: Millis;
  /** What we say of ourselves. */
  readonly phase: Phase;
  /** When we begin to say that we are active. */
  readonly activeAt: Millis;
}

export type LivenessInput =
  | { readonly kind: 'start' }
  /** This speaker knows the cluster and announces from now on. */
  | { readonly kind: 'ready' }
  /** This speaker is being stopped. */
  | { readonly kind: 'leave' }
  /** All speakers there should be, ourselves included or not. */
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** An authenticated heartbeat. */
  | { readonly kind: 'heartbeat-received'; readonly heartbeat: Heartbeat };

export type LivenessOutput =
  | { readonly kind: 'send-heartbeat'; readonly heartbeat: Heartbeat; readonly to: readonly string[] }
  | { readonly kind: 'node-died'; readonly node: string; readonly silentFor: number }
  /** Its speaker does not announce, for it starts or is being stopped, or has never been heard of. */
  | { readonly kind: 'node-passive'; readonly node: string }
  | { readonly kind: 'node-came-alive'; readonly node: string }
  /** A node that counted as dead, or as passive, is no member any more. */
  | { readonly kind: 'node-forgotten'; readonly node: string };

export function initialLiveness(settings: LivenessSettings): LivenessState {
  return { settings, peers: new Map(), sequence: 0, nextHeartbeat: NEVER, phase: 'starting', activeAt: NEVER };
}

const NEVER = Number.POSITIVE_INFINITY;

type Outcome = { readonly next: LivenessState; readonly outputs: readonly LivenessOutput[] };

export const livenessMachine: Machine<LivenessState, LivenessInput, LivenessOutput> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'start':
        return onTick({ ...state, nextHeartbeat: now }, now);
      case 'ready':
        // Not before we have noticed who is not there: until then we may believe that a dead node speaks for an address that is
        // ours, and those who announce it now would stop in vain.
        return {
          next: { ...state, activeAt: now + state.settings.interval * (state.settings.misses + 1) },
          outputs: [],
        };
      case 'leave':
        return onTick({ ...state, phase: 'leaving', activeAt: NEVER, nextHeartbeat: now }, now);
      case 'members':
        return onMembers(state, input.members, now);
      case 'heartbeat-received':
        return onHeartbeat(state, input.heartbeat, now);
      case 'tick':
        return onTick(state, now);
    }
  },
  nextDeadline(state): Deadline | undefined {
    const silence = [...state.peers.values()]
      .filter((peer) => peer.alive && isExpected(peer))
      .map((peer) => ({
        at: deadAt(state, peer),
        why: `${peer.member.node} has to be heard from`,
      }));
    const heartbeat = { at: Math.min(state.nextHeartbeat, state.activeAt), why: 'next heartbeat' };
    return earliest(heartbeat.at === NEVER ? silence : [heartbeat, ...silence]);
  },
};

/** The nodes that count as dead. All others, unknown ones included, count as alive. */
export function deadNodes(state: LivenessState): string[] {
  return [...state.peers.values()]
    .filter((peer) => !peer.alive)
    .map((peer) => peer.member.node)
    .sort();
}

/** The nodes that are not dead, but whose speakers do not announce. */
export function passiveNodes(state: LivenessState): string[] {
  return [...state.peers.values()]
    .filter((peer) => peer.alive && isPassive(peer))
    .map((peer) => peer.member.node)
    .sort();
}

function isPassive({ phase }: Peer): boolean {
  return phase !== 'active';
}

/** Silence means death only of those who have spoken and not said goodbye. */
function isExpected({ phase }: Peer): boolean {
  return phase === 'starting' || phase === 'active';
}

function deadAt({ settings }: LivenessState, peer: Peer): Millis {
  return peer.lastHeard + settings.interval * settings.misses;
}

function onMembers(state: LivenessState, members: readonly Member[], now: Millis): Outcome {
  const peers = new Map<string, Peer>();
  // Who is there when we come is taken to be active until it is late: we do not take everything because we have just arrived.
  // Who comes later is not, before it says so.
  const phase: Peer['phase'] = state.peers.size === 0 ? 'active' : undefined;
  for (const member of members) {
    if (member.node === state.settings.self) continue;
    const old = state.peers.get(member.node);
    const fresh = { member, lastHeard: now, alive: true, phase, incarnation: -1n, sequence: -1 };
    peers.set(member.node, old === undefined ? fresh : { ...old, member });
  }
  // Whoever is new to us has to hear of us at once, not an interval later.
  const isNew = [...peers.keys()].some((node) => !state.peers.has(node));
  const nextHeartbeat = isNew && state.nextHeartbeat !== NEVER ? now : state.nextHeartbeat;
  const awaited = [...peers].filter(([node, peer]) => !state.peers.has(node) && isPassive(peer)).map(([node]) => node);
  const forgotten = [...state.peers.values()].filter(
    (peer) => (!peer.alive || isPassive(peer)) && !peers.has(peer.member.node),
  );
  return {
    next: { ...state, peers, nextHeartbeat },
    outputs: [
      ...forgotten.map(({ member }): LivenessOutput => ({ kind: 'node-forgotten', node: member.node })),
      ...awaited.map((node): LivenessOutput => ({ kind: 'node-passive', node })),
    ],
  };
}

function onHeartbeat(state: LivenessState, heartbeat: Heartbeat, now: Millis): Outcome {
  const peer = state.peers.get(heartbeat.node);
  if (peer === undefined || !isNewer(heartbeat, peer)) return { next: state, outputs: [] };
  const { node, incarnation, sequence, phase } = heartbeat;
  const heard: Peer = { ...peer, lastHeard: now, alive: true, phase, incarnation, sequence };
  const next = withPeer(state, heard);
  const was = !peer.alive ? 'dead' : isPassive(peer) ? 'passive' : 'active';
  const is = isPassive(heard) ? 'passive' : 'active';
  if (was === is) return { next, outputs: [] };
  return { next, outputs: [{ kind: is === 'passive' ? 'node-passive' : 'node-came-alive', node }] };
}

/** A recorded heartbeat that is played back proves nothing. */
function isNewer(heartbeat: Heartbeat, peer: Peer): boolean {
  if (heartbeat.incarnation !== peer.incarnation) return heartbeat.incarnation > peer.incarnation;
  return heartbeat.sequence > peer.sequence;
}

function onTick(state: LivenessState, now: Millis): Outcome {
  const outputs: LivenessOutput[] = [];
  let next = state;
  for (const peer of state.peers.values()) {
    if (!peer.alive || !isExpected(peer) || now < deadAt(state, peer)) continue;
    next = withPeer(next, { ...peer, alive: false });
    outputs.push({ kind: 'node-died', node: peer.member.node, silentFor: now - peer.lastHeard });
  }
  const isActiveNow = now >= state.activeAt;
  if (isActiveNow) next = { ...next, phase: 'active', activeAt: NEVER };
  if (now >= state.nextHeartbeat || isActiveNow) {
    const { self: node, incarnation, interval } = state.settings;
    const heartbeat = { node, incarnation, sequence: state.sequence, phase: next.phase };
    const to = [...state.peers.values()].map((peer) => peer.member.address);
    if (to.length > 0) outputs.push({ kind: 'send-heartbeat', heartbeat, to });
    // A late timer does not send a burst to catch up: the next one is an interval away.
    const nextHeartbeat = Math.max(Math.min(state.nextHeartbeat, now) + interval, now + interval / 2);
    next = { ...next, sequence: state.sequence + 1, nextHeartbeat };
  }
  return { next, outputs };
}

function withPeer(state: LivenessState, peer: Peer): LivenessState {
  return { ...state, peers: new Map(state.peers).set(peer.member.node, peer) };
}
