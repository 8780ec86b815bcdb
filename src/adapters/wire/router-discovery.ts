/**
 * Router discovery on the interfaces of unnumbered BGP peers, in the wire Worker: we advertise ourselves, and listen for the router.
 * @module
 */
import {
  encodeRouterAdvertisement,
  encodeRouterSolicitation,
  isRouterAdvertisement,
  ROUTER_ADVERTISEMENT,
} from '../../core/layer2/router-discovery.ts';
import { formatAddress, isLinkLocal, parseAddress } from '../../core/net/address.ts';
import type { MacAddress } from '../../core/net/mac.ts';
import type { Cancel, Clock } from '../driver/clock.ts';
import { batch } from './batch.ts';
import { addressOfSocket } from './bfd-sockets.ts';
import { socketAddress } from './datagram-socket.ts';
import { interfaceIndex } from './interface-index.ts';
import { accept, attachFilter, DROP, JUMP_IF_EQUAL, LOAD_BYTE, NETWORK_HEADER } from './socket-filter.ts';
import {
  AF_INET6,
  bindToDevice,
  close,
  IPPROTO_ICMPV6,
  IPPROTO_IPV6,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_LOOP,
  receiveFrom,
  SOCK_RAW,
  type SystemCallError,
  sendTo,
  setNumber,
  socket,
} from './syscalls.ts';

export interface RouterFound {
  readonly kind: 'router-found';
  readonly interface: string;
  /** Link-local, in text. */
  readonly address: string;
}

interface Place {
  readonly fd: number;
  readonly name: string;
  readonly mac: MacAddress;
  /** Of what is sent next. */
  cancel: Cancel;
  sent: number;
  found: string;
}

const ALL_NODES = parseAddress('ff02::1')!;
const ALL_ROUTERS = parseAddress('ff02::2')!;
/** The hop limit that proves a message was not forwarded (RFC 4861 §6.1.2). */
const HOP_LIMIT = 255;
const HOP_LIMIT_OFFSET = 7;
/** In what a raw ICMPv6 socket filters: the message without the network header. */
const ICMPV6_TYPE_OFFSET = 0;
/** Milliseconds between our advertisements: short at first, so that a router that starts later is found quickly. */
const FIRST_PAUSE = 1000;
const PAUSE = 10_000;
const QUICK_ONES = 5;

export class RouterDiscovery {
  readonly #places = new Map<string, Place>();
  readonly #clock: Clock;
  readonly #onFound: (found: RouterFound) => void;
  readonly #onTrouble: (on: string, error: SystemCallError) => void;
  readonly #buffer = new Uint8Array(1500);

  constructor(
    clock: Clock,
    onFound: (found: RouterFound) => void,
    onTrouble: (on: string, error: SystemCallError) => void,
  ) {
    this.#clock = clock;
    this.#onFound = onFound;
    this.#onTrouble = onTrouble;
  }

  get fds(): readonly number[] {
    return [...this.#places.values()].map(({ fd }) => fd);
  }

  /** All interfaces, with their MAC addresses. One that does not exist yet must be passed again once it does. */
  set(interfaces: ReadonlyMap<string, MacAddress>): void {
    for (const [name, { fd, cancel }] of this.#places) {
      if (interfaces.has(name)) continue;
      cancel();
      close(fd);
      this.#places.delete(name);
    }
    for (const [name, mac] of interfaces) {
      if (this.#places.has(name)) continue;
      try {
        const place: Place = { fd: open(name), name, mac, cancel: () => {}, sent: 0, found: '' };
        this.#places.set(name, place);
        this.#sendAfter(0, place);
      } catch (error) {
        this.#onTrouble(name, error as SystemCallError);
      }
    }
  }

  #sendAfter(pause: number, place: Place): void {
    place.cancel = this.#clock.at(this.#clock.now() + pause, () => {
      const { fd, name, mac } = place;
      const scope = interfaceIndex(name);
      sendTo(fd, encodeRouterAdvertisement(mac), socketAddress(ALL_NODES, 0, scope));
      if (place.found === '') sendTo(fd, encodeRouterSolicitation(mac), socketAddress(ALL_ROUTERS, 0, scope));
      place.sent++;
      this.#sendAfter(place.sent < QUICK_ONES ? FIRST_PAUSE : PAUSE, place);
    });
  }

  drain(): void {
    for (const place of this.#places.values())
      for (const received of batch(() => receiveFrom(place.fd, this.#buffer))) {
        const source = addressOfSocket(received.address);
        if (source === undefined || !isLinkLocal(source)) continue;
        if (!isRouterAdvertisement(this.#buffer.subarray(0, received.length))) continue;
        const address = formatAddress(source);
        if (address === place.found) continue;
        place.found = address;
        this.#onFound({ kind: 'router-found', interface: place.name, address });
      }
  }

  close(): void {
    this.set(new Map());
  }
}

/** A socket for the Router Advertisements of one interface only. Throws SystemCallError. */
function open(name: string): number {
  const fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  try {
    // Other ICMPv6 messages on the link never wake the Worker.
    attachFilter(fd, [
      [LOAD_BYTE, 0, 0, NETWORK_HEADER + HOP_LIMIT_OFFSET],
      [JUMP_IF_EQUAL, 0, 3, HOP_LIMIT],
      [LOAD_BYTE, 0, 0, ICMPV6_TYPE_OFFSET],
      [JUMP_IF_EQUAL, 0, 1, ROUTER_ADVERTISEMENT],
      accept(0xffff),
      DROP,
    ]);
    bindToDevice(fd, name);
    setNumber(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOP_LIMIT);
    // The kernel loops multicasts back to the sender, which would make us our own router.
    setNumber(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
