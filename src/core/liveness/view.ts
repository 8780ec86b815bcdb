/**
 * What others read off the liveness machine: the view for the election, and what is known of each neighbour on the ring.
 * @module
 */
import type { Millis } from '../machine.ts';
import type { LivenessView, NodeLiveness } from './messages.ts';
import { ABSENT } from './records.ts';
import type { LivenessState } from './state.ts';

/** All that the election has to know. */
export function livenessView(state: LivenessState): LivenessView {
  const nodes: NodeLiveness[] = [];
  for (const { record, reported } of state.peers.values()) {
    const { node, unheard } = record;
    const isKnown = record.incarnation > ABSENT;
    if (reported !== 'alive' || isKnown)
      nodes.push({ node, state: reported, links: isKnown ? record.links : undefined, unheard });
  }
  const { own, links, unheard } = state;
  if (own.status === 'unsteady') nodes.push({ node: own.node, state: 'unsteady', links, unheard });
  nodes.sort((a, b) => (a.node < b.node ? -1 : 1));
  return { nodes, quorum: state.quorum };
}

/** What this speaker itself knows about one that it watches or is watched by. */
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
    const silentFor = peer.lastHeard === undefined ? undefined : now - peer.lastHeard;
    return [{ node, silentFor, roundTrip: peer.roundTrip, suspected: peer.suspicion !== undefined }];
  });
}
