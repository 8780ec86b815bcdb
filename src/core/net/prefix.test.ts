import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { addressFromBytes, formatAddress, parseAddress } from './address.ts';
import {
  formatPrefix,
  parsePrefix,
  prefixOf,
  prefixRange,
  rangeContains,
  rangesOverlap,
  rangeToPrefixes,
  shortestPrefixIn,
} from './prefix.ts';

const split = (first: string, last: string) => {
  const from = parseAddress(first)!;
  return rangeToPrefixes({ family: from.family, first: from.value, last: parseAddress(last)!.value }).map(formatPrefix);
};

describe('prefixes', () => {
  it.each([
    ['198.51.100.10/24', '198.51.100.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['192.0.2.1/32', '192.0.2.1/32'],
    ['2001:db8::1/64', '2001:db8::/64'],
  ])('reads %s as %s: host bits are masked off', (text, canonical) => {
    expect(formatPrefix(parsePrefix(text)!)).toBe(canonical);
  });

  it.each([
    '192.0.2.1',
    '192.0.2.0/33',
    '::/129',
    '192.0.2.0/',
    '192.0.2.0/01',
    '192.0.2.0/+1',
    '/24',
    'a/24',
    ' 192.0.2.0/24',
  ])('refuses %j', (text) => expect(parsePrefix(text)).toBeUndefined());

  it('agrees with ipaddr.js on the network address of a CIDR', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.integer({ min: 0, max: 32 }), (bytes, length) => {
        const text = `${formatAddress(addressFromBytes(bytes))}/${length}`;
        const range = prefixRange(parsePrefix(text)!);
        expect(formatAddress({ family: 'ipv4', value: range.first })).toBe(
          ipaddr.IPv4.networkAddressFromCIDR(text).toString(),
        );
        expect(formatAddress({ family: 'ipv4', value: range.last })).toBe(
          ipaddr.IPv4.broadcastAddressFromCIDR(text).toString(),
        );
      }),
    );
  });
});

describe('a range splits into prefixes', () => {
  it('as docs/behaviour/addresses.md works it out', () => {
    expect(split('192.0.2.5', '192.0.2.18')).toEqual([
      '192.0.2.5/32',
      '192.0.2.6/31',
      '192.0.2.8/29',
      '192.0.2.16/31',
      '192.0.2.18/32',
    ]);
    expect(split('2001:db8::5', '2001:db8::8')).toEqual(['2001:db8::5/128', '2001:db8::6/127', '2001:db8::8/128']);
    expect(split('0.0.0.0', '255.255.255.255')).toEqual(['0.0.0.0/0']);
  });

  it('exactly, in order, and with no two that could be one', () => {
    const number = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n });
    fc.assert(
      fc.property(number, number, (a, b) => {
        const [first, last] = a < b ? [a, b] : [b, a];
        const prefixes = rangeToPrefixes({ family: 'ipv4', first, last });
        let next = first;
        for (const prefix of prefixes) {
          expect(prefix.base).toBe(next);
          expect(prefixOf({ family: 'ipv4', value: prefix.base }, prefix.length).base).toBe(prefix.base);
          next = prefixRange(prefix).last + 1n;
        }
        expect(next).toBe(last + 1n);
        for (let i = 1; i < prefixes.length; i++) {
          const [left, right] = [prefixes[i - 1]!, prefixes[i]!];
          const parent = prefixOf({ family: 'ipv4', value: left.base }, left.length - 1);
          expect(left.length === right.length && prefixRange(parent).last === prefixRange(right).last).toBe(false);
        }
      }),
    );
  });

  it('of which the shortest has its length without the others', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }), fc.bigInt({ min: 0n, max: 2000n }), (first, more) => {
        for (const last of [first + more, (1n << 32n) - 1n]) {
          const range = { family: 'ipv4', first, last } as const;
          if (last >= 1n << 32n) continue;
          expect(shortestPrefixIn(range)).toBe(Math.min(...rangeToPrefixes(range).map(({ length }) => length)));
        }
      }),
    );
    const everything = prefixRange(parsePrefix('::/0')!);
    expect(shortestPrefixIn(everything)).toBe(0);
    expect(shortestPrefixIn({ ...everything, first: 1n })).toBe(1);
  });

  it('knows containment and overlap by family', () => {
    const four = prefixRange(parsePrefix('0.0.0.0/0')!);
    const six = prefixRange(parsePrefix('::/96')!);
    expect(rangesOverlap(four, six)).toBe(false);
    expect(rangeContains(four, parseAddress('::1')!)).toBe(false);
    expect(rangeContains(six, parseAddress('::1')!)).toBe(true);
    expect(rangesOverlap(four, prefixRange(parsePrefix('192.0.2.0/24')!))).toBe(true);
  });
});
