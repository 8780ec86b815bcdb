import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from './bytes.ts';
import { formatMac, parseMac, sameMac } from './mac.ts';

describe('bytes', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(65535),
        fc.nat(0xffffffff),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.uint8Array(),
        (a, b, c, d, e) => {
          const reader = new ByteReader(new ByteWriter().u8(a).u16(b).u32(c).u64(d).bytes(e).finish());
          expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([a, b, c, d]);
          expect([...reader.bytes(e.length)!]).toEqual([...e]);
          expect(reader.remaining).toBe(0);
        },
      ),
    );
  });

  it('answers undefined past the end, and goes on doing so', () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3));
    expect(reader.u32()).toBeUndefined();
    expect(reader.u8()).toBeUndefined();
    expect(reader.bytes(1)).toBeUndefined();
  });

  it('refuses numbers that do not fit', () => {
    expect(() => new ByteWriter().u8(256)).toThrow(RangeError);
    expect(() => new ByteWriter().u16(-1)).toThrow(RangeError);
    expect(() => new ByteWriter().u16(1.5)).toThrow(RangeError);
  });
});

describe('MAC addresses', () => {
  it.each(['02:00:5e:00:01:01', '02-00-5E-00-01-01'])('reads %s', (text) => {
    expect(formatMac(parseMac(text)!)).toBe('02:00:5e:00:01:01');
  });

  it.each(['', '02:00:5e:00:01', '02:00:5e:00:01:0g', '02:00-5e:00:01:01', '02005e000101'])('refuses %j', (text) => {
    expect(parseMac(text)).toBeUndefined();
  });

  it('compares by bytes', () => {
    expect(sameMac(parseMac('02:00:5e:00:01:01')!, parseMac('02-00-5e-00-01-01')!)).toBe(true);
    expect(sameMac(parseMac('02:00:5e:00:01:01')!, parseMac('02:00:5e:00:01:02')!)).toBe(false);
  });
});
