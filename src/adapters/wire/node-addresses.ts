/**
 * The addresses of this machine, asked of the kernel (rtnetlink(7), RTM_GETADDR): /proc does not say of an IPv4 address how long it lasts.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { AddressFacts } from '../../core/doctor/pools.ts';
import { addressFromBytes, formatAddress } from '../../core/net/address.ts';
import { AF_NETLINK, close, receive, SOCK_RAW, send, socket } from './syscalls.ts';

const NETLINK_ROUTE = 0;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
/** Attributes of an address (linux/if_addr.h). */
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_PERMANENT = 0x80;
/** Lengths of struct nlmsghdr, struct ifaddrmsg and struct rtattr. */
const HEADER = 16;
const MESSAGE = 8;
const ATTRIBUTE = 4;

/** kube-proxy in IPVS mode has every Service address here. */
const NOT_ITS_OWN = 'kube-ipvs0';

/** Needs no capability. Empty where the kernel does not answer. */
export function readAddresses(): AddressFacts[] {
  const fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  try {
    const request = new Uint8Array(HEADER + MESSAGE);
    const view = new DataView(request.buffer);
    view.setUint32(0, request.length, true);
    view.setUint16(4, RTM_GETADDR, true);
    view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
    send(fd, request);
    const names = linkNames();
    const found: AddressFacts[] = [];
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const length = receive(fd, buffer);
      if (length === undefined) return found;
      const { addresses, isDone } = parseAddressDump(buffer.subarray(0, length), names);
      found.push(...addresses.filter(({ link }) => link !== NOT_ITS_OWN));
      if (isDone) return found;
    }
  } finally {
    close(fd);
  }
}

/** Names of links by their index. */
function linkNames(): Map<number, string> {
  const names = new Map<number, string>();
  for (const name of readdirSync('/sys/class/net'))
    try {
      names.set(Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8')), name);
    } catch {
      // It disappeared after it was listed.
    }
  return names;
}

/** Reads messages of a dump; `isDone`: it was the last of them. */
export function parseAddressDump(
  bytes: Uint8Array,
  names: ReadonlyMap<number, string>,
): { addresses: AddressFacts[]; isDone: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const addresses: AddressFacts[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > bytes.length) break;
    const type = view.getUint16(at + 4, true);
    if (type === NLMSG_DONE) return { addresses, isDone: true };
    if (type === RTM_NEWADDR && length >= HEADER + MESSAGE)
      addresses.push(...addressIn(view, at + HEADER, at + length, names));
    at += aligned(length);
  }
  return { addresses, isDone: false };
}

/** Family, length of the prefix, flags, scope, index of the link; then attributes. */
function addressIn(view: DataView, start: number, end: number, names: ReadonlyMap<number, string>): AddressFacts[] {
  const index = view.getUint32(start + 4, true);
  let flags = view.getUint8(start + 2);
  const values = new Map<number, Uint8Array>();
  for (let at = start + MESSAGE; at + ATTRIBUTE <= end; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE || at + length > end) break;
    const type = view.getUint16(at + 2, true);
    if (type === IFA_FLAGS && length >= ATTRIBUTE + 4) flags = view.getUint32(at + ATTRIBUTE, true);
    values.set(type, new Uint8Array(view.buffer, view.byteOffset + at + ATTRIBUTE, length - ATTRIBUTE));
    at += aligned(length);
  }
  // On a link with a peer the first is the peer's.
  const value = values.get(IFA_LOCAL) ?? values.get(IFA_ADDRESS);
  if (value?.length !== 4 && value?.length !== 16) return [];
  return [
    {
      address: formatAddress(addressFromBytes(value)),
      length: view.getUint8(start + 1),
      link: names.get(index) ?? `link ${index}`,
      dynamic: (flags & IFA_F_PERMANENT) === 0,
    },
  ];
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
