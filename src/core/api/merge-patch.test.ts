import { expect, it } from 'vitest';
import { mergePatch } from './merge-patch.ts';

it.each([
  ['keeps what it does not mention', { a: 1, b: 2 }, { b: 3 }, { a: 1, b: 3 }],
  ['removes what it sets to null', { a: 1, b: 2 }, { b: null }, { a: 1 }],
  ['goes into nested objects', { a: { b: 1, c: 2 } }, { a: { c: null } }, { a: { b: 1 } }],
  ['replaces a list as a whole', { a: [1, 2] }, { a: [3] }, { a: [3] }],
  ['replaces a list by an object', { a: [1, 2] }, { a: { b: 2 } }, { a: { b: 2 } }],
  ['replaces a plain value by an object', { a: 1 }, { a: { b: 2 } }, { a: { b: 2 } }],
  ['leaves no null in an object that it creates', {}, { a: { b: null } }, { a: {} }],
  ['that is no object replaces everything', { a: 1 }, 'text', 'text'],
  ['makes an object of what is none', undefined, { a: 1, b: null }, { a: 1 }],
])('a merge patch %s', (_, target, patch, result) => {
  const before = structuredClone(target);
  expect(mergePatch(target, patch)).toEqual(result);
  expect(target).toEqual(before);
});

it.each(['constructor', '__proto__', 'toString'])('%s is a key like any other to a merge patch', (key) => {
  const patched = (target: unknown, value: string) => mergePatch(target, JSON.parse(`{"${key}": ${value}}`)) as object;
  const added = patched({ a: '1' }, '"2"');
  expect(Object.entries(added)).toEqual([
    ['a', '1'],
    [key, '2'],
  ]);
  expect(Object.entries(patched(added, 'null'))).toEqual([['a', '1']]);
  expect(JSON.stringify(patched({}, '{"b": "3", "c": null}'))).toBe(`{"${key}":{"b":"3"}}`);
});
