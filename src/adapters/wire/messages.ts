/**
 * What the main thread and the wire Worker say to each other: whole desired states in, facts out.
 * @module
 */
import type { Announce, Layer2Counter, Layer2Settings } from '../../core/layer2/state.ts';
import type { LivenessView, Member } from '../../core/liveness/messages.ts';
import type { LivenessOutput, LivenessSettings } from '../../core/liveness/state.ts';
import type { PeerReport } from '../../core/liveness/view.ts';
import type { MacAddress } from '../../core/net/mac.ts';
import type { BfdChange, BfdCount, BfdTarget } from './bfd-sessions.ts';
import type { Links } from './links.ts';
import type { RouterFound } from './router-discovery.ts';

export interface LivenessOptions extends LivenessSettings {
  /** Where datagrams are received, IPv4 or IPv6; also the port of every other speaker. */
  readonly bindAddress: string;
  readonly port: number;
  readonly secret: Uint8Array | undefined;
}

export interface WireOptions {
  /** Descriptor that the main thread writes to when a message waits. */
  readonly wakeFd: number;
  readonly layer2: Layer2Settings;
  /** Links whose names match are passed over. */
  readonly excludeLinks: readonly RegExp[];
  readonly liveness: LivenessOptions | undefined;
}

export type ToWire =
  | Announce
  /** The whole of the routers that BFD is to watch. */
  | { readonly kind: 'bfd'; readonly targets: readonly BfdTarget[] }
  /** The whole of the interfaces that routers are to be found on. */
  | { readonly kind: 'discover'; readonly interfaces: ReadonlyMap<string, MacAddress> }
  /** No BGP router hears this node, or one does again: the others are told. */
  | { readonly kind: 'unheard'; readonly unheard: boolean }
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** The addresses that this node owns have been announced: tell the others that we are there. */
  | { readonly kind: 'ready' }
  /** Say goodbye and hand the addresses over; `all-handed-over` is the answer, if others take them. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'stop' };

export type FromWire =
  | { readonly kind: 'ready'; readonly threadId: number }
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
  /** The links of this node, at first and whenever they change; the Worker uses them already. */
  | ({ readonly kind: 'links' } & Links)
  /** A station that is none of this node's claims an address that this node owns. */
  | {
      readonly kind: 'conflict' | 'conflict-ended';
      readonly address: string;
      readonly mac: string;
      readonly interface: string;
    }
  | Exclude<LivenessOutput, { kind: 'send-message' | 'view-changed' }>
  | { readonly kind: 'liveness'; readonly view: LivenessView }
  /** What this speaker knows first-hand of others, every second. */
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
