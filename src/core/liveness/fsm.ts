/**
 * Which speakers are alive: each sends a heartbeat to every other one, and who is not heard for three intervals is
 * dead. Membership comes from the API; the absence of news about the API changes nothing here.
 *
 * This is the simple form. Every speaker talks to every other one, which is right for tens of nodes, not for thousands.
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import type { Heartbeat, Member } from './messages.ts';

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
  /** It has said goodbye: its silence means nothing any more. */
  readonly left: boolean;
  readonly incarnation: bigint;
  readonly sequence: number;
}

export interface LivenessState {
  readonly settings: LivenessSettings;
  readonly peers: ReadonlyMap<string, Peer>;
  readonly sequence: number;
  readonly nextHeartbeat: Millis;
  /** We say goodbye with every heartbeat from now on. */
  readonly leaving: boolean;
}

export type LivenessInput =
  | { readonly kind: 'start' }
  /** This speaker is being stopped. */
  | { readonly kind: 'leave' }
  /** All speakers there should be, ourselves included or not. */
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** An authenticated heartbeat. */
  | { readonly kind: 'heartbeat-received'; readonly heartbeat: Heartbeat };

export type LivenessOutput =
  | { readonly kind: 'send-heartbeat'; readonly heartbeat: Heartbeat; readonly to: readonly string[] }
  | { readonly kind: 'node-died'; readonly node: string; readonly silentFor: number }
  /** Its speaker is being stopped in good order. */
  | { readonly kind: 'node-left'; readonly node: string }
  | { readonly kind: 'node-came-alive'; readonly node: string }
  /** A node that counted as dead, or had left, is no member any more. */
  | { readonly kind: 'node-forgotten'; readonly node: string };

export function initialLiveness(settings: LivenessSettings): LivenessState {
  return { settings, peers: new Map(), sequence: 0, nextHeartbeat: Number.POSITIVE_INFINITY, leaving: false };
}

type Outcome = { readonly next: LivenessState; readonly outputs: readonly LivenessOutput[] };

export const livenessMachine: Machine<LivenessState, LivenessInput, LivenessOutput> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'start':
        return onTick({ ...state, nextHeartbeat: now }, now);
      case 'leave':
        return onTick({ ...state, leaving: true, nextHeartbeat: now }, now);
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
      .filter((peer) => peer.alive && !peer.left)
      .map((peer) => ({
        at: deadAt(state, peer),
        why: `${peer.member.node} has to be heard from`,
      }));
    const heartbeat = { at: state.nextHeartbeat, why: 'next heartbeat' };
    return earliest(state.nextHeartbeat === Number.POSITIVE_INFINITY ? silence : [heartbeat, ...silence]);
  },
};

/** The nodes that count as dead. All others, unknown ones included, count as alive. */
export function deadNodes(state: LivenessState): string[] {
  return [...state.peers.values()]
    .filter((peer) => !peer.alive)
    .map((peer) => peer.member.node)
    .sort();
}

/** The nodes whose speakers have been stopped in good order. */
export function leftNodes(state: LivenessState): string[] {
  return [...state.peers.values()]
    .filter((peer) => peer.left)
    .map((peer) => peer.member.node)
    .sort();
}

function deadAt({ settings }: LivenessState, peer: Peer): Millis {
  return peer.lastHeard + settings.interval * settings.misses;
}

function onMembers(state: LivenessState, members: readonly Member[], now: Millis): Outcome {
  const peers = new Map<string, Peer>();
  for (const member of members) {
    if (member.node === state.settings.self) continue;
    const old = state.peers.get(member.node);
    const fresh = { member, lastHeard: now, alive: true, left: false, incarnation: -1n, sequence: -1 };
    peers.set(member.node, old === undefined ? fresh : { ...old, member });
  }
  // Whoever is new to us has to hear of us at once, not an interval later.
  const isNew = [...peers.keys()].some((node) => !state.peers.has(node));
  const nextHeartbeat = isNew && state.nextHeartbeat !== Number.POSITIVE_INFINITY ? now : state.nextHeartbeat;
  const forgotten = [...state.peers.values()].filter(
    ({ member, alive, left }) => (!alive || left) && !peers.has(member.node),
  );
  return {
    next: { ...state, peers, nextHeartbeat },
    outputs: forgotten.map(({ member }) => ({ kind: 'node-forgotten', node: member.node })),
  };
}

function onHeartbeat(state: LivenessState, heartbeat: Heartbeat, now: Millis): Outcome {
  const peer = state.peers.get(heartbeat.node);
  if (peer === undefined || !isNewer(heartbeat, peer)) return { next: state, outputs: [] };
  const { node, incarnation, sequence, leaving: left } = heartbeat;
  const next = withPeer(state, { ...peer, lastHeard: now, alive: true, left, incarnation, sequence });
  if (left) return { next, outputs: peer.left ? [] : [{ kind: 'node-left', node }] };
  return { next, outputs: peer.alive && !peer.left ? [] : [{ kind: 'node-came-alive', node }] };
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
    if (!peer.alive || peer.left || now < deadAt(state, peer)) continue;
    next = withPeer(next, { ...peer, alive: false });
    outputs.push({ kind: 'node-died', node: peer.member.node, silentFor: now - peer.lastHeard });
  }
  if (now >= state.nextHeartbeat) {
    const { self: node, incarnation, interval } = state.settings;
    const heartbeat = { node, incarnation, sequence: state.sequence, leaving: state.leaving };
    const to = [...state.peers.values()].map((peer) => peer.member.address);
    if (to.length > 0) outputs.push({ kind: 'send-heartbeat', heartbeat, to });
    // A late timer does not send a burst to catch up: the next one is an interval away.
    const nextHeartbeat = Math.max(state.nextHeartbeat + interval, now + interval / 2);
    next = { ...next, sequence: state.sequence + 1, nextHeartbeat };
  }
  return { next, outputs };
}

function withPeer(state: LivenessState, peer: Peer): LivenessState {
  return { ...state, peers: new Map(state.peers).set(peer.member.node, peer) };
}
