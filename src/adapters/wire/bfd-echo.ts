/**
 * Sends and receives BFD echo packets on packet sockets: the kernel drops packets that carry its own source address.
 * @module
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type BfdEcho, decodeBfdEcho, encodeBfdEcho } from '../../core/bfd/echo-codec.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../core/net/address.ts';
import { type MacAddress, parseMac } from '../../core/net/mac.ts';
import { batch } from './batch.ts';
import { interfaceIndex } from './interface-index.ts';
import { openPacketSocket } from './packet-socket.ts';
import { close, receive, send } from './syscalls.ts';

interface Path {
  readonly fd: number;
  readonly own: IpAddress;
  readonly from: MacAddress;
  readonly router: MacAddress;
}

/** Milliseconds until the neighbor table is read again. */
const LOOK_AGAIN = 10_000;

export class EchoPaths {
  /** By interface. */
  readonly #sockets = new Map<string, number>();
  /** By router address; undefined: no path was found. */
  readonly #paths = new Map<string, { readonly path: Path | undefined; readonly until: number }>();
  readonly #buffer = new Uint8Array(256);

  get fds(): readonly number[] {
    return [...this.#sockets.values()];
  }

  /** False: the router is not in the neighbor table. Throws SystemCallError. */
  send(router: IpAddress, discriminator: number, now: number): boolean {
    const key = formatAddress(router);
    let known = this.#paths.get(key);
    if (known === undefined || known.until <= now) {
      known = { path: this.#find(key), until: now + LOOK_AGAIN };
      if (known.path !== undefined) this.#paths.set(key, known);
    }
    const { path } = known;
    return path !== undefined && send(path.fd, encodeBfdEcho({ own: path.own, discriminator }, path.from, path.router));
  }

  /** Echo packets that have come back, one batch at most. */
  *received(): Iterable<BfdEcho> {
    for (const fd of this.#sockets.values())
      for (const length of batch(() => receive(fd, this.#buffer))) {
        const echo = decodeBfdEcho(this.#buffer.subarray(0, length));
        if (echo !== undefined) yield echo;
      }
  }

  close(): void {
    for (const fd of this.#sockets.values()) close(fd);
    this.#sockets.clear();
  }

  /** BFD control packets keep the router in the neighbor table: address, type, flags, MAC, mask, interface. */
  #find(router: string): Path | undefined {
    const rows = readFileSync('/proc/net/arp', 'utf8')
      .split('\n')
      .map((line) => line.split(/\s+/));
    const row = rows.find(([address]) => address === router);
    const [mac, name] = [parseMac(row?.[3] ?? ''), row?.[5]];
    const link = networkInterfaces()[name ?? '']?.find(({ family }) => family === 'IPv4');
    const [own, from] = [parseAddress(link?.address ?? ''), parseMac(link?.mac ?? '')];
    if (mac === undefined || name === undefined || own === undefined || from === undefined) return undefined;
    const fd = this.#sockets.get(name) ?? openPacketSocket('bfd-echo', interfaceIndex(name));
    this.#sockets.set(name, fd);
    return { fd, own, from, router: mac };
  }
}

/** True if the kernel forwards packets: then it also returns the routers' echoes, without our help. */
export function forwardsIpv4(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim() === '1';
  } catch {
    return false;
  }
}
