/**
 * What the machine of layer 2 knows, hears and asks for. fsm.ts is how it moves.
 * @module
 */
import type { Millis, Step } from '../machine.ts';
import type { IpAddress } from '../net/address.ts';
import { type Conflicts, noConflicts } from './claimants.ts';
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
 *   announce ───────────────▶ announced ◀──── the other one says so no more, or lets go ── yielded
 *      │                       ▲    │ │                                                      ▲
 *      │ --probe-before-use    │    │ └── a speaker that comes first says that it has it too ─┘
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
  /** Somebody with the MAC of another of our speakers claims the address too. */
  readonly dispute: Dispute | undefined;
}

/** When gratuitous packets are due next; `until`: the end of the window after a takeover. */
export interface Burst {
  readonly next: Millis;
  readonly until: Millis;
}

/**
 * `mac`: who claimed the address last. `claimed`: when somebody did, or a speaker confirmed it. `last`: that, or when one that has
 * yielded asked for it. `next`: when the speaker with that MAC is asked again. `asked`: questions since it was confirmed last. `rival`:
 * the speaker that has confirmed it for so long that this is no address on its way.
 */
interface Dispute {
  readonly mac: string;
  readonly link: string;
  readonly asked: number;
  readonly since: Millis;
  readonly claimed: Millis | undefined;
  readonly last: Millis;
  readonly next: Millis;
  readonly rival: string | undefined;
}

/** The network is asked first whether anybody has the address: `left` more times. */
export interface Probing {
  readonly kind: 'probing';
  readonly announcement: Announcement;
  readonly next: Millis;
  readonly left: number;
}

/** Another of our speakers has the address, and comes first; `unanswered`: questions whether it still has. */
export interface Yielded {
  readonly kind: 'yielded';
  readonly announcement: Announcement;
  readonly mac: string;
  readonly rival: string;
  readonly next: Millis;
  readonly unanswered: number;
}

/** Another node takes the address over. It is answered for until that node says that it has it, or until `until`. */
export interface HandingOver {
  readonly kind: 'handing-over';
  readonly announcement: Announcement;
  readonly nextProbe: Millis;
  readonly until: Millis;
  /** Who claims the address, and when it is asked whether it has it. */
  readonly claim: { readonly mac: string; readonly next: Millis } | undefined;
}

export interface Layer2State {
  readonly settings: Layer2Settings;
  /** The speaker is being stopped: an address is given up in the moment in which its successor claims it. */
  readonly leaving: boolean;
  readonly interfaces: ReadonlyMap<number, Interface>;
  /** By canonical address text; one entry is changed in place, for a claim must not cost more where more is owned. */
  readonly owned: Map<string, Owned>;
  readonly conflicts: Conflicts;
  /** MACs of our other speakers. */
  readonly siblings: ReadonlySet<string>;
  /** The first of the owned addresses wants something then, at the earliest: kept, so that nobody has to look through ten thousand for it. */
  readonly due: Millis | undefined;
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
  | Confirmed
  /** Another of our speakers has yielded these to us, and still takes itself to be their owner. */
  | {
      readonly kind: 'yielded';
      readonly addresses: readonly string[];
      readonly node: string;
      readonly macs: ReadonlySet<string>;
    }
  | { readonly kind: 'frame-received'; readonly interface: number; readonly bytes: Uint8Array };

/** Another of our speakers answers `ask-holder`: it has these. `isFirst`: of the two, it is the one that keeps them. */
export interface Confirmed {
  readonly kind: 'confirmed';
  readonly addresses: readonly string[];
  readonly node: string;
  readonly macs: ReadonlySet<string>;
  readonly isFirst: boolean;
}

export type Layer2Output =
  | { readonly kind: 'send'; readonly protocol: 'arp' | 'ndp'; readonly interface: number; readonly bytes: Uint8Array }
  /** The whole of the multicast groups to be a member of, each with its interface. */
  | { readonly kind: 'groups'; readonly groups: readonly MulticastGroup[] }
  /** After `leave`: nothing is owned any more. */
  | { readonly kind: 'all-handed-over' }
  /** The speaker with this MAC is to be asked, where no stranger can answer for it, whether it has these. `yielded`: we have, to it. */
  | {
      readonly kind: 'ask-holder';
      readonly mac: string;
      readonly yielded: boolean;
      readonly addresses: readonly string[];
    }
  | Conflict
  /** Nobody has claimed it for two CONFLICT_INTERVALs. */
  | { readonly kind: 'conflict-ended'; readonly address: string }
  | Disputed
  | { readonly kind: 'dispute-ended'; readonly address: string }
  | { readonly kind: 'counted'; readonly counter: Layer2Counter; readonly address: string; readonly by: number };

/** Somebody says that an address of ours is theirs, and no speaker confirms it. */
export interface Conflict {
  readonly kind: 'conflict';
  readonly address: string;
  readonly mac: string;
  readonly interface: string;
  /** How many stations there are, as far as they are counted (MOST_CLAIMANTS). */
  readonly claimants: number;
}

/** Another of our speakers says that it announces the address too: one of us is silent. */
export interface Disputed {
  readonly kind: 'disputed';
  readonly address: string;
  readonly node: string;
  /** We are. */
  readonly yielded: boolean;
}

export type Outcome = Step<Layer2State, Layer2Output>;

export interface MulticastGroup {
  readonly interface: number;
  readonly group: string;
}

/** Counters of docs/metrics.md (metallb_layer2_...); conflicts and disputes are ours. */
export type Layer2Counter =
  | 'requests_received'
  | 'responses_sent'
  | 'gratuitous_sent'
  | 'conflicts_seen'
  | 'disputes_seen';

export function initialLayer2(settings: Layer2Settings): Layer2State {
  return {
    settings,
    leaving: false,
    interfaces: new Map(),
    owned: new Map(),
    conflicts: noConflicts(),
    siblings: new Set(),
    due: undefined,
  };
}
