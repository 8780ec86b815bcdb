/**
 * What speakers send each other to prove that they are alive, and what they know about the others.
 * @module
 */
import type { SpeakerHealth } from '../election/election.ts';
import type { MacAddress } from '../net/mac.ts';

/**
 * What a speaker is doing. Only an active one announces; an unsteady one announces what no other can; one that starts does not know
 * the cluster yet; one that leaves is being shut down, and its silence afterwards is not a death. A speaker says these four about
 * itself. Others say that it is dead, or absent (a member that nobody has ever heard from). The numbers are those on the wire.
 */
export const STATUSES = { absent: 0, starting: 1, active: 2, unsteady: 3, leaving: 4, dead: 5 } as const;
export type Status = keyof typeof STATUSES;

/** A link that a node can announce on. */
export interface FitLink {
  readonly name: string;
  readonly mac: MacAddress;
}

/** What is known about one speaker. Of two records, the one with the higher incarnation and version wins; see records.ts. */
export interface MemberRecord {
  readonly node: string;
  /** Grows over restarts: milliseconds since 1970 at the start of the speaker, or one more than somebody has claimed it to be; see `isLater`. */
  readonly incarnation: bigint;
  /** Grows within an incarnation whenever the speaker's own record changes. */
  readonly version: number;
  readonly status: Status;
  readonly links: readonly FitLink[];
  /** It has BGP routers to talk to, and a session with none of them. */
  readonly unheard: boolean;
}

/** A membership update: a record on its way. */
export interface Update extends MemberRecord {
  /** Milliseconds since the status came about. */
  readonly age: number;
}

/** What a datagram is for. Whatever it is for, it is also a sign of life and carries updates. */
export type Content =
  /** Are you there? Goes to the monitors once per interval. */
  | { readonly kind: 'ping' }
  /** The answer; `echo` is the sequence number of the ping. */
  | { readonly kind: 'ack'; readonly echo: number }
  /** Have you heard from that node? If not lately, ping it. */
  | { readonly kind: 'ping-req'; readonly about: string }
  /** The answer: milliseconds since that node was heard from; undefined: never. */
  | { readonly kind: 'indirect-ack'; readonly about: string; readonly silentFor: number | undefined }
  /** Nothing but updates. */
  | { readonly kind: 'gossip' }
  /** Send a page of all records that you have, from the node after this one on; empty: from the start. */
  | { readonly kind: 'pull'; readonly after: string }
  /** A page, as updates; `last` is where the next one goes on; empty: this was the last. */
  | { readonly kind: 'push'; readonly last: string }
  | HolderContent;

/** About addresses that two speakers claim on the wire, where anybody can claim anything. */
export type HolderContent =
  /** Do you announce these? `yielded`: I am silent for your sake. */
  | { readonly kind: 'holder-req'; readonly yielded: boolean; readonly addresses: readonly string[] }
  /** The answer: those that I announce. */
  | { readonly kind: 'holder-ack'; readonly addresses: readonly string[] };

export type Message = Content & {
  /** The sender, about itself. */
  readonly from: Update;
  /**
   * The incarnation of the receiver, as the sender knows it; 0 when it does not. What was sent to an earlier start of the receiver proves nothing
   * to this one.
   */
  readonly to: bigint;
  /** Grows with every datagram of one incarnation. */
  readonly sequence: number;
  /** Over all records that the sender has: two that have the same records have the same digest. */
  readonly digest: number;
  readonly updates: readonly Update[];
};

/** One other speaker, as the API knows it. */
export interface Member {
  readonly node: string;
  /** Where its datagrams come from and ours go to. */
  readonly address: string;
}

/** What is known of one node, for the election. */
export interface NodeLiveness {
  readonly node: string;
  readonly state: SpeakerHealth;
  /** Undefined: nobody has said. */
  readonly links: readonly FitLink[] | undefined;
  /** No BGP router hears it. */
  readonly unheard: boolean;
}

/** Everything that the liveness of the cluster means for the election. */
export interface LivenessView {
  /** Every member that is not simply alive with unknown links, and this node itself when it is unsteady. */
  readonly nodes: readonly NodeLiveness[];
  /** This node is on the side of a partition that has most nodes; see fsm.ts. */
  readonly quorum: boolean;
}
