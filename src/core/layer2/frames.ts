/**
 * The frames that are sent for an address: answers, claims and questions (docs/behaviour/layer2.md).
 * @module
 */
import type { IpAddress } from '../net/address.ts';
import { BROADCAST_MAC } from '../net/mac.ts';
import { encodeArp } from './arp-codec.ts';
import type { ArpFrame, Interface, NdpFrame, NeighborAdvertisement, NeighborSolicitation } from './messages.ts';
import { ALL_NODES, encodeNdp, multicastMac } from './ndp-codec.ts';
import { encodeProbe } from './probe.ts';
import type { Announcement, Layer2Output, Layer2State } from './state.ts';

export function takeoverFrames(state: Layer2State, announcement: Announcement): Layer2Output[] {
  const links = [...state.interfaces.values()].filter((link) => covers(announcement, link));
  return announcement.address.family === 'ipv4'
    ? links.filter(({ arp }) => arp).flatMap((link) => gratuitousArp(link, announcement.address))
    : links.filter(({ ndp }) => ndp).map((link) => sendNdp(link, unsolicited(link, announcement.address)));
}

/** A successor that has been announcing all along, because it never heard of our claim, answers a probe and so claims the address. */
export function probes(state: Layer2State, announcement: Announcement): Layer2Output[] {
  const { address } = announcement;
  const protocol = address.family === 'ipv4' ? 'arp' : 'ndp';
  return [...state.interfaces.values()]
    .filter((link) => link[protocol] && covers(announcement, link))
    .map((link) => ({ kind: 'send', protocol, interface: link.index, bytes: encodeProbe(address, link.mac) }));
}

/**
 * A request and a reply. The reply names our own MAC as its target, not broadcast: Linux ignores a broadcast target in
 * replies while its entry is younger than a second (measured).
 */
function gratuitousArp(link: Interface, address: IpAddress): Layer2Output[] {
  const base = {
    destination: BROADCAST_MAC,
    source: link.mac,
    senderMac: link.mac,
    senderAddress: address,
    targetAddress: address,
  };
  const request: ArpFrame = { ...base, operation: 'request', targetMac: BROADCAST_MAC };
  const reply: ArpFrame = { ...base, operation: 'reply', targetMac: link.mac };
  return [request, reply].map((frame) => sendArp(link, frame));
}

/** RFC 4861 §7.2.6: to all nodes, and what they have in their caches is to be overridden. */
function unsolicited(link: Interface, address: IpAddress): NeighborAdvertisement {
  return {
    kind: 'advertisement',
    destination: multicastMac(ALL_NODES),
    source: link.mac,
    sourceAddress: address,
    destinationAddress: ALL_NODES,
    target: address,
    router: false,
    solicited: false,
    override: true,
    targetLinkLayer: link.mac,
  };
}

export function arpReply(link: Interface, { senderMac, senderAddress, targetAddress }: ArpFrame): ArpFrame {
  return {
    destination: senderMac,
    source: link.mac,
    operation: 'reply',
    senderMac: link.mac,
    senderAddress: targetAddress,
    targetMac: senderMac,
    targetAddress: senderAddress,
  };
}

/** RFC 4861 §7.2.4. Who asks without an address checks for duplicates: the answer goes to all. */
export function advertisement(link: Interface, solicitation: NeighborSolicitation): NeighborAdvertisement {
  const { target, sourceAddress, sourceLinkLayer, source } = solicitation;
  const isDuplicateDetection = sourceAddress.value === 0n;
  return {
    kind: 'advertisement',
    destination: isDuplicateDetection ? multicastMac(ALL_NODES) : (sourceLinkLayer ?? source),
    source: link.mac,
    sourceAddress: target,
    destinationAddress: isDuplicateDetection ? ALL_NODES : sourceAddress,
    target,
    router: false,
    solicited: !isDuplicateDetection,
    override: true,
    targetLinkLayer: link.mac,
  };
}

export function sendArp(link: Interface, frame: ArpFrame): Layer2Output {
  return { kind: 'send', protocol: 'arp', interface: link.index, bytes: encodeArp(frame) };
}

export function sendNdp(link: Interface, frame: NdpFrame): Layer2Output {
  return { kind: 'send', protocol: 'ndp', interface: link.index, bytes: encodeNdp(frame) };
}

export function covers(announcement: Announcement, link: Interface): boolean {
  return announcement.interfaces === undefined || announcement.interfaces.includes(link.name);
}
