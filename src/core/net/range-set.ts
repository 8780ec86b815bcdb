/**
 * Disjoint ranges of addresses, found by binary search: pools may have tens of thousands of entries.
 * @module
 */
import type { IpAddress, IpFamily } from './address.ts';
import type { AddressRange } from './prefix.ts';

/** So many ranges are inserted one by one; for more, all are sorted again. */
const FEW = 32;

/** Ranges that do not overlap each other, in both families. */
export class RangeSet {
  /** Ascending by address. */
  readonly #ranges: Readonly<Record<IpFamily, AddressRange[]>> = { ipv4: [], ipv6: [] };

  /** `ranges` must be disjoint. */
  static of(ranges: readonly AddressRange[]): RangeSet {
    const set = new RangeSet();
    set.addAll(ranges);
    return set;
  }

  get size(): number {
    return this.#ranges.ipv4.length + this.#ranges.ipv6.length;
  }

  /** The ranges, IPv4 first, ascending. */
  get all(): readonly AddressRange[] {
    return [...this.#ranges.ipv4, ...this.#ranges.ipv6];
  }

  /** Adds a range that overlaps no other; otherwise returns the first one that it overlaps and adds nothing. */
  add(range: AddressRange): AddressRange | undefined {
    const overlapped = this.overlapping(range);
    if (overlapped === undefined) {
      const list = this.#ranges[range.family];
      list.splice(firstEndingFrom(list, range.first), 0, range);
    }
    return overlapped;
  }

  /** Adds ranges that overlap neither each other nor any that is here. */
  addAll(ranges: readonly AddressRange[]): void {
    if (ranges.length <= FEW) {
      for (const range of ranges) this.add(range);
      return;
    }
    for (const range of ranges) this.#ranges[range.family].push(range);
    for (const list of Object.values(this.#ranges))
      list.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  }

  /** Every range that shares an address with this one, ascending. */
  *allOverlapping({ family, first, last }: AddressRange): Generator<AddressRange> {
    const list = this.#ranges[family];
    for (let i = firstEndingFrom(list, first); i < list.length && list[i]!.first <= last; i++) yield list[i]!;
  }

  /** The lowest range that shares an address with this one. */
  overlapping({ family, first, last }: AddressRange): AddressRange | undefined {
    const list = this.#ranges[family];
    const candidate = list[firstEndingFrom(list, first)];
    return candidate !== undefined && candidate.first <= last ? candidate : undefined;
  }

  /** The range that the address is in. */
  containing({ family, value }: IpAddress): AddressRange | undefined {
    return this.overlapping({ family, first: value, last: value });
  }
}

/** Index of the first range that does not end before the address; the length of the list when all do. */
function firstEndingFrom(ranges: readonly AddressRange[], value: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.last < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
