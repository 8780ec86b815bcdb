import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AddressRange, rangesOverlap } from './prefix.ts';
import { RangeSet } from './range-set.ts';

const range = (first: number, last: number, family: 'ipv4' | 'ipv6' = 'ipv4'): AddressRange => ({
  family,
  first: BigInt(first),
  last: BigInt(last),
});

describe('a set of ranges', () => {
  it('finds what a scan of all of them finds', () => {
    const ranges = fc.array(
      fc.tuple(fc.integer({ max: 60, min: 0 }), fc.integer({ max: 9, min: 0 }), fc.constantFrom('ipv4', 'ipv6')),
    );
    fc.assert(
      fc.property(ranges, (wanted) => {
        const set = new RangeSet();
        const kept: AddressRange[] = [];
        for (const [first, more, family] of wanted) {
          const next = range(first, first + more, family);
          const overlapped = set.add(next);
          const expected = kept.filter((other) => rangesOverlap(other, next));
          if (expected.length === 0) kept.push(next);
          expect(overlapped).toEqual(expected.toSorted((a, b) => Number(a.first - b.first))[0]);
        }
        expect(set.size).toBe(kept.length);
        expect(RangeSet.of(kept).all).toEqual(set.all);
        for (const [first, more, family] of wanted) {
          const asked = range(first, first + more, family);
          expect([...set.allOverlapping(asked)]).toEqual(set.all.filter((each) => rangesOverlap(each, asked)));
        }
        for (let value = 0n; value < 70n; value++)
          expect(set.containing({ family: 'ipv6', value })).toEqual(
            kept.find((each) => each.family === 'ipv6' && each.first <= value && value <= each.last),
          );
      }),
    );
  });

  it('takes many ranges at once as it takes them one by one', () => {
    const ranges = Array.from({ length: 100 }, (_, i) => range(((i * 37) % 100) * 10, ((i * 37) % 100) * 10 + 4));
    const [atOnce, oneByOne] = [RangeSet.of(ranges.slice(0, 3)), new RangeSet()];
    atOnce.addAll(ranges.slice(3));
    for (const each of ranges) oneByOne.add(each);
    expect(atOnce.all).toEqual(oneByOne.all);
  });

  it('looks at few ranges, however many there are', () => {
    let looks = 0;
    const counted = (first: number): AddressRange => ({
      family: 'ipv4',
      get first() {
        looks++;
        return BigInt(first);
      },
      get last() {
        looks++;
        return BigInt(first + 4);
      },
    });
    const set = new RangeSet();
    const entries = 4096;
    for (let i = 0; i < entries; i++) set.add(counted(((i * 2654435761) % 4096) * 10));
    expect(set.size).toBe(entries);
    expect(looks).toBeLessThan(entries * 2 * (Math.log2(entries) + 4));
  });
});
