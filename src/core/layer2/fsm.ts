/**
 * The layer 2 announcer of one node: answers ARP for the addresses that the node owns (behaviour reference §4.6), and
 * tells the network when it takes one over (§4.8).
 * @module
 */

import { type Deadline, earliest, type Machine, type Millis, type Tick } from '../machine.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { BROADCAST_MAC, sameMac } from '../net/mac.ts';
import { decodeArp, encodeArp } from './codec.ts';
import type { ArpFrame, Interface } from './messages.ts';

/** One address that this node owns. `interfaces` undefined: every interface. */
export interface Announcement {
  readonly address: IpAddress;
  readonly interfaces?: readonly string[];
}

/** How long after a takeover gratuitous packets go on, and how far apart they are, in milliseconds. */
export const GRATUITOUS_WINDOW = 5000;
export const GRATUITOUS_INTERVAL = 1100;

interface Owned {
  readonly announcement: Announcement;
  /** Undefined when the network has been told often enough. */
  readonly burst?: { readonly next: Millis; readonly until: Millis };
}

export interface Layer2State {
  readonly interfaces: ReadonlyMap<number, Interface>;
  /** By canonical address text. */
  readonly owned: ReadonlyMap<string, Owned>;
}

export type Layer2Input =
  /** The whole of what this node owns now. */
  | { readonly kind: 'announce'; readonly announcements: readonly Announcement[] }
  /** The whole of the links that are fit for announcing now. */
  | { readonly kind: 'interfaces'; readonly interfaces: readonly Interface[] }
  | { readonly kind: 'frame-received'; readonly interface: number; readonly bytes: Uint8Array };

export type Layer2Output =
  | { readonly kind: 'send'; readonly interface: number; readonly bytes: Uint8Array }
  | { readonly kind: 'counted'; readonly counter: Layer2Counter; readonly address: string; readonly by: number };

/** Counters of behaviour reference §6.2 (metallb_layer2_...). */
export type Layer2Counter = 'requests_received' | 'responses_sent' | 'gratuitous_sent';

export const INITIAL_LAYER2: Layer2State = { interfaces: new Map(), owned: new Map() };

export const layer2Machine: Machine<Layer2State, Layer2Input, Layer2Output> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'announce':
        return gratuitous({ ...state, owned: takeOver(state.owned, input.announcements, now) }, now);
      case 'interfaces':
        return gratuitous(relink(state, input.interfaces, now), now);
      case 'frame-received':
        return { next: state, outputs: answer(state, input.interface, input.bytes) };
      case 'tick':
        return gratuitous(state, now);
    }
  },
  nextDeadline(state): Deadline | undefined {
    return earliest(
      [...state.owned].map(([address, { burst }]) => burst && { at: burst.next, why: `gratuitous ARP for ${address}` }),
    );
  },
};

/** An address that was not ours opens a window of gratuitous packets; one that already was goes on as it does. */
function takeOver(
  owned: ReadonlyMap<string, Owned>,
  announcements: readonly Announcement[],
  now: Millis,
): ReadonlyMap<string, Owned> {
  const next = new Map<string, Owned>();
  for (const announcement of announcements) {
    const key = formatAddress(announcement.address);
    const old = owned.get(key);
    const same = old !== undefined && sameInterfaces(old.announcement, announcement);
    next.set(key, same ? old : { announcement, burst: { next: now, until: now + GRATUITOUS_WINDOW } });
  }
  return next;
}

function sameInterfaces(a: Announcement, b: Announcement): boolean {
  return JSON.stringify(a.interfaces) === JSON.stringify(b.interfaces);
}

/** A link that was not there before has never heard of our addresses: tell it. */
function relink(state: Layer2State, interfaces: readonly Interface[], now: Millis): Layer2State {
  const next = new Map(interfaces.map((link) => [link.index, link]));
  const fresh = interfaces.filter((link) => {
    const old = state.interfaces.get(link.index);
    return old === undefined || old.name !== link.name || !sameMac(old.mac, link.mac);
  });
  if (fresh.length === 0) return { ...state, interfaces: next };
  const owned = new Map(
    [...state.owned].map(([key, { announcement }]): [string, Owned] => [
      key,
      { announcement, burst: { next: now, until: now + GRATUITOUS_WINDOW } },
    ]),
  );
  return { interfaces: next, owned };
}

function gratuitous(state: Layer2State, now: Millis): { next: Layer2State; outputs: Layer2Output[] } {
  const outputs: Layer2Output[] = [];
  let owned: Map<string, Owned> | undefined;
  for (const [key, { announcement, burst }] of state.owned) {
    if (burst === undefined || burst.next > now) continue;
    owned ??= new Map(state.owned);
    const next = burst.next + GRATUITOUS_INTERVAL;
    owned.set(
      key,
      next <= burst.until ? { announcement, burst: { ...burst, next: Math.max(next, now) } } : { announcement },
    );
    const frames = announcement.address.family === 'ipv4' ? takeoverFrames(state, announcement) : [];
    if (frames.length > 0)
      outputs.push(...frames, { kind: 'counted', counter: 'gratuitous_sent', address: key, by: frames.length });
  }
  return { next: owned === undefined ? state : { ...state, owned }, outputs };
}

/**
 * A request and a reply on each interface. The reply names our own MAC as its target, not broadcast: Linux ignores a
 * broadcast target in replies while its entry is younger than a second (measured, networking notes §2).
 */
function takeoverFrames(state: Layer2State, announcement: Announcement): Layer2Output[] {
  const frames: Layer2Output[] = [];
  for (const link of state.interfaces.values()) {
    if (!covers(announcement, link)) continue;
    const base = {
      destination: BROADCAST_MAC,
      source: link.mac,
      senderMac: link.mac,
      senderAddress: announcement.address,
      targetAddress: announcement.address,
    };
    const request: ArpFrame = { ...base, operation: 'request', targetMac: BROADCAST_MAC };
    const reply: ArpFrame = { ...base, operation: 'reply', targetMac: link.mac };
    for (const frame of [request, reply]) frames.push({ kind: 'send', interface: link.index, bytes: encodeArp(frame) });
  }
  return frames;
}

function answer(state: Layer2State, index: number, bytes: Uint8Array): Layer2Output[] {
  const link = state.interfaces.get(index);
  const decoded = decodeArp(bytes);
  if (link === undefined || !decoded.ok || decoded.frame.operation !== 'request') return [];
  const { destination, senderMac, senderAddress, targetAddress } = decoded.frame;
  if (!sameMac(destination, BROADCAST_MAC) && !sameMac(destination, link.mac)) return [];
  const address = formatAddress(targetAddress);
  const owned = state.owned.get(address);
  if (owned === undefined || !covers(owned.announcement, link)) return [];
  const reply: ArpFrame = {
    destination: senderMac,
    source: link.mac,
    operation: 'reply',
    senderMac: link.mac,
    senderAddress: targetAddress,
    targetMac: senderMac,
    targetAddress: senderAddress,
  };
  return [
    { kind: 'send', interface: index, bytes: encodeArp(reply) },
    { kind: 'counted', counter: 'requests_received', address, by: 1 },
    { kind: 'counted', counter: 'responses_sent', address, by: 1 },
  ];
}

function covers(announcement: Announcement, link: Interface): boolean {
  return announcement.interfaces === undefined || announcement.interfaces.includes(link.name);
}

/** So that callers need not name the input of a timer. */
export const TICK: Tick = { kind: 'tick' };
