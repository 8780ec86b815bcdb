/**
 * Messages between the main thread and the wire Worker: complete desired states in, facts out.
 * @module
 */

import type { BfdTarget } from '../../core/bgp/peers/bfd-target.ts';
import type { Announce, Layer2Counter, Layer2Output, Layer2Settings } from '../../core/layer2/state.ts';
import type { MessageDecodeError } from '../../core/liveness/errors.ts';
import type { LivenessView, Member } from '../../core/liveness/messages.ts';
import type { LivenessOutput, LivenessSettings } from '../../core/liveness/state.ts';
import type { PeerReport } from '../../core/liveness/view.ts';
import type { MacAddress } from '../../core/net/mac.ts';
import type { RecordedLine } from '../driver/recording.ts';
import type { BfdChange, BfdCount } from './bfd-sessions.ts';
import type { Links } from './links.ts';
import type { RouterFound } from './router-discovery.ts';

export interface LivenessOptions extends LivenessSettings {
  /** Where datagrams are received, IPv4 or IPv6; every other speaker uses the same port. */
  readonly bindAddress: string;
  readonly port: number;
  /** The first one seals, all of them open; none: nothing is sealed. */
  readonly secrets: readonly Uint8Array[];
}

/** What of the Worker was at work. */
export type WirePart =
  | 'layer2'
  | 'liveness'
  | 'bfd'
  | 'messages'
  | 'links'
  | 'frames'
  | 'datagrams'
  | 'discovery'
  | 'timers';

/** Why a datagram was refused; `seal`: it was not made with a secret of ours for this node. */
export type Refusal = 'seal' | MessageDecodeError;

export interface WireOptions {
  /** Descriptor that the main thread writes to after it has posted a message. */
  readonly wakeFd: number;
  readonly layer2: Layer2Settings;
  /** Links whose names match are ignored. */
  readonly excludeLinks: readonly RegExp[];
  readonly liveness: LivenessOptions | undefined;
  /** Every input of every machine is reported. */
  readonly isRecorded: boolean;
}

export type ToWire =
  | Announce
  /** All routers that BFD monitors. */
  | { readonly kind: 'bfd'; readonly targets: readonly BfdTarget[] }
  /** All interfaces on which to discover routers. */
  | { readonly kind: 'discover'; readonly interfaces: ReadonlyMap<string, MacAddress> }
  /** No BGP router hears this node, or one does again: the others are told. */
  | { readonly kind: 'unheard'; readonly unheard: boolean }
  /** All keys of the speakers from now on, the newest first. */
  | { readonly kind: 'secrets'; readonly secrets: readonly Uint8Array[] }
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** The addresses that this node owns have been announced: tell other speakers that this one is up. */
  | { readonly kind: 'ready' }
  /** Say goodbye and hand the addresses over; `all-handed-over` is the answer, if others take them. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'stop' };

export type FromWire =
  | { readonly kind: 'ready'; readonly threadId: number }
  /** For a recording of `layer2`, `liveness`, or `bfd.` and a BGPPeer. */
  | { readonly kind: 'recorded'; readonly of: string; readonly line: RecordedLine }
  | {
      readonly kind: 'failed';
      readonly what:
        | 'raw-socket'
        | 'multicast-group'
        | 'liveness-socket'
        | 'netlink-socket'
        | 'bfd-socket'
        | 'discovery-socket';
      readonly on: string;
      readonly code: string;
      readonly message: string;
    }
  /** Something threw while it handled what came in, so many times in the last second; the Worker went on. */
  | { readonly kind: 'fault'; readonly where: WirePart; readonly error: string; readonly times: number }
  /** Datagrams on the port of the speakers that were none of theirs, in the last second. */
  | { readonly kind: 'refused'; readonly why: Refusal; readonly times: number }
  /** The links of this node, at the start and whenever they change; the Worker already uses them. */
  | ({ readonly kind: 'links' } & Links)
  /** Somebody claims an address that this node owns, or another speaker announces it too; or no longer. */
  | Extract<Layer2Output, { kind: 'conflict' | 'conflict-ended' | 'disputed' | 'dispute-ended' }>
  | Exclude<LivenessOutput, { kind: 'send-message' | 'view-changed' | 'about-addresses' }>
  | { readonly kind: 'liveness'; readonly view: LivenessView }
  /** What this speaker itself measured of others, every second. */
  | { readonly kind: 'peers'; readonly peers: readonly PeerReport[] }
  /** Addresses of a node that died were taken over: how long each phase took, in milliseconds. */
  | { readonly kind: 'failed-over'; readonly phases: Readonly<Record<'detect' | 'elect' | 'announce', number>> }
  | BfdChange
  | { readonly kind: 'bfd-counts'; readonly counts: readonly BfdCount[] }
  | RouterFound
  | { readonly kind: 'all-handed-over' }
  | {
      readonly kind: 'counts';
      readonly counts: readonly { readonly counter: Layer2Counter; readonly address: string; readonly by: number }[];
    };
