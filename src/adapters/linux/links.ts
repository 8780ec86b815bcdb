/**
 * The links of this machine, as /sys/class/net shows them (behaviour reference §4.5).
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Interface } from '../../core/layer2/messages.ts';
import { parseMac } from '../../core/net/mac.ts';

/** Interface flags of linux/if.h. */
const IFF_UP = 0x1;
const IFF_BROADCAST = 0x2;
const IFF_NOARP = 0x80;
/** ARPHRD_ETHER. */
const ETHERNET = 1;

export interface Links {
  /** Every link that is not excluded. */
  readonly names: readonly string[];
  /** Those that ARP can be answered on: up, Ethernet, broadcast, ARP on, no port of a bridge or bond. */
  readonly fit: readonly Interface[];
}

/** Reads the links now. Links whose names match `exclude` are passed over. */
export function readLinks(exclude: readonly RegExp[]): Links {
  const names: string[] = [];
  const fit: Interface[] = [];
  for (const name of readdirSync('/sys/class/net').sort()) {
    if (exclude.some((pattern) => pattern.test(name))) continue;
    const link = readLink(name);
    if (link === undefined) continue;
    names.push(name);
    if (link.fit) fit.push({ name, index: link.index, mac: link.mac });
  }
  return { names, fit };
}

function readLink(name: string): (Omit<Interface, 'name'> & { fit: boolean }) | undefined {
  const directory = `/sys/class/net/${name}`;
  const read = (file: string) => readFileSync(`${directory}/${file}`, 'utf8').trim();
  try {
    const flags = Number(read('flags'));
    const mac = parseMac(read('address'));
    const usable = (flags & IFF_UP) !== 0 && (flags & IFF_BROADCAST) !== 0 && (flags & IFF_NOARP) === 0;
    const isPort = existsSync(`${directory}/master`);
    const fit = usable && !isPort && Number(read('type')) === ETHERNET && mac !== undefined;
    return { index: Number(read('ifindex')), mac: mac ?? new Uint8Array(6), fit };
  } catch {
    return undefined; // It has gone away between the listing and the reading.
  }
}

/** Calls back with the links now and whenever they differ from before; looks every `interval` milliseconds. */
export function followLinks(
  exclude: readonly RegExp[],
  interval: number,
  onChange: (links: Links) => void,
): { stop(): void } {
  let last = '';
  const look = () => {
    const links = readLinks(exclude);
    const text = JSON.stringify([links.names, links.fit.map(({ name, index, mac }) => [name, index, [...mac]])]);
    if (text === last) return;
    last = text;
    onChange(links);
  };
  look();
  const timer = setInterval(look, interval);
  return { stop: () => clearInterval(timer) };
}
