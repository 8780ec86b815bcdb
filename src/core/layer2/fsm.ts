/**
 * The layer 2 announcer of one node: answers ARP and Neighbor Solicitations for the addresses that the node owns
 * (behaviour reference §4.6, §4.7), tells the network when it takes one over (§4.8) and again from time to time, and
 * notices who else claims one.
 * @module
 */

import { type Deadline, deadline, earliestTime, isDue, type Machine, type Millis, type Tick } from '../machine.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac, type MacAddress, sameMac } from '../net/mac.ts';
import { decodeArp } from './arp-codec.ts';
import { decodeEcho } from './echo-codec.ts';
import { advertisement, covers, probes, sendArp, sendNdp, takeoverFrames } from './frames.ts';
import type { ArpFrame, Interface, NdpFrame } from './messages.ts';
import { decodeNdp, multicastMac, solicitedNode } from './ndp-codec.ts';
import type {
  Announce,
  Announcement,
  Claim,
  Layer2Input,
  Layer2Output,
  Layer2State,
  MulticastGroup,
  Owned,
} from './state.ts';

/** How long after a takeover gratuitous packets go on, and how far apart they are, in milliseconds. */
export const GRATUITOUS_WINDOW = 5000;
export const GRATUITOUS_INTERVAL = 1100;
/**
 * A claim of somebody else is a conflict when it is still made after this long: while an address moves from one of our
 * speakers to another, both may hold it for a moment.
 */
export const CONFLICT_AFTER = 2000;
/** An address that goes to another node is answered for until that node claims it, but no longer than this. */
export const HAND_OVER_GRACE = 1500;
/** How often the network is asked meanwhile whether that node has it already, in milliseconds. */
const HAND_OVER_PROBE = 250;
/**
 * Two of our own speakers that both announce an address, because they know different things, settle it between them: so often, in
 * milliseconds, the one with the lower MAC claims the address again and the other asks the network for it; and when the claims
 * have gone on for this long, the other is silent until it hears no more of them.
 */
const DISPUTE_PROBE = 250;
const DISPUTE_AFTER = 500;
const YIELDED_PROBE = 500;
/** --probe-before-use: three questions so far apart, and as long again for the last answer (RFC 5227 §2.1.1, faster); then, if answered. */
const PROBES = 3;
const PROBE_INTERVAL = 150;
const PROBE_AGAIN = 10_000;
/** The same conflict is told again after this long, and forgotten when nothing was heard of it for this long. */
export const CONFLICT_INTERVAL = 60_000;

type Outcome = { readonly next: Layer2State; readonly outputs: Layer2Output[] };

export const layer2Machine: Machine<Layer2State, Layer2Input, Layer2Output> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'announce':
        return withGroups(state, gratuitous({ ...state, ...takeOver(state, input, now) }, now));
      case 'interfaces':
        return withGroups(state, gratuitous(relink(state, input.interfaces, now), now));
      case 'siblings':
        return { next: { ...state, siblings: input.macs }, outputs: [] };
      case 'leave':
        return leave(state);
      case 'frame-received':
        return receive(state, input.interface, input.bytes, now);
      case 'tick':
        return withGroups(state, gratuitous(state, now));
    }
  },
  nextDeadline(state): Deadline | undefined {
    return deadline(earliestTime(state.due, conflictsEnd(state)), 'gratuitous packets, or a conflict that ends');
  },
};

/** An address that was not ours opens a window of gratuitous packets; one that already was goes on as it does. */
function takeOver(
  { owned, conflicts, settings }: Layer2State,
  { announcements, handingOver }: Announce,
  now: Millis,
): Pick<Layer2State, 'owned' | 'conflicts' | 'due'> {
  const next = new Map<string, Owned>();
  for (const announcement of announcements) {
    const key = formatAddress(announcement.address);
    const old = owned.get(key);
    const same = old !== undefined && old.handOver === undefined && sameInterfaces(old.announcement, announcement);
    const isAsked = settings.probeBeforeUse && (old === undefined || old.waiting?.kind === 'probing');
    if (same) next.set(key, old);
    else if (isAsked) next.set(key, { announcement, waiting: { kind: 'probing', next: now, left: PROBES } });
    else next.set(key, claimed(announcement, now));
  }
  for (const { address } of handingOver) {
    const key = formatAddress(address);
    const old = owned.get(key);
    if (old === undefined || old.waiting !== undefined || next.has(key)) continue;
    const handOver = old.handOver ?? { nextProbe: now, until: now + HAND_OVER_GRACE };
    next.set(key, { announcement: old.announcement, handOver });
  }
  const remaining = [...conflicts].filter(([key]) => next.has(key.split(' ')[0]!));
  return { owned: next, conflicts: new Map(remaining), due: dueOf(next) };
}

/** From now on it is ours, and the network is told. */
function claimed(announcement: Announcement, now: Millis): Owned {
  return { announcement, burst: { next: now, until: now + GRATUITOUS_WINDOW } };
}

function dueOf(owned: ReadonlyMap<string, Owned>): Millis | undefined {
  let due: Millis | undefined;
  for (const { burst, handOver, waiting, dispute } of owned.values())
    due = earliestTime(due, burst?.next, handOver?.nextProbe, handOver?.until, waiting?.next, dispute?.next);
  return due;
}

function sameInterfaces(a: Announcement, b: Announcement): boolean {
  return JSON.stringify(a.interfaces) === JSON.stringify(b.interfaces);
}

/** A link that was not there before has never heard of our addresses: tell it. */
function relink(state: Layer2State, interfaces: readonly Interface[], now: Millis): Layer2State {
  const next = new Map(interfaces.map((link) => [link.index, link]));
  const fresh = interfaces.filter((link) => {
    const old = state.interfaces.get(link.index);
    return old === undefined || old.name !== link.name || !sameMac(old.mac, link.mac) || old.ndp !== link.ndp;
  });
  if (fresh.length === 0) return { ...state, interfaces: next };
  const owned = new Map(
    [...state.owned].map(([key, old]): [string, Owned] => [
      key,
      old.handOver === undefined && old.waiting === undefined ? claimed(old.announcement, now) : old,
    ]),
  );
  return { ...state, interfaces: next, owned, due: dueOf(owned) };
}

/** Membership follows what is owned where: also on interfaces that come later (unlike upstream, Appendix B item 7). */
function withGroups(before: Layer2State, outcome: Outcome): Outcome {
  // The Worker ticks after every frame: where nothing was owned or linked anew, nothing is gathered.
  const { owned, interfaces } = outcome.next;
  if (owned === before.owned && interfaces === before.interfaces) return outcome;
  const groups = groupsOf(outcome.next);
  if (JSON.stringify(groups) === JSON.stringify(groupsOf(before))) return outcome;
  return { next: outcome.next, outputs: [{ kind: 'groups', groups }, ...outcome.outputs] };
}

function groupsOf({ interfaces, owned }: Layer2State): MulticastGroup[] {
  const groups = new Map<string, MulticastGroup>();
  for (const { announcement } of owned.values()) {
    if (announcement.address.family !== 'ipv6') continue;
    const group = formatAddress(solicitedNode(announcement.address));
    for (const link of interfaces.values())
      if (link.ndp && covers(announcement, link))
        groups.set(`${link.index} ${group}`, { interface: link.index, group });
  }
  return [...groups.values()];
}

function gratuitous(state: Layer2State, now: Millis): Outcome {
  const { conflicts, ended } = withoutEnded(state, now);
  if (!isDue(state.due, now)) return { next: ended.length > 0 ? { ...state, conflicts } : state, outputs: [...ended] };
  const outputs: Layer2Output[] = [...ended];
  const owned = new Map(state.owned);
  for (const [key, old] of state.owned) {
    const { next, asks } = onTime(old, now);
    if (asks) outputs.push(...probes(state, old.announcement));
    if (next === undefined) {
      owned.delete(key);
      continue;
    }
    const { burst, announcement } = next;
    if (burst === undefined || burst.next > now) {
      owned.set(key, next);
      continue;
    }
    const { burst: _, ...rest } = next;
    const later = nextBurst(state, announcement.address, burst, now);
    owned.set(key, later === undefined ? rest : { ...rest, burst: later });
    const frames = takeoverFrames(state, announcement);
    if (frames.length > 0)
      outputs.push(...frames, { kind: 'counted', counter: 'gratuitous_sent', address: key, by: frames.length });
  }
  return { next: { ...state, owned, conflicts, due: dueOf(owned) }, outputs };
}

/** What time alone does to an address, and whether the network is to be asked for it. */
function onTime(old: Owned, now: Millis): { readonly next: Owned | undefined; readonly asks: boolean } {
  const { announcement, handOver, waiting, dispute } = old;
  if (handOver !== undefined) {
    if (handOver.until <= now) return { next: undefined, asks: false };
    if (handOver.nextProbe > now) return { next: old, asks: false };
    return { next: { ...old, handOver: { ...handOver, nextProbe: now + HAND_OVER_PROBE } }, asks: true };
  }
  if (waiting !== undefined) {
    if (waiting.next > now) return { next: old, asks: false };
    if (waiting.kind === 'probing') {
      if (waiting.left === 0) return { next: claimed(announcement, now), asks: false };
      const next = { kind: 'probing', next: now + PROBE_INTERVAL, left: waiting.left - 1 } as const;
      return { next: { announcement, waiting: next }, asks: true };
    }
    if (waiting.unanswered > 1) return { next: claimed(announcement, now), asks: false };
    const next = { kind: 'yielded', next: now + YIELDED_PROBE, unanswered: waiting.unanswered + 1 } as const;
    return { next: { announcement, waiting: next }, asks: true };
  }
  if (dispute === undefined || dispute.next > now) return { next: old, asks: false };
  const { dispute: _, ...settled } = old;
  if (now - dispute.last > DISPUTE_PROBE * 3) return { next: settled, asks: false };
  const next: Owned = { ...settled, dispute: { ...dispute, next: now + DISPUTE_PROBE } };
  if (!dispute.wins) return { next, asks: true };
  return { next: { ...next, burst: { until: now, ...old.burst, next: now } }, asks: false };
}

function conflictsEnd({ conflicts }: Layer2State): Millis | undefined {
  let end: Millis | undefined;
  for (const { last } of conflicts.values()) end = earliestTime(end, last + 2 * CONFLICT_INTERVAL);
  return end;
}

/** A station that claimed one of ours is taken to have stopped when nothing was heard of it for long enough. */
function withoutEnded(
  { conflicts }: Layer2State,
  now: Millis,
): { readonly conflicts: ReadonlyMap<string, Claim>; readonly ended: readonly Layer2Output[] } {
  const over = [...conflicts].filter(([, { last }]) => now - last >= 2 * CONFLICT_INTERVAL);
  if (over.length === 0) return { conflicts, ended: [] };
  const remaining = new Map(conflicts);
  for (const [key] of over) remaining.delete(key);
  const ended = over.flatMap(([key, { told, interface: link }]): Layer2Output[] => {
    const [address = '', mac = ''] = key.split(' ');
    return told === undefined ? [] : [{ kind: 'conflict-ended', address, mac, interface: link }];
  });
  return { conflicts: remaining, ended };
}

function nextBurst(
  { settings: { refreshInterval } }: Layer2State,
  address: IpAddress,
  { next, until }: NonNullable<Owned['burst']>,
  now: Millis,
): Owned['burst'] {
  if (next + GRATUITOUS_INTERVAL <= until) return { next: Math.max(next + GRATUITOUS_INTERVAL, now), until };
  if (refreshInterval === 0) return undefined;
  // Each address has its own share of the quarter, which needs no randomness and stays the same from round to round.
  const share = Number(address.value % 251n) / 251;
  return { next: now + refreshInterval * (0.75 + share / 4), until };
}

function receive(state: Layer2State, index: number, bytes: Uint8Array, now: Millis): Outcome {
  const link = state.interfaces.get(index);
  if (link === undefined) return { next: state, outputs: [] };
  const arp = decodeArp(bytes);
  if (arp.ok) return onArp(state, link, arp.frame, now);
  const ndp = decodeNdp(bytes);
  if (ndp.ok) return onNdp(state, link, ndp.frame, now);
  return { next: state, outputs: state.settings.answerPing ? answerEcho(state, link, bytes) : [] };
}

function answerEcho(state: Layer2State, link: Interface, bytes: Uint8Array): Layer2Output[] {
  const echo = decodeEcho(bytes);
  if (echo === undefined || !sameMac(echo.destination, link.mac) || !owns(state, link, echo.target)) return [];
  const protocol = echo.target.family === 'ipv4' ? 'arp' : 'ndp';
  return [{ kind: 'send', protocol, interface: link.index, bytes: echo.reply(link.mac) }];
}

function onArp(state: Layer2State, link: Interface, frame: ArpFrame, now: Millis): Outcome {
  const { destination, operation, senderMac, senderAddress, targetAddress } = frame;
  const disputed = conflict(state, link, senderAddress, senderMac, now) ?? takeBack(state, link, frame, now);
  if (disputed !== undefined) return disputed;
  const isForUs = sameMac(destination, BROADCAST_MAC) || sameMac(destination, link.mac);
  if (operation !== 'request' || !isForUs || !owns(state, link, targetAddress)) return { next: state, outputs: [] };
  const reply: ArpFrame = {
    destination: senderMac,
    source: link.mac,
    operation: 'reply',
    senderMac: link.mac,
    senderAddress: targetAddress,
    targetMac: senderMac,
    targetAddress: senderAddress,
  };
  return answered(state, targetAddress, sendArp(link, reply));
}

/** The one that we gave way to asks whether anybody else has it: it is about to let go. */
function takeBack(
  state: Layer2State,
  link: Interface,
  { senderMac, senderAddress, targetAddress }: Pick<ArpFrame, 'senderMac' | 'senderAddress' | 'targetAddress'>,
  now: Millis,
): Outcome | undefined {
  const text = formatAddress(targetAddress);
  const old = state.owned.get(text);
  const isOurs = old?.waiting?.kind === 'yielded' && covers(old.announcement, link);
  if (!isOurs || senderAddress.value !== 0n || !state.siblings.has(formatMac(senderMac))) return undefined;
  return gratuitous({ ...state, owned: new Map(state.owned).set(text, claimed(old.announcement, now)), due: now }, now);
}

function onNdp(state: Layer2State, link: Interface, frame: NdpFrame, now: Millis): Outcome {
  if (frame.kind === 'advertisement') {
    const mac = frame.targetLinkLayer ?? frame.source;
    return conflict(state, link, frame.target, mac, now) ?? { next: state, outputs: [] };
  }
  const asked = { senderMac: frame.source, senderAddress: frame.sourceAddress, targetAddress: frame.target };
  const taken = takeBack(state, link, asked, now);
  if (taken !== undefined) return taken;
  const isForUs =
    sameMac(frame.destination, link.mac) || sameMac(frame.destination, multicastMac(solicitedNode(frame.target)));
  if (sameMac(frame.source, link.mac) || !isForUs || !owns(state, link, frame.target))
    return { next: state, outputs: [] };
  return answered(state, frame.target, sendNdp(link, advertisement(link, frame)));
}

/** Somebody with another MAC says that an address of ours is theirs; undefined when it is not so. */
function conflict(
  state: Layer2State,
  link: Interface,
  address: IpAddress,
  mac: MacAddress,
  now: Millis,
): Outcome | undefined {
  const text = formatAddress(address);
  const old = state.owned.get(text);
  if (old === undefined || !covers(old.announcement, link)) return undefined;
  if ([...state.interfaces.values()].some((own) => sameMac(own.mac, mac))) return undefined;
  if (state.leaving || old.handOver !== undefined) return handOver(state, text);
  const isSibling = state.siblings.has(formatMac(mac));
  if (isSibling) return withOwned(state, text, contested(old, link, mac, now));
  const outcome = foreignClaim(state, link, text, mac, now);
  if (old.waiting?.kind !== 'probing') return outcome;
  const waiting = { kind: 'probing', next: now + PROBE_AGAIN, left: PROBES } as const;
  return withOwned(outcome.next, text, { announcement: old.announcement, waiting }, outcome.outputs);
}

/** What becomes of an address that another of our speakers claims too. */
function contested(old: Owned, link: Interface, mac: MacAddress, now: Millis): Owned {
  const { announcement, waiting, dispute } = old;
  // The one that had it until now answers: it will stop when it hears of our claim.
  if (waiting?.kind === 'probing') return claimed(announcement, now);
  if (waiting?.kind === 'yielded') return { announcement, waiting: { ...waiting, unanswered: 0 } };
  if (dispute === undefined) {
    const wins = formatMac(link.mac) < formatMac(mac);
    return { ...old, dispute: { since: now, last: now, next: now + DISPUTE_PROBE, wins } };
  }
  if (now - dispute.since < DISPUTE_AFTER || dispute.wins) return { ...old, dispute: { ...dispute, last: now } };
  return { announcement, waiting: { kind: 'yielded', next: now + YIELDED_PROBE, unanswered: 0 } };
}

function withOwned(state: Layer2State, address: string, now: Owned, outputs: Layer2Output[] = []): Outcome {
  const owned = new Map(state.owned).set(address, now);
  return { next: { ...state, owned, due: dueOf(owned) }, outputs };
}

function foreignClaim(state: Layer2State, link: Interface, text: string, mac: MacAddress, now: Millis): Outcome {
  const key = `${text} ${formatMac(mac)}`;
  const known = state.conflicts.get(key);
  const fresh = { since: now, told: undefined, interface: link.name };
  const claim = known === undefined || now - known.last >= CONFLICT_INTERVAL ? fresh : known;
  // Whoever answers a question before we have ever claimed the address cannot be one of ours that has just handed it over.
  const isWaiting = state.owned.get(text)?.waiting?.kind === 'probing';
  const isNews =
    claim.told === undefined ? isWaiting || now - claim.since >= CONFLICT_AFTER : now - claim.told >= CONFLICT_INTERVAL;
  const conflicts = new Map([...state.conflicts, [key, { ...claim, last: now, told: isNews ? now : claim.told }]]);
  const outputs: Layer2Output[] = [{ kind: 'counted', counter: 'conflicts_seen', address: text, by: 1 }];
  if (isNews) outputs.push({ kind: 'conflict', address: text, mac: formatMac(mac), interface: link.name });
  return { next: { ...state, conflicts }, outputs };
}

function leave(state: Layer2State): Outcome {
  // What is told again and again now would take back what a successor has just taken.
  const owned = silenced(state.owned);
  return {
    next: { ...state, leaving: true, owned, due: undefined },
    outputs: owned.size === 0 ? [{ kind: 'all-handed-over' }] : [],
  };
}

function silenced(owned: ReadonlyMap<string, Owned>): ReadonlyMap<string, Owned> {
  const answered = [...owned].filter(([, { waiting }]) => waiting === undefined);
  return new Map(answered.map(([key, { announcement }]) => [key, { announcement }]));
}

/** Make before break: until now both would have answered, which clients do not notice. */
function handOver(state: Layer2State, address: string): Outcome {
  const owned = new Map([...state.owned].filter(([key]) => key !== address));
  const outputs: Layer2Output[] = state.leaving && owned.size === 0 ? [{ kind: 'all-handed-over' }] : [];
  return withGroups(state, { next: { ...state, owned, due: dueOf(owned) }, outputs });
}

function owns(state: Layer2State, link: Interface, address: IpAddress): boolean {
  const owned = state.owned.get(formatAddress(address));
  return owned !== undefined && owned.waiting === undefined && covers(owned.announcement, link);
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

/** So that callers need not name the input of a timer. */
export const TICK: Tick = { kind: 'tick' };
