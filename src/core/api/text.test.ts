import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bounded, oneLine, printable, quoted } from './text.ts';

describe('a text that somebody else wrote', () => {
  it.each([
    ['an escape sequence', 'a\u001b]0;x\u0007b', 'a\\u001b]0;x\\u0007b'],
    ['a carriage return', 'good\rbad', 'good\\u000dbad'],
    ['a C1 control', 'a\u009b31mb', 'a\\u009b31mb'],
    ['the delete character', 'a\u007fb', 'a\\u007fb'],
    ['an override of direction', 'a\u202eb', 'a\\u202eb'],
    ['a space of no width', 'a\u200bb', 'a\\u200bb'],
    ['a line separator', 'a\u2028b', 'a\\u2028b'],
    ['half a character', 'a\ud800b', 'a\\ud800b'],
    ['a hidden letter of two halves', 'a\u{e0041}b', 'a\\udb40\\udc41b'],
    ['letters and signs', 'Zürich 東京 – ✔ 🎈', 'Zürich 東京 – ✔ 🎈'],
  ])('shows %s', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
    expect(oneLine(`${text}\n`)).toBe(`${shown}\\n`);
  });

  it('is bounded, and says how long it was', () => {
    expect(bounded('x'.repeat(50), 50)).toBe('x'.repeat(50));
    expect(bounded('x'.repeat(51), 50)).toBe(`${'x'.repeat(32)} … (51 characters)`);
    expect(bounded(`${'x'.repeat(31)}🎈${'x'.repeat(30)}`, 50)).toBe(`${'x'.repeat(31)} … (63 characters)`);
  });

  it('means the same in JSON', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printable(JSON.stringify(text));
        expect(JSON.parse(json)).toBe(text);
        expect(json).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        expect(quoted(text.slice(0, 90))).not.toMatch(/[\p{Cc}\p{Cf}\n]/u);
      }),
    );
  });
});
