/**
 * UDP over IPv4 or IPv6 without Node's event loop, for the wire Worker.
 * @module
 */
import { addressToBytes, type IpAddress, parseAddress } from '../../core/net/address.ts';
import { enlargeReceiveBuffer } from './receive-buffer.ts';
import { attachFilter, type Instruction } from './socket-filter.ts';
import { AF_INET, AF_INET6, bind, SOCK_DGRAM, sendTo, socket } from './syscalls.ts';

export interface DatagramSocket {
  readonly fd: number;
  /** Sends to the same port at that address; a datagram that the kernel refuses is lost, as on any network. */
  send(bytes: Uint8Array, to: string): void;
  /** The kernel drops what this program does not let through, from now on. Throws SystemCallError. */
  filter(program: readonly Instruction[]): void;
}

/** Throws SystemCallError. A socket on `::` also handles IPv4, unless net.ipv6.bindv6only is set. */
export function openDatagramSocket(bindAddress: string, port: number): DatagramSocket {
  const own = parseAddress(bindAddress)!;
  const fd = socket(own.family === 'ipv4' ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  enlargeReceiveBuffer(fd);
  bind(fd, socketAddress(own, port));
  return {
    fd,
    filter: (program) => attachFilter(fd, program),
    send: (bytes, to) => {
      const address = parseAddress(to);
      if (address === undefined) return;
      if (own.family === 'ipv4' && address.family === 'ipv6') return;
      sendTo(fd, bytes, socketAddress(own.family === 'ipv4' ? address : mapped(address), port));
    },
  };
}

/** RFC 4291 §2.5.5.2: how an IPv6 socket represents an IPv4 address. */
function mapped(address: IpAddress): IpAddress {
  return address.family === 'ipv6' ? address : { family: 'ipv6', value: 0xffff00000000n | address.value };
}

/** struct sockaddr_in, or sockaddr_in6. `scope`: index of the interface that a link-local address is on. */
export function socketAddress(address: IpAddress, port: number, scope = 0): Uint8Array {
  const isIpv4 = address.family === 'ipv4';
  const bytes = new Uint8Array(isIpv4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port, false);
  bytes.set(addressToBytes(address), isIpv4 ? 4 : 8);
  if (!isIpv4) view.setUint32(24, scope, true);
  return bytes;
}
