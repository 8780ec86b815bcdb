/**
 * A packet socket that sees one protocol on one link: ARP, Neighbor Discovery, or echo requests.
 * @module
 */
import { BFD_ECHO_PORT } from '../../core/bfd/echo-codec.ts';
import { ETHERTYPE_ARP } from '../../core/layer2/arp-codec.ts';
import { ETHERTYPE_IPV4 } from '../../core/layer2/echo-codec.ts';
import { ETHERTYPE_IPV6 } from '../../core/layer2/ndp-codec.ts';
import { enlargeReceiveBuffer } from './receive-buffer.ts';
import {
  accept,
  attachFilter,
  DROP,
  type Instruction,
  JUMP_IF_EQUAL,
  LOAD_BYTE,
  LOAD_BYTE_INDEXED,
  LOAD_HALF_WORD,
  LOAD_HALF_WORD_INDEXED,
  LOAD_X_HEADER_LENGTH,
} from './socket-filter.ts';
import { AF_PACKET, bind, close, SOCK_RAW, socket } from './syscalls.ts';

/** What a socket receives, by protocol: the EtherType it is bound to, and a classic BPF filter. */
const PROTOCOLS = {
  /** All ARP packets: requests to answer, and anything that claims an address. */
  arp: {
    etherType: ETHERTYPE_ARP,
    filter: [[LOAD_HALF_WORD, 0, 0, 12], [JUMP_IF_EQUAL, 0, 1, ETHERTYPE_ARP], accept(128), DROP],
  },
  /** Neighbor Solicitations and Advertisements that were not forwarded (hop limit 255); extension headers are not followed. */
  ndp: {
    etherType: ETHERTYPE_IPV6,
    filter: [
      [LOAD_BYTE, 0, 0, 20], // next header: ICMPv6
      [JUMP_IF_EQUAL, 0, 6, 58],
      [LOAD_BYTE, 0, 0, 21], // hop limit
      [JUMP_IF_EQUAL, 0, 4, 255],
      [LOAD_BYTE, 0, 0, 54], // ICMPv6 type
      [JUMP_IF_EQUAL, 1, 0, 135],
      [JUMP_IF_EQUAL, 0, 1, 136],
      accept(512),
      DROP,
    ],
  },
  /** ICMP echo requests. */
  echo4: {
    etherType: ETHERTYPE_IPV4,
    filter: [
      [LOAD_BYTE, 0, 0, 23], // protocol: ICMP
      [JUMP_IF_EQUAL, 0, 4, 1],
      [LOAD_X_HEADER_LENGTH, 0, 0, 14],
      [LOAD_BYTE_INDEXED, 0, 0, 14], // ICMP type
      [JUMP_IF_EQUAL, 0, 1, 8],
      accept(2048),
      DROP,
    ],
  },
  /** Datagrams to the port of BFD echoes. */
  'bfd-echo': {
    etherType: ETHERTYPE_IPV4,
    filter: [
      [LOAD_BYTE, 0, 0, 23], // protocol: UDP
      [JUMP_IF_EQUAL, 0, 4, 17],
      [LOAD_X_HEADER_LENGTH, 0, 0, 14],
      [LOAD_HALF_WORD_INDEXED, 0, 0, 16], // destination port
      [JUMP_IF_EQUAL, 0, 1, BFD_ECHO_PORT],
      accept(256),
      DROP,
    ],
  },
  /** ICMPv6 echo requests. */
  echo6: {
    etherType: ETHERTYPE_IPV6,
    filter: [
      [LOAD_BYTE, 0, 0, 20], // next header: ICMPv6
      [JUMP_IF_EQUAL, 0, 3, 58],
      [LOAD_BYTE, 0, 0, 54], // ICMPv6 type
      [JUMP_IF_EQUAL, 0, 1, 128],
      accept(2048),
      DROP,
    ],
  },
} as const satisfies Record<string, { etherType: number; filter: readonly Instruction[] }>;

export type PacketProtocol = keyof typeof PROTOCOLS;

/** Opens the socket. Needs CAP_NET_RAW: throws SystemCallError EPERM without it. */
export function openPacketSocket(protocol: PacketProtocol, interfaceIndex: number): number {
  const { etherType, filter } = PROTOCOLS[protocol];
  // Protocol 0 first, so that nothing is queued before the filter is attached; bind sets the protocol.
  const fd = socket(AF_PACKET, SOCK_RAW, 0);
  try {
    attachFilter(fd, filter);
    enlargeReceiveBuffer(fd);
    bind(fd, linkAddress(etherType, interfaceIndex));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** struct sockaddr_ll: family, protocol (network order), interface index. */
function linkAddress(etherType: number, interfaceIndex: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, etherType, false);
  view.setInt32(4, interfaceIndex, true);
  return address;
}
