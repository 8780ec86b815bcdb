/**
 * UDP sockets for BFD: ports, and the TTL that keeps strangers out (RFC 5881 §4-5, RFC 5883 §5).
 * @module
 */
import { addressFromBytes, type IpAddress, type IpFamily } from '../../core/net/address.ts';
import { socketAddress } from './datagram-socket.ts';
import { accept, attachFilter, DROP, type Instruction, JUMP_IF_AT_LEAST, LOAD_BYTE } from './socket-filter.ts';
import {
  AF_INET,
  AF_INET6,
  bind,
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
/** Where a filter finds the network header (linux/filter.h, SKF_NET_OFF), and in it the TTL or hop limit. */
const NETWORK_HEADER = 0xfff00000;
const TTL_OFFSET: Readonly<Record<IpFamily, number>> = { ipv4: 8, ipv6: 7 };

function open(family: IpFamily): number {
  const fd = socket(family === 'ipv4' ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  if (family === 'ipv6') setNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  return fd;
}

/** IP_MINTTL means nothing to UDP sockets of Linux (networking notes §6): a filter does it. */
export function openBfdReceiver(family: IpFamily, multihop: boolean, minimumTtl: number): number {
  const fd = open(family);
  const filter: Instruction[] = [
    [LOAD_BYTE, 0, 0, NETWORK_HEADER + TTL_OFFSET[family]],
    [JUMP_IF_AT_LEAST, 0, 1, multihop ? minimumTtl : TTL],
    accept(0xffff),
    DROP,
  ];
  try {
    attachFilter(fd, filter);
    bind(fd, socketAddress(ANY[family], multihop ? MULTIHOP_PORT : SINGLE_HOP_PORT));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

let lastSourcePort = FIRST_SOURCE_PORT;

export function openBfdSender(to: IpAddress, multihop: boolean): { fd: number; send: (bytes: Uint8Array) => void } {
  const fd = open(to.family);
  setTtl(fd, to.family, TTL);
  bindSomewhere(fd, to.family);
  const target = socketAddress(to, multihop ? MULTIHOP_PORT : SINGLE_HOP_PORT);
  return { fd, send: (bytes) => void sendTo(fd, bytes, target) };
}

function bindSomewhere(fd: number, family: IpFamily): void {
  for (let tries = 0; ; tries++) {
    lastSourcePort = lastSourcePort >= LAST_SOURCE_PORT ? FIRST_SOURCE_PORT : lastSourcePort + 1;
    try {
      bind(fd, socketAddress(ANY[family], lastSourcePort));
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
