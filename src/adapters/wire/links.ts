/**
 * The links of this machine, as /sys/class/net shows them (docs/behaviour/layer2.md#usable-interfaces).
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Gateway } from '../../core/bgp/peers/peer-location.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import { equal } from '../../core/net/equal.ts';
import { parseMac } from '../../core/net/mac.ts';
import type { Cancel, Clock } from '../driver/clock.ts';
import { readGateways } from './gateways.ts';

/** Interface flags of linux/if.h. */
const IFF_UP = 0x1;
const IFF_BROADCAST = 0x2;
const IFF_NOARP = 0x80;
/** ARPHRD_ETHER. */
const ETHERNET = 1;

export interface Links {
  /** Every link that is not excluded. */
  readonly names: readonly string[];
  /** Those that can be announced on: up, with a carrier, Ethernet, ARP on, not a port of a bridge or bond. */
  readonly fit: readonly Interface[];
  /** Default gateways, lowest metric first. */
  readonly gateways: readonly Gateway[];
}

/** Reads the links now, except those whose names match `exclude`. */
export function readLinks(exclude: readonly RegExp[]): Links {
  const names: string[] = [];
  const fit: Interface[] = [];
  const linkLocal = linksWithLinkLocal();
  for (const name of readdirSync('/sys/class/net').sort()) {
    if (exclude.some((pattern) => pattern.test(name))) continue;
    const link = readLink(name, linkLocal);
    if (link === undefined) continue;
    names.push(name);
    if (link.arp || link.ndp) fit.push({ name, ...link });
  }
  return { names, fit, gateways: readGateways() };
}

function readLink(name: string, linkLocal: ReadonlySet<string>): Omit<Interface, 'name'> | undefined {
  const directory = `/sys/class/net/${name}`;
  const read = (file: string) => readFileSync(`${directory}/${file}`, 'utf8').trim();
  try {
    const flags = Number(read('flags'));
    const mac = parseMac(read('address'));
    const isUp = (flags & IFF_UP) !== 0 && (flags & IFF_NOARP) === 0;
    const isPort = existsSync(`${directory}/master`);
    const usable = isUp && !isPort && hasCarrier(directory) && Number(read('type')) === ETHERNET && mac !== undefined;
    return {
      index: Number(read('ifindex')),
      mac: mac ?? new Uint8Array(6),
      arp: usable && (flags & IFF_BROADCAST) !== 0,
      ndp: usable && linkLocal.has(name),
    };
  } catch {
    return undefined; // It disappeared after it was listed.
  }
}

/** Reading `carrier` fails while a link is down. */
function hasCarrier(directory: string): boolean {
  try {
    return readFileSync(`${directory}/carrier`, 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

/** Scope of link-local addresses in /proc/net/if_inet6. */
const LINK_LOCAL_SCOPE = '20';

/** Names of the links that have an IPv6 link-local address; without one, IPv6 is disabled on a link. */
function linksWithLinkLocal(): Set<string> {
  let table: string;
  try {
    table = readFileSync('/proc/net/if_inet6', 'utf8');
  } catch {
    return new Set(); // A kernel without IPv6.
  }
  // Address, index, prefix length, scope, flags, name.
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  return new Set(rows.filter(([, , , scope]) => scope === LINK_LOCAL_SCOPE).map((row) => row[5]!));
}

/** Milliseconds between periodic reads, in case netlink misses a change; normally netlink reports it at once. */
export const LINK_INTERVAL = 10_000;

export interface LinkFollowerOptions {
  readonly clock: Clock;
  readonly read: () => Links;
  /** Called with the links at the start and whenever they have changed. */
  readonly onChange: (links: Links) => void;
}

/** Watches the links; call `look` whenever something may have changed. */
export class LinkFollower {
  readonly #options: LinkFollowerOptions;
  #cancel: Cancel = () => {};
  #last: Links | undefined;

  constructor(options: LinkFollowerOptions) {
    this.#options = options;
    this.#lookAgain();
  }

  look(): void {
    const links = this.#options.read();
    if (equal(links, this.#last)) return;
    this.#last = links;
    this.#options.onChange(links);
  }

  stop(): void {
    this.#cancel();
  }

  #lookAgain(): void {
    const { clock } = this.#options;
    this.#cancel = clock.at(clock.now() + LINK_INTERVAL, () => this.#lookAgain());
    this.look();
  }
}
