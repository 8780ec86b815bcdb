/**
 * A netlink socket for changes of links and addresses (rtnetlink(7)). It only says when to look: the links are read from /sys
 * and /proc.
 * @module
 */
import { AF_NETLINK, bind, close, receive, SOCK_RAW, socket } from './syscalls.ts';

const NETLINK_ROUTE = 0;
/** RTMGRP_LINK and RTMGRP_IPV6_IFADDR: IPv4 addresses of links do not matter here. */
const GROUPS = 0x1 | 0x100;

/** Opens the socket. Needs no capability. Throws SystemCallError. */
export function openNetlinkSocket(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  try {
    // struct sockaddr_nl: family, padding, port (0: the kernel chooses), groups.
    const address = new Uint8Array(12);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, GROUPS, true);
    bind(fd, address);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Empties the socket. Lost messages (ENOBUFS) do no harm: one read of /sys shows everything. */
export function drainNetlink(fd: number, buffer: Uint8Array): void {
  for (let i = 0; i < 1000 && receive(fd, buffer) !== undefined; i++);
}
