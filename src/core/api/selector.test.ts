import { describe, expect, it } from 'vitest';
import type { LabelSelector } from './kubernetes.ts';
import { selectorFaults, selectorMatches } from './selector.ts';

const expression = (key: string, operator: string, values?: string[]): LabelSelector => ({
  matchExpressions: [{ key, operator, values }],
});

describe.each(['constructor', 'toString', '__proto__'])('the label %s', (key) => {
  const labelled = JSON.parse(`{"${key}": "a"}`) as Record<string, string>;

  it.each<[LabelSelector, boolean, boolean]>([
    [expression(key, 'Exists'), false, true],
    [expression(key, 'DoesNotExist'), true, false],
    [expression(key, 'In', ['a']), false, true],
    [expression(key, 'NotIn', ['a']), true, false],
    [{ matchLabels: labelled }, false, true],
  ])('%j matches without it: %s, and with it: %s', (selector, without, present) => {
    expect(selectorMatches(selector, {})).toBe(without);
    expect(selectorMatches(selector, undefined)).toBe(without);
    expect(selectorMatches(selector, labelled)).toBe(present);
  });
});

it.each(['constructor', 'toString', 'hasOwnProperty'])('%s is no operator', (operator) => {
  expect(selectorMatches(expression('a', operator, ['b']), { a: 'b' })).toBe(false);
  expect(selectorFaults(expression('a', operator, ['b']))).toHaveLength(1);
});
