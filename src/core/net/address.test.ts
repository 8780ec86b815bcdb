import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { addressFromBytes, addressToBytes, compareAddresses, formatAddress, parseAddress } from './address.ts';

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['0:0:0:0:0:0:0:0', '::'],
  ])('reads %s and writes it as %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  it.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '-1.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '1:2:3:4:5:6:7::8:9',
    ':1:2:3:4:5:6:7',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('agrees with ipaddr.js on every IPv4 and IPv6 value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.boolean(), (bytes, four) => {
        const raw = four ? bytes.slice(0, 4) : bytes;
        const ours = formatAddress(addressFromBytes(raw));
        expect([...addressToBytes(parseAddress(ours)!)]).toEqual([...raw]);
        const theirs = ipaddr.fromByteArray([...raw]);
        expect([...ipaddr.parse(ours).toByteArray()]).toEqual([...raw]);
        if (!(theirs instanceof ipaddr.IPv6) || !theirs.isIPv4MappedAddress()) {
          expect(ours).toBe(theirs instanceof ipaddr.IPv6 ? theirs.toRFC5952String() : theirs.toString());
        }
      }),
    );
  });

  it('accepts exactly the texts that node:net accepts, zones aside', () => {
    const piece = fc.stringMatching(/^[0-9a-f:.]{0,24}$/);
    fc.assert(
      fc.property(fc.oneof(piece, fc.ipV4(), fc.ipV6()), (text) => {
        expect(parseAddress(text) !== undefined).toBe(isIPv4(text) || isIPv6(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('never throws on any text', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseAddress(text)));
  });

  it('orders IPv4 before IPv6, then by number', () => {
    const sorted = ['::1', '10.0.0.2', '10.0.0.1'].map((t) => parseAddress(t)!).sort(compareAddresses);
    expect(sorted.map(formatAddress)).toEqual(['10.0.0.1', '10.0.0.2', '::1']);
  });

  it('refuses byte strings that are no address', () => {
    expect(() => addressFromBytes(new Uint8Array(5))).toThrow(RangeError);
  });
});
