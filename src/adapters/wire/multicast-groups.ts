/**
 * Membership in IPv6 multicast groups: the kernel sends the MLD reports that make switches forward solicitations to us, and
 * lets the network card accept them.
 * @module
 */

import type { MulticastGroup } from '../../core/layer2/state.ts';
import { addressToBytes, parseAddress } from '../../core/net/address.ts';
import {
  AF_INET6,
  close,
  IPPROTO_IPV6,
  IPV6_JOIN_GROUP,
  IPV6_LEAVE_GROUP,
  SOCK_DGRAM,
  setsockopt,
  socket,
} from './syscalls.ts';

/** Memberships of one socket: the kernel limits their memory (net.core.optmem_max), which used to be 20,480 bytes by default. */
const PER_SOCKET = 100;

interface Holder {
  readonly fd: number;
  readonly members: Set<string>;
}

export class MulticastGroups {
  readonly #holders: Holder[] = [];
  readonly #holderOf = new Map<string, Holder>();
  readonly #onTrouble: (group: MulticastGroup, error: unknown) => void;

  constructor(onTrouble: (group: MulticastGroup, error: unknown) => void) {
    this.#onTrouble = onTrouble;
  }

  /** Joins new groups and leaves those no longer wanted. */
  set(groups: readonly MulticastGroup[]): void {
    const wanted = new Map(groups.map((group) => [keyOf(group), group]));
    for (const [key, holder] of this.#holderOf) {
      if (wanted.has(key)) continue;
      this.#change(holder.fd, key, IPV6_LEAVE_GROUP);
      holder.members.delete(key);
      this.#holderOf.delete(key);
    }
    for (const [key, group] of wanted) {
      if (this.#holderOf.has(key)) continue;
      try {
        this.#join(key);
      } catch (error) {
        this.#onTrouble(group, error);
      }
    }
  }

  close(): void {
    for (const { fd } of this.#holders) close(fd);
  }

  #join(key: string): void {
    let holder = this.#holders.find(({ members }) => members.size < PER_SOCKET);
    if (holder === undefined) {
      holder = { fd: socket(AF_INET6, SOCK_DGRAM, 0), members: new Set() };
      this.#holders.push(holder);
    }
    this.#change(holder.fd, key, IPV6_JOIN_GROUP);
    holder.members.add(key);
    this.#holderOf.set(key, holder);
  }

  #change(fd: number, key: string, option: number): void {
    const [index, group] = key.split(' ') as [string, string];
    // struct ipv6_mreq: address, interface index.
    const request = new Uint8Array(20);
    request.set(addressToBytes(parseAddress(group)!));
    new DataView(request.buffer).setUint32(16, Number(index), true);
    try {
      setsockopt(fd, IPPROTO_IPV6, option, request);
    } catch (error) {
      // The interface is gone, and its memberships with it.
      if (option !== IPV6_LEAVE_GROUP) throw error;
    }
  }
}

function keyOf({ interface: index, group }: MulticastGroup): string {
  return `${index} ${group}`;
}
