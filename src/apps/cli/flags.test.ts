import { describe, expect, it } from 'vitest';
import { CONTROLLER_FLAGS, fromGoStyle, SPEAKER_FLAGS } from './flags.ts';

describe('flags in the style of Go', () => {
  it.each([
    ['a long flag gets its second dash', '-port=9120', '--port=9120'],
    ['also without a value', '-leader-elect', '--leader-elect'],
    ['two dashes stay', '--port=9120', '--port=9120'],
    ['a single letter stays: it is a short option', '-f', '-f'],
    ['a single letter with a value stays', '-f=x', '-f=x'],
    ['a negative number is a value', '-12', '-12'],
    ['an argument without dashes stays', 'port=1', 'port=1'],
  ])('%s', (_, given, expected) => {
    expect(fromGoStyle([given])).toEqual([expected]);
  });
});

describe('tables of flags', () => {
  it.each([
    ['controller', CONTROLLER_FLAGS],
    ['speaker', SPEAKER_FLAGS],
  ])('the %s has each flag and each environment variable once', (_, flags) => {
    const names = flags.map(({ name }) => name);
    const variables = flags.flatMap(({ env }) => env ?? []);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(variables).size).toBe(variables.length);
  });
});
