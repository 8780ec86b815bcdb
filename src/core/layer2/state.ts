/**
 * What the machine of layer 2 knows, hears and asks for. fsm.ts is how it moves.
 * @module
 */
import type { Millis, Step } from '../machine.ts';
import type { IpAddress } from '../net/address.ts';
import type { Interface } from './messages.ts';

/** One address that this node owns. `interfaces` undefined: every interface. */
export interface Announcement {
  readonly address: IpAddress;
  readonly interfaces?: readonly string[];
}

export interface Layer2Settings {
  /**
   * Milliseconds between further gratuitous packets, so that no switch forgets where an address is; 0: none. They are
   * spread by up to a quarter, so that ten thousand addresses do not speak at once.
   */
  readonly refreshInterval: Millis;
  /** --probe-before-use: an address is announced when the network has been asked for it and nobody has answered. */
  readonly probeBeforeUse: boolean;
  /** --answer-ping: echo requests to our addresses are answered. */
  readonly answerPing: boolean;
}

/**
 * One address that this node owns, by what the node does about it:
 *
 *   announce ───────────────▶ announced ◀──── nobody answers, or the other one lets go ─── yielded
 *      │                       ▲    │ │                                                      ▲
 *      │ --probe-before-use    │    │ └── one of our speakers has it too, and the lower MAC ──┘
 *      ▼                       │    │
 *   probing ── nobody answers ─┘    └── another node owns it from now on ──▶ handing-over ──▶ not ours any more
 *
 * Only an address that is announced or being handed over is answered for.
 */
export type Owned = Announced | Probing | Yielded | HandingOver;

export interface Announced {
  readonly kind: 'announced';
  readonly announcement: Announcement;
  readonly burst: Burst | undefined;
  /** Another of our speakers claims the address too. */
  readonly dispute: Dispute | undefined;
}

/** When gratuitous packets are due next; `until`: the end of the window after a takeover. */
export interface Burst {
  readonly next: Millis;
  readonly until: Millis;
}

/** `last`: when the other speaker was last heard to claim the address. `wins`: our MAC is the lower one. */
interface Dispute {
  readonly since: Millis;
  readonly last: Millis;
  readonly next: Millis;
  readonly wins: boolean;
}

/** The network is asked first whether anybody has the address: `left` more times. */
export interface Probing {
  readonly kind: 'probing';
  readonly announcement: Announcement;
  readonly next: Millis;
  readonly left: number;
}

/** Another of our speakers has the address, and the lower MAC; `unanswered`: questions whether it still has. */
export interface Yielded {
  readonly kind: 'yielded';
  readonly announcement: Announcement;
  readonly next: Millis;
  readonly unanswered: number;
}

/** Another node takes the address over. It is answered for until that node claims it, or until `until`. */
export interface HandingOver {
  readonly kind: 'handing-over';
  readonly announcement: Announcement;
  readonly nextProbe: Millis;
  readonly until: Millis;
}

export interface Layer2State {
  readonly settings: Layer2Settings;
  /** The speaker is being stopped: an address is given up in the moment in which its successor claims it. */
  readonly leaving: boolean;
  readonly interfaces: ReadonlyMap<number, Interface>;
  /** By canonical address text. */
  readonly owned: ReadonlyMap<string, Owned>;
  /** Claims of strangers, by address and MAC. */
  readonly conflicts: ReadonlyMap<string, Claim>;
  /** MACs of our other speakers. */
  readonly siblings: ReadonlySet<string>;
  /** When the first of the owned addresses wants something: kept, so that nobody has to look through ten thousand for it. */
  readonly due: Millis | undefined;
}

/** A station that is none of ours says that an address of ours is its own. */
export interface Claim {
  readonly address: string;
  readonly mac: string;
  readonly since: Millis;
  readonly last: Millis;
  /** When it was reported last. */
  readonly told: Millis | undefined;
  readonly interface: string;
}

/** The whole of what this node owns now, and what it owned and another node owns from now on. */
export interface Announce {
  readonly kind: 'announce';
  readonly announcements: readonly Announcement[];
  readonly handingOver: readonly Announcement[];
}

export type Layer2Input =
  | Announce
  /** The whole of the links that are fit for announcing now. */
  | { readonly kind: 'interfaces'; readonly interfaces: readonly Interface[] }
  /** The MACs of all our other speakers. */
  | { readonly kind: 'siblings'; readonly macs: ReadonlySet<string> }
  /** Others take over from now on. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'frame-received'; readonly interface: number; readonly bytes: Uint8Array };

export type Layer2Output =
  | { readonly kind: 'send'; readonly protocol: 'arp' | 'ndp'; readonly interface: number; readonly bytes: Uint8Array }
  /** The whole of the multicast groups to be a member of, each with its interface. */
  | { readonly kind: 'groups'; readonly groups: readonly MulticastGroup[] }
  /** After `leave`: nothing is owned any more. */
  | { readonly kind: 'all-handed-over' }
  /** Somebody else says that an address of ours is theirs. */
  | { readonly kind: 'conflict'; readonly address: string; readonly mac: string; readonly interface: string }
  /** It has not been heard of for two CONFLICT_INTERVALs. */
  | { readonly kind: 'conflict-ended'; readonly address: string; readonly mac: string; readonly interface: string }
  | { readonly kind: 'counted'; readonly counter: Layer2Counter; readonly address: string; readonly by: number };

export type Outcome = Step<Layer2State, Layer2Output>;

export interface MulticastGroup {
  readonly interface: number;
  readonly group: string;
}

/** Counters of docs/metrics.md (metallb_layer2_...); conflicts are ours. */
export type Layer2Counter = 'requests_received' | 'responses_sent' | 'gratuitous_sent' | 'conflicts_seen';

export function initialLayer2(settings: Layer2Settings): Layer2State {
  return {
    settings,
    leaving: false,
    interfaces: new Map(),
    owned: new Map(),
    conflicts: new Map(),
    siblings: new Set(),
    due: undefined,
  };
}
