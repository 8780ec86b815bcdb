/**
 * The pools of the simulation, and their administrators, who write one object after the other: they split a pool and join it again, take addresses
 * out and put them back, renumber one family.
 * @module
 */
import { parseAddressEntry } from '../src/core/config/address-entry.ts';
import { isBuggy } from '../src/core/ipam/ordinals.ts';
import { parseAddress } from '../src/core/net/address.ts';
import { type AddressRange, rangeContains } from '../src/core/net/prefix.ts';
import { NAMESPACE } from './processes.ts';
import type { VirtualCluster } from './virtual-cluster.ts';

const SIZE = 8;
const LARGEST = 12;
const V6 = ['fd00:77::', 'fd00:78::'] as const;
/** Every address that a pool has at some time. */
const UNIVERSE = [
  ...Array.from({ length: LARGEST }, (_, i) => `198.51.100.${i}`),
  ...V6.flatMap((prefix) => Array.from({ length: SIZE }, (_, i) => `${prefix}${i === 0 ? '' : i}`)),
];
/** They are asked for after every write, and reading them costs more than the question. */
const PARSED = new Map(UNIVERSE.map((text) => [text, parseAddress(text)!]));
/** Shorter than the grace of controller and speakers, in milliseconds. */
const BETWEEN_WRITES = 3000;
/** Longer than that grace. */
const LOSS = { shortest: 6000, longest: 12_000 };
/** In the midst of faults a controller may act on what was true so long ago, in milliseconds: it slept, or its watches were cut. */
const MEMORY = 100_000;

interface PoolObject {
  readonly ranges: readonly AddressRange[];
  readonly avoidsBuggy: boolean;
}

export class Pools {
  readonly #cluster: VirtualCluster;
  readonly #isDual: boolean;
  /** As they are in the API. */
  readonly #objects = new Map<string, PoolObject>();
  /** When an address was in no pool for the last time. */
  readonly #lastUncovered = new Map<string, number>();
  readonly #lastCovered = new Map<string, number>();
  #lastSplit = Number.NEGATIVE_INFINITY;
  #size = SIZE;
  #v6: (typeof V6)[number] = V6[0];
  #isSplit = false;
  /** An edit of two writes is under way. */
  #isBusy = false;

  /** `isDual`: they have addresses of both families. */
  constructor(cluster: VirtualCluster, isDual: boolean) {
    this.#cluster = cluster;
    this.#isDual = isDual;
    this.#writeAll();
  }

  get repertoire(): readonly (readonly [string, () => void])[] {
    const slowly = () => this.#cluster.random.between(0, BETWEEN_WRITES);
    const lastingly = () => this.#cluster.random.between(LOSS.shortest, LOSS.longest);
    return [
      ['the pool grows', () => this.#grow()],
      ['a pool is split, or joined again', () => this.splitOrJoin(slowly())],
      ['a pool is split, or joined again', () => this.splitOrJoin(slowly())],
      ['a pool loses its upper half for a while', () => this.#loseUpper(lastingly())],
      ['a pool avoids .0 for a while', () => this.#avoidBuggy(lastingly())],
      ...(this.#isDual ? [['the IPv6 addresses are renumbered', () => this.renumber()] as const] : []),
    ];
  }

  /** Two writes, and so many milliseconds between them. */
  splitOrJoin(pause: number): void {
    this.#edit(pause, () => {
      this.#isSplit = !this.#isSplit;
      this.#lastSplit = this.#cluster.clock.now();
      if (this.#isSplit) this.#write('pool', this.#lower);
      else this.#write('other', undefined);
    });
  }

  renumber(): void {
    if (this.#isBusy) return;
    this.#v6 = V6[this.#v6 === V6[0] ? 1 : 0];
    this.#writeAll();
  }

  /** The pool that has the address now. */
  poolOf(text: string): string | undefined {
    const address = PARSED.get(text) ?? parseAddress(text)!;
    for (const [name, { ranges, avoidsBuggy }] of this.#objects) {
      if (avoidsBuggy && address.family === 'ipv4' && isBuggy(address.value)) continue;
      if (ranges.some((range) => rangeContains(range, address))) return name;
    }
    return undefined;
  }

  /** Addresses of the family that are in a pool now. */
  addresses(family: 'ipv4' | 'ipv6'): string[] {
    return UNIVERSE.filter((text) => PARSED.get(text)!.family === family && this.poolOf(text) !== undefined);
  }

  /** When the address was in a pool for the last time: now, if it is. */
  lastCovered(address: string): number {
    return this.poolOf(address) !== undefined
      ? this.#cluster.clock.now()
      : (this.#lastCovered.get(address) ?? Number.NEGATIVE_INFINITY);
  }

  /** Is there a reason why a Service that had all of these may have lost this one? */
  mayLose(lost: string, had: readonly string[]): boolean {
    const { clock } = this.#cluster;
    const since = this.poolOf(lost) === undefined ? clock.now() : this.#lastUncovered.get(lost);
    if (since !== undefined && clock.now() - since < MEMORY) return true;
    // Two of one Service must be of one pool.
    return new Set(had.map((each) => each.includes(':'))).size > 1 && clock.now() - this.#lastSplit < MEMORY;
  }

  get #lower(): string[] {
    return ['198.51.100.0-198.51.100.3', ...(this.#isDual ? [`${this.#v6}-${this.#v6}${SIZE - 1}`] : [])];
  }

  get #upper(): string[] {
    return [`198.51.100.4-198.51.100.${this.#size - 1}`];
  }

  #grow(): void {
    if (this.#isBusy) return;
    this.#size = Math.min(LARGEST, this.#size + 1);
    this.#writeAll();
  }

  #loseUpper(duration: number): void {
    this.#edit(duration, () => {
      if (this.#isSplit) this.#write('other', undefined);
      else this.#write('pool', this.#lower);
    });
  }

  #avoidBuggy(duration: number): void {
    this.#edit(duration, () =>
      this.#write('pool', this.#isSplit ? this.#lower : [...this.#lower, ...this.#upper], true),
    );
  }

  #edit(pause: number, firstWrite: () => void): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    firstWrite();
    this.#cluster.clock.after(pause, () => {
      this.#isBusy = false;
      this.#writeAll();
    });
  }

  #writeAll(): void {
    this.#write('pool', this.#isSplit ? this.#lower : [...this.#lower, ...this.#upper]);
    this.#write('other', this.#isSplit ? this.#upper : undefined);
  }

  #write(name: string, addresses: readonly string[] | undefined, avoidBuggyIPs = false): void {
    const { api } = this.#cluster;
    this.#noteUncovered();
    if (addresses === undefined) {
      this.#objects.delete(name);
      api.remove('ipaddresspools', `${NAMESPACE}/${name}`);
    } else {
      const ranges = addresses.map((text) => {
        const parsed = parseAddressEntry(text);
        if (!parsed.ok) throw new Error(parsed.message);
        return parsed.range;
      });
      this.#objects.set(name, { ranges, avoidsBuggy: avoidBuggyIPs });
      const metadata = { name, namespace: NAMESPACE, creationTimestamp: '2026-01-01T00:00:00Z' };
      api.put('ipaddresspools', { metadata, ...{ spec: { addresses, avoidBuggyIPs } } });
    }
    this.#noteUncovered();
  }

  #noteUncovered(): void {
    const now = this.#cluster.clock.now();
    for (const address of UNIVERSE)
      (this.poolOf(address) === undefined ? this.#lastUncovered : this.#lastCovered).set(address, now);
  }
}
