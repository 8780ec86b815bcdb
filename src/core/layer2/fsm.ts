/**
 * The layer 2 announcer of one node: answers ARP and Neighbor Solicitations for the addresses that the node owns
 * (docs/behaviour/layer2.md), tells the network when it takes one over and again from time to time, and
 * notices who else claims one. What it does about each address: see `Owned` in state.ts.
 * @module
 */

import { type Deadline, deadline, earliestTime, isDue, type Machine, type Millis, type Tick } from '../machine.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac, type MacAddress, sameMac } from '../net/mac.ts';
import { decodeArp } from './arp-codec.ts';
import { claimed, endConflicts, ownedConflicts } from './conflicts.ts';
import { contested, elapseDispute, elapseYielded, unconfirmed } from './dispute.ts';
import { decodeEcho } from './echo-codec.ts';
import { advertisement, arpReply, covers, probes, sendArp, sendNdp, takeoverFrames } from './frames.ts';
import { announced, nextBurst } from './gratuitous.ts';
import { withGroups } from './groups.ts';
import { elapseHandOver, handingOver, leave } from './hand-over.ts';
import type { ArpFrame, Interface, NdpFrame } from './messages.ts';
import { decodeNdp, multicastMac, solicitedNode } from './ndp-codec.ts';
import { elapseProbing, probing, probingLater } from './probing.ts';
import { Questions } from './questions.ts';
import { change, onConfirmed, onYielded, rivalNews, withRivals } from './rivals.ts';
import type { Announce, Announcement, Layer2Input, Layer2Output, Layer2State, Outcome, Owned } from './state.ts';
import { dueOf, type Elapsed } from './time.ts';

export const layer2Machine: Machine<Layer2State, Layer2Input, Layer2Output> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'announce':
        return withRivals(state, withGroups(state, onTime({ ...state, ...takeOver(state, input, now) }, now)));
      case 'interfaces':
        return withGroups(state, onTime(relink(state, input.interfaces, now), now));
      case 'siblings':
        return { next: { ...state, siblings: input.macs }, outputs: [] };
      case 'leave':
        return withRivals(state, leave(state));
      case 'confirmed':
        return onConfirmed(state, input, now);
      case 'yielded':
        return onYielded(state, input, now);
      case 'frame-received':
        return receive(state, input.interface, input.bytes, now);
      case 'tick':
        return withRivals(state, withGroups(state, onTime(state, now)));
    }
  },
  nextDeadline(state): Deadline | undefined {
    return deadline(earliestTime(state.due, state.conflicts.due), 'gratuitous packets, or a conflict that ends');
  },
};

// What this node owns, and where

/** An address that was not ours is told to the network; one that already was goes on as it does. */
function takeOver(
  { owned, conflicts, settings }: Layer2State,
  { announcements, handingOver: leaving }: Announce,
  now: Millis,
): Pick<Layer2State, 'owned' | 'conflicts' | 'due'> {
  const next = new Map<string, Owned>();
  for (const announcement of announcements) {
    const key = formatAddress(announcement.address);
    const old = owned.get(key);
    const isSame = old !== undefined && old.kind !== 'handing-over' && sameInterfaces(old.announcement, announcement);
    const isAsked = settings.probeBeforeUse && (old === undefined || old.kind === 'probing');
    if (isSame) next.set(key, old);
    else next.set(key, isAsked ? probing(announcement, now) : announced(announcement, now));
  }
  for (const { address } of leaving) {
    const key = formatAddress(address);
    const old = owned.get(key);
    if (old === undefined || next.has(key)) continue;
    const given = handingOver(old, now);
    if (given !== undefined) next.set(key, given);
  }
  return { owned: next, conflicts: ownedConflicts(conflicts, next), due: dueOf(next) };
}

function sameInterfaces(a: Announcement, b: Announcement): boolean {
  return JSON.stringify(a.interfaces) === JSON.stringify(b.interfaces);
}

/** A link that has never heard of our addresses is told. */
function relink(state: Layer2State, interfaces: readonly Interface[], now: Millis): Layer2State {
  const next = { ...state, interfaces: new Map(interfaces.map((link) => [link.index, link])) };
  if (!interfaces.some((link) => isNew(state.interfaces.get(link.index), link))) return next;
  const owned = new Map<string, Owned>();
  for (const [key, old] of state.owned)
    owned.set(key, old.kind === 'announced' ? announced(old.announcement, now) : old);
  return { ...next, owned, due: dueOf(owned) };
}

/** It is another one, or carries a protocol that it did not carry before. */
function isNew(old: Interface | undefined, link: Interface): boolean {
  return (
    old === undefined ||
    old.name !== link.name ||
    !sameMac(old.mac, link.mac) ||
    (link.arp && !old.arp) ||
    (link.ndp && !old.ndp)
  );
}

// Time

function onTime(state: Layer2State, now: Millis): Outcome {
  const outputs = endConflicts(state.conflicts, now);
  if (!isDue(state.due, now)) return { next: state, outputs };
  const owned = new Map(state.owned);
  const questions = new Questions();
  for (const [key, old] of state.owned) {
    const { next, probes: isAsked, asks } = elapse(old, now);
    // What there is no room for is due at the next moment still.
    if (asks !== undefined && !questions.add(asks, old.kind === 'yielded', key)) continue;
    if (isAsked) outputs.push(...probes(state, old.announcement));
    const claim = asks === undefined || state.leaving ? undefined : unconfirmed(next);
    if (claim !== undefined) outputs.push(...claimed(state.conflicts, key, old, claim, now));
    if (next === undefined) owned.delete(key);
    else owned.set(key, withBurst(state, next, now, outputs));
  }
  outputs.push(...questions.outputs());
  const due = dueOf(owned);
  return { next: { ...state, owned, due: isDue(due, now) ? now + 1 : due }, outputs };
}

function elapse(old: Owned, now: Millis): Elapsed {
  switch (old.kind) {
    case 'announced':
      return elapseDispute(old, now);
    case 'probing':
      return elapseProbing(old, now);
    case 'yielded':
      return elapseYielded(old, now);
    case 'handing-over':
      return elapseHandOver(old, now);
  }
}

/** Sends the gratuitous packets that are due. */
function withBurst(state: Layer2State, owned: Owned, now: Millis, outputs: Layer2Output[]): Owned {
  if (owned.kind !== 'announced' || owned.burst === undefined || owned.burst.next > now) return owned;
  const { address } = owned.announcement;
  const frames = takeoverFrames(state, owned.announcement);
  const counted = { counter: 'gratuitous_sent', address: formatAddress(address), by: frames.length } as const;
  if (frames.length > 0) outputs.push(...frames, { kind: 'counted', ...counted });
  return { ...owned, burst: nextBurst(owned.burst, address, state.settings, now) };
}

// Frames

function receive(state: Layer2State, index: number, bytes: Uint8Array, now: Millis): Outcome {
  const link = state.interfaces.get(index);
  if (link === undefined) return nothing(state);
  const arp = decodeArp(bytes);
  if (arp.ok) return onArp(state, link, arp.frame, now);
  const ndp = decodeNdp(bytes);
  if (ndp.ok) return onNdp(state, link, ndp.frame, now);
  return { next: state, outputs: state.settings.answerPing ? answerEcho(state, link, bytes) : [] };
}

function answerEcho(state: Layer2State, link: Interface, bytes: Uint8Array): Layer2Output[] {
  const echo = decodeEcho(bytes);
  if (echo === undefined || !sameMac(echo.destination, link.mac) || !answersFor(state, link, echo.target)) return [];
  const protocol = echo.target.family === 'ipv4' ? 'arp' : 'ndp';
  return [{ kind: 'send', protocol, interface: link.index, bytes: echo.reply(link.mac) }];
}

function onArp(state: Layer2State, link: Interface, frame: ArpFrame, now: Millis): Outcome {
  const { destination, operation, senderMac, senderAddress, targetAddress } = frame;
  const claimed = onClaim(state, link, senderAddress, senderMac, now) ?? takeBack(state, link, frame, now);
  if (claimed !== undefined) return claimed;
  const isForUs = sameMac(destination, BROADCAST_MAC) || sameMac(destination, link.mac);
  if (operation !== 'request' || !isForUs || !answersFor(state, link, targetAddress)) return nothing(state);
  return answered(state, targetAddress, sendArp(link, arpReply(link, frame)));
}

function onNdp(state: Layer2State, link: Interface, frame: NdpFrame, now: Millis): Outcome {
  if (frame.kind === 'advertisement')
    return onClaim(state, link, frame.target, frame.targetLinkLayer ?? frame.source, now) ?? nothing(state);
  const asked = { senderMac: frame.source, senderAddress: frame.sourceAddress, targetAddress: frame.target };
  const taken = takeBack(state, link, asked, now);
  if (taken !== undefined) return taken;
  const isForUs =
    sameMac(frame.destination, link.mac) || sameMac(frame.destination, multicastMac(solicitedNode(frame.target)));
  if (sameMac(frame.source, link.mac) || !isForUs || !answersFor(state, link, frame.target)) return nothing(state);
  return answered(state, frame.target, sendNdp(link, advertisement(link, frame)));
}

/**
 * Somebody with another MAC says that an address of ours is theirs; undefined when it is not so. Anybody can say so: nothing that is
 * announced or handed over falls silent by it.
 */
function onClaim(
  state: Layer2State,
  link: Interface,
  address: IpAddress,
  mac: MacAddress,
  now: Millis,
): Outcome | undefined {
  const key = formatAddress(address);
  const old = state.owned.get(key);
  if (old === undefined || !covers(old.announcement, link)) return undefined;
  if ([...state.interfaces.values()].some((own) => sameMac(own.mac, mac))) return undefined;
  const claimant = formatMac(mac);
  // Without a speaker list it may be anybody to whom the address goes.
  const isLeft = (state.leaving || old.kind === 'handing-over') && state.siblings.size === 0;
  const mayBeOurs = isLeft || state.siblings.has(claimant);
  if (mayBeOurs) return { next: change(state, key, contested(old, claimant, link.name, now)), outputs: [] };
  const outputs = claimed(state.conflicts, key, old, { link: link.name, mac: claimant }, now);
  return { next: old.kind === 'probing' ? change(state, key, probingLater(old, now)) : state, outputs };
}

/** The speaker that we yielded to asks whether anybody else has the address: it is about to let go. */
function takeBack(
  state: Layer2State,
  link: Interface,
  { senderMac, senderAddress, targetAddress }: Pick<ArpFrame, 'senderMac' | 'senderAddress' | 'targetAddress'>,
  now: Millis,
): Outcome | undefined {
  const key = formatAddress(targetAddress);
  const old = state.owned.get(key);
  const isYielded = old?.kind === 'yielded' && covers(old.announcement, link);
  if (!isYielded || senderAddress.value !== 0n || !state.siblings.has(formatMac(senderMac))) return undefined;
  const next = announced(old.announcement, now);
  const { next: after, outputs } = onTime(change(state, key, next), now);
  return { next: after, outputs: [...rivalNews(key, old, next), ...outputs] };
}

function answersFor(state: Layer2State, link: Interface, address: IpAddress): boolean {
  const owned = state.owned.get(formatAddress(address));
  if (owned === undefined || owned.kind === 'probing' || owned.kind === 'yielded') return false;
  return covers(owned.announcement, link);
}

function answered(state: Layer2State, target: IpAddress, reply: Layer2Output): Outcome {
  const address = formatAddress(target);
  return {
    next: state,
    outputs: [
      reply,
      { kind: 'counted', counter: 'requests_received', address, by: 1 },
      { kind: 'counted', counter: 'responses_sent', address, by: 1 },
    ],
  };
}

function nothing(state: Layer2State): Outcome {
  return { next: state, outputs: [] };
}

/** So that callers need not name the input of a timer. */
export const TICK: Tick = { kind: 'tick' };
