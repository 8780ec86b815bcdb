/**
 * UDP sockets for BFD: ports, and the TTL that keeps strangers out (RFC 5881 §4-5, RFC 5883 §5).
 * @module
 */
import { addressFromBytes, addressToBytes, type IpAddress, type IpFamily } from '../../core/net/address.ts';
import { socketAddress } from './datagram-socket.ts';
import { interfaceIndex } from './interface-index.ts';
import {
  accept,
  attachFilter,
  DROP,
  type Instruction,
  JUMP_IF_AT_LEAST,
  JUMP_IF_EQUAL,
  LOAD_BYTE,
  LOAD_WORD,
  NETWORK_HEADER,
} from './socket-filter.ts';
import {
  AF_INET,
  AF_INET6,
  bind,
  bindToDevice,
  close,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SOCK_DGRAM,
  type SystemCallError,
  sendTo,
  setNumber,
  setTtl,
  socket,
} from './syscalls.ts';

const SINGLE_HOP_PORT = 3784;
const MULTIHOP_PORT = 4784;
/** Source ports, one for each session (RFC 5881 §4). */
const FIRST_SOURCE_PORT = 49_152;
const LAST_SOURCE_PORT = 65_535;
const TTL = 255;
const ANY: Readonly<Record<IpFamily, IpAddress>> = {
  ipv4: { family: 'ipv4', value: 0n },
  ipv6: { family: 'ipv6', value: 0n },
};
/** In the network header: TTL or hop limit, and the source address in words of four bytes. */
const HEADER: Readonly<Record<IpFamily, { ttl: number; source: number }>> = {
  ipv4: { ttl: 8, source: 12 },
  ipv6: { ttl: 7, source: 8 },
};

/** Who may send to a socket, and the lowest TTL that is accepted. */
export interface Admitted {
  readonly address: IpAddress;
  readonly leastTtl: number;
}

function open(family: IpFamily): number {
  const fd = socket(family === 'ipv4' ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  if (family === 'ipv6') setNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  return fd;
}

export function openBfdReceiver(family: IpFamily, multihop: boolean, device: string): number {
  const fd = open(family);
  try {
    if (device !== '') bindToDevice(fd, device);
    bind(fd, socketAddress(ANY[family], multihop ? MULTIHOP_PORT : SINGLE_HOP_PORT));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Drops packets from other senders or from too many hops away: Linux ignores IP_MINTTL on UDP sockets. */
export function admit(fd: number, family: IpFamily, senders: readonly Admitted[]): void {
  const { ttl, source } = HEADER[family];
  const blocks = senders.flatMap(({ address, leastTtl }): Instruction[] => {
    const words = new DataView(Uint8Array.from(addressToBytes(address)).buffer);
    const count = words.byteLength / 4;
    const verdict: Instruction[] = [
      [LOAD_BYTE, 0, 0, NETWORK_HEADER + ttl],
      [JUMP_IF_AT_LEAST, 0, 1, leastTtl],
      accept(0xffff),
      DROP,
    ];
    const comparisons = Array.from({ length: count }, (_, i): Instruction[] => [
      [LOAD_WORD, 0, 0, NETWORK_HEADER + source + 4 * i],
      // Past what is left of this block.
      [JUMP_IF_EQUAL, 0, 2 * (count - 1 - i) + verdict.length, words.getUint32(4 * i)],
    ]).flat();
    return [...comparisons, ...verdict];
  });
  attachFilter(fd, [...blocks, DROP]);
}

/** The lowest TTL to accept: 255 for single hop, else what the session allows. */
export function leastTtlOf(multihop: boolean, minimumTtl: number): number {
  return multihop ? minimumTtl : TTL;
}

let lastSourcePort = FIRST_SOURCE_PORT;

/** Where the packets of a session go, and by which interface. */
export interface BfdPath {
  readonly address: IpAddress;
  /** The interface that a link-local address is on. */
  readonly zone?: string | undefined;
  readonly multihop: boolean;
  readonly source?: IpAddress | undefined;
  /** An interface or a VRF; empty: whatever the routes say. */
  readonly device: string;
}

export function openBfdSender({ address, zone, multihop, source, device }: BfdPath): {
  fd: number;
  send: (bytes: Uint8Array) => void;
} {
  const fd = open(address.family);
  try {
    setTtl(fd, address.family, TTL);
    if (device !== '') bindToDevice(fd, device);
    bindSomewhere(fd, source ?? ANY[address.family]);
  } catch (error) {
    close(fd);
    throw error;
  }
  const scope = zone === undefined ? 0 : interfaceIndex(zone);
  const target = socketAddress(address, multihop ? MULTIHOP_PORT : SINGLE_HOP_PORT, scope);
  return { fd, send: (bytes) => void sendTo(fd, bytes, target) };
}

function bindSomewhere(fd: number, address: IpAddress): void {
  for (let tries = 0; ; tries++) {
    lastSourcePort = lastSourcePort >= LAST_SOURCE_PORT ? FIRST_SOURCE_PORT : lastSourcePort + 1;
    try {
      bind(fd, socketAddress(address, lastSourcePort));
      return;
    } catch (error) {
      if ((error as SystemCallError).code !== 'EADDRINUSE' || tries > 100) throw error;
    }
  }
}

/** The address in a struct sockaddr_in or sockaddr_in6. */
export function addressOfSocket(bytes: Uint8Array): IpAddress | undefined {
  const family = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0, true);
  if (family === AF_INET) return addressFromBytes(bytes.slice(4, 8));
  return family === AF_INET6 ? addressFromBytes(bytes.slice(8, 24)) : undefined;
}
