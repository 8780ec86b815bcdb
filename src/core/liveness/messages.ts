/**
 * What speakers tell each other to prove that they are there, and what they know of the others.
 * @module
 */
import type { MacAddress } from '../net/mac.ts';

/**
 * What a speaker is doing. Only an active one announces; an unsteady one announces what no other can; one that starts does not know
 * the cluster yet; one that leaves is being stopped in good order, and its silence afterwards is no death. These four a speaker
 * says of itself. That it is dead, or absent (a member of which nobody has ever heard), others say. The numbers are those on the wire.
 */
export const STATUSES = { absent: 0, starting: 1, active: 2, unsteady: 3, leaving: 4, dead: 5 } as const;
export type Status = keyof typeof STATUSES;

/** A link that a node can announce on. */
export interface FitLink {
  readonly name: string;
  readonly mac: MacAddress;
}

/** What is known of one speaker. Of two records the one with the higher incarnation and version holds; see records.ts. */
export interface MemberRecord {
  readonly node: string;
  /** Grows over restarts: milliseconds since 1970 at the start of the speaker. */
  readonly incarnation: bigint;
  /** Grows within an incarnation with everything that the speaker says anew of itself. */
  readonly version: number;
  readonly status: Status;
  readonly links: readonly FitLink[];
  /** It has BGP routers to talk to, and a session with none of them. */
  readonly unheard: boolean;
}

/** A record on its way. */
export interface News extends MemberRecord {
  /** Milliseconds since the status came about. */
  readonly age: number;
}

/** What a datagram is for; every one of them is also a sign of life, and carries news. */
export type Content =
  /** Are you there, and do you hear me? Goes to the monitors in every interval. */
  | { readonly kind: 'ping' }
  /** The answer; `echo` is the sequence number of the ping. */
  | { readonly kind: 'ack'; readonly echo: number }
  /** Have you heard of that node lately? */
  | { readonly kind: 'ask'; readonly about: string }
  /** The answer, in milliseconds; undefined: never. */
  | { readonly kind: 'tell'; readonly about: string; readonly silentFor: number | undefined }
  | { readonly kind: 'news' }
  /** Send a page of all that you know, from the node after this one on; empty: from the start. */
  | { readonly kind: 'pull'; readonly after: string }
  /** A page, as news; `last` is where the next one goes on, empty: this was the last. */
  | { readonly kind: 'page'; readonly last: string };

export type Message = Content & {
  /** The sender, about itself. */
  readonly from: News;
  /** Grows with every datagram of one incarnation. */
  readonly sequence: number;
  /** Of all records that the sender has: two that know the same have the same. */
  readonly digest: number;
  readonly news: readonly News[];
};

/** One other speaker, as the API knows it. */
export interface Member {
  readonly node: string;
  /** Where its datagrams come from and ours go to. */
  readonly address: string;
}

/** What the election makes of a node. */
export type NodeState = 'alive' | 'unsteady' | 'passive' | 'dead';

/** What is known of one node, for the election. */
export interface NodeLiveness {
  readonly node: string;
  readonly state: NodeState;
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
