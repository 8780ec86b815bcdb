/**
 * Which speakers are alive. Membership comes from the API; losing the API changes nothing here.
 *
 *   ping      each speaker pings the three that follow it on a ring (ring.ts) once per interval; they send an ack
 *   suspect   a speaker that has missed more than two intervals is pinged back, and the others that watch it get a ping-req
 *   dead      after three intervals, if another one confirms the silence; a quarter of an interval later, if nobody can say
 *   gossip    a new update goes to some at once and piggybacks on every datagram for a while; when digests differ, push-pull
 *   refute    a speaker that hears of its own death begins a new incarnation
 *
 * A speaker that nobody acknowledges, or that dies and returns too often, calls itself unsteady. One that hears nobody judges nobody.
 * The shape follows SWIM (Das, Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2018).
 * @module
 */
import { type Deadline, deadline, earliest, isDue, type Machine } from '../machine.ts';
import { gossip, send } from './dissemination.ts';
import { checkPeer, failsAt, pingNotRunning } from './failure-detection.ts';
import { checkIsolation } from './isolation.ts';
import { measureLateness } from './local-health.ts';
import { assumptionsEnd, dropAssumptions, onMembers } from './membership.ts';
import { confirmLateDeaths, reportDeferredDeaths } from './merge.ts';
import type { FitLink, HolderContent, Member, Message } from './messages.ts';
import { renewIncarnation, renewOwnRecord, updateOwnStatus } from './own-record.ts';
import { onMessage } from './receive.ts';
import type { LivenessOutput, LivenessState, Turn } from './state.ts';

export type LivenessInput =
  | { readonly kind: 'start' }
  /** This speaker knows the cluster and announces from now on. */
  | { readonly kind: 'ready' }
  /** This speaker is being stopped. */
  | { readonly kind: 'leave' }
  /** All speakers there should be, ourselves included or not. */
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** The whole of the links that this node can announce on. */
  | { readonly kind: 'links'; readonly links: readonly FitLink[] }
  /** No BGP router hears this node, or one does again. */
  | { readonly kind: 'unheard'; readonly unheard: boolean }
  /** To be sent to the speaker of this node. */
  | { readonly kind: 'about-addresses'; readonly to: string; readonly content: HolderContent }
  /** An authenticated message. */
  | { readonly kind: 'received'; readonly message: Message };

export const livenessMachine: Machine<LivenessState, LivenessInput, LivenessOutput> = {
  step(state, input, now) {
    const turn: Turn = { s: state, now, outputs: [] };
    switch (input.kind) {
      case 'start':
        Object.assign(state, { nextPing: now, ownSince: now, heardAt: now, ackedAt: now, gossipFrom: now });
        onTick(turn);
        break;
      case 'ready':
        // Not before we have noticed who is missing: until then we may believe that a dead node owns an address that is
        // ours, and whoever announces it now would stop for nothing.
        state.activeAt = now + state.settings.interval * (state.settings.misses + 1);
        break;
      case 'leave':
        state.isLeaving = true;
        updateOwnStatus(turn);
        gossip(turn);
        break;
      case 'members':
        onMembers(turn, input.members);
        break;
      case 'links':
        state.links = input.links;
        renewOwnRecord(turn);
        break;
      case 'unheard':
        state.unheard = input.unheard;
        renewOwnRecord(turn);
        break;
      case 'about-addresses': {
        const peer = state.peers.get(input.to);
        if (peer !== undefined) send(turn, peer, input.content);
        break;
      }
      case 'received':
        onMessage(turn, input.message);
        break;
      case 'tick':
        onTick(turn);
    }
    return { next: state, outputs: turn.outputs };
  },
  nextDeadline(state): Deadline | undefined {
    if (state.nextPing === undefined) return undefined;
    const watched = state.isolatedSince === undefined ? state.watched : [];
    return earliest([
      deadline(state.nextPing, 'next ping'),
      deadline(state.activeAt, 'say that we are active'),
      deadline(assumptionsEnd(state), 'members that nobody has heard from'),
      state.unsent.size > 0 ? deadline(state.gossipFrom, 'updates to send') : undefined,
      ...watched.map((node) => deadline(failsAt(state, state.peers.get(node)!), `${node} has to be heard from`)),
    ]);
  },
};

function onTick(turn: Turn): void {
  const { s, now } = turn;
  const pingDue = isDue(s.nextPing, now) ? s.nextPing : undefined;
  if (pingDue !== undefined) measureLateness(s, pingDue, now);
  dropAssumptions(turn);
  checkIsolation(turn);
  if (s.isolatedSince === undefined) for (const node of s.watched) checkPeer(turn, s.peers.get(node)!);
  reportDeferredDeaths(turn);
  if (pingDue !== undefined) confirmLateDeaths(turn);
  renewIncarnation(turn);
  updateOwnStatus(turn);
  if (s.unsent.size > 0 && isDue(s.gossipFrom, now)) gossip(turn);
  if (pingDue === undefined) return;
  for (const node of s.monitors) send(turn, s.peers.get(node)!, { kind: 'ping' });
  pingNotRunning(turn);
  const { interval } = s.settings;
  // A late timer does not send a burst to catch up: the next one is an interval away.
  s.nextPing = Math.max(pingDue + interval, now + interval / 2);
}
