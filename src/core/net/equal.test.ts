import { describe, expect, it } from 'vitest';
import { equal } from './equal.ts';

describe('equality of plain data', () => {
  it.each<[string, unknown, unknown]>([
    ['numbers that are no numbers', Number.NaN, Number.NaN],
    ['addresses, whose values are big integers', { family: 'ipv4', value: 1n }, { value: 1n, family: 'ipv4' }],
    ['lists of lists', [[1], []], [[1], []]],
    ['the same bytes', { mac: Uint8Array.of(2, 0) }, { mac: Uint8Array.of(2, 0) }],
    ['a key that every object inherits', { constructor: 'a' }, { constructor: 'a' }],
    ['undefined and absent, under such a key', { constructor: undefined }, {}],
    ['undefined and absent', { a: 1, b: undefined }, { a: 1, c: undefined }],
  ])('holds for %s', (_, a, b) => expect([equal(a, b), equal(b, a)]).toEqual([true, true]));

  it.each<[string, unknown, unknown]>([
    ['a list that is longer', [1], [1, 2]],
    ['another order', [1, 2], [2, 1]],
    ['one more property', { a: 1 }, { a: 1, b: 2 }],
    ['null and undefined', { a: null }, {}],
    ['a key that the other inherits', { constructor: 'a' }, {}],
    ['another such key', JSON.parse('{"__proto__": 1}'), {}],
    ['other bytes', Uint8Array.of(1), Uint8Array.of(2)],
    ['bytes and a list', Uint8Array.of(1), [1]],
    ['a list and an object', [], {}],
    ['a number and its text', { a: 1 }, { a: '1' }],
    ['two big integers', 1n, 2n],
    ['two Sets, whatever they hold', new Set([1]), new Set([1])],
  ])('does not hold for %s', (_, a, b) => expect([equal(a, b), equal(b, a)]).toEqual([false, false]));
});
