/**
 * A packet socket that sees the ARP requests of one link and nothing else.
 * @module
 */
import { ETHERTYPE_ARP } from '../../core/layer2/codec.ts';
import {
  AF_PACKET,
  addressOf,
  bind,
  close,
  SO_ATTACH_FILTER,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_SOCKET,
  setsockopt,
  socket,
} from './syscalls.ts';

/** Classic BPF: EtherType ARP and operation request, else drop. Each entry is code, jump if true, jump if false, operand. */
const ARP_REQUESTS: readonly (readonly [number, number, number, number])[] = [
  [0x28, 0, 0, 12], // load half-word: EtherType
  [0x15, 0, 3, ETHERTYPE_ARP],
  [0x28, 0, 0, 20], // load half-word: operation
  [0x15, 0, 1, 1],
  [0x06, 0, 0, 128], // accept
  [0x06, 0, 0, 0], // drop
];

/** Room for bursts: with the default, answers get lost from 20,000 requests a second on (networking notes §2). */
const RECEIVE_BUFFER = 4 << 20;

/** Opens the socket. Needs CAP_NET_RAW: throws SystemCallError EPERM without it. */
export function openArpSocket(interfaceIndex: number): number {
  // Protocol 0 first, so that nothing unfiltered is ever queued; binding names the protocol.
  const fd = socket(AF_PACKET, SOCK_RAW, 0);
  try {
    attachFilter(fd);
    enlargeBuffer(fd);
    bind(fd, linkAddress(interfaceIndex));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function enlargeBuffer(fd: number): void {
  const size = new Uint8Array(new Int32Array([RECEIVE_BUFFER]).buffer);
  try {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size);
  } catch {
    // Without NET_ADMIN the kernel's limit (net.core.rmem_max) holds.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, size);
  }
}

function attachFilter(fd: number): void {
  const program = new Uint8Array(ARP_REQUESTS.length * 8);
  const view = new DataView(program.buffer);
  for (const [i, [code, yes, no, operand]] of ARP_REQUESTS.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, yes);
    view.setUint8(i * 8 + 3, no);
    view.setUint32(i * 8 + 4, operand, true);
  }
  // struct sock_fprog: length, padding, pointer.
  const header = new Uint8Array(16);
  const headerView = new DataView(header.buffer);
  headerView.setUint16(0, ARP_REQUESTS.length, true);
  headerView.setBigUint64(8, addressOf(program), true);
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header);
}

/** struct sockaddr_ll: family, protocol (network order), interface index. */
function linkAddress(interfaceIndex: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETHERTYPE_ARP, false);
  view.setInt32(4, interfaceIndex, true);
  return address;
}
