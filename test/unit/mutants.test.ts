import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { apply, mutantsOf } from '../../tools/mutants.ts';

const changesOf = (source: string) => mutantsOf(source).map((mutant) => apply(source, mutant));

it.each<[string, string, readonly string[]]>([
  ['a comparison', 'a < b', ['a <= b', 'a >= b']],
  ['equality', 'a === b', ['a !== b']],
  ['a connective', 'a && b', ['a || b']],
  ['a sum', 'a + b', ['a - b']],
  ['no text', "a + ':' + b", []],
  ['a fallback', 'a ?? b', ['a']],
  ['arms of a choice', 'a ? b : c', ['a ? c : b']],
  ['the smaller of two', 'Math.min(a, b)', ['Math.max(a, b)']],
  ['a constant', '5', ['6', '4']],
  ['a large constant', '1n', ['2n', '0n']],
  ['a truth', 'true', ['false']],
  ['a negation', '!a', ['a']],
])('changes %s', (_, source, expected) => {
  expect(changesOf(`const x = ${source};`)).toEqual(expected.map((text) => `const x = ${text};`));
});

it('leaves out a statement, and a way to leave early', () => {
  expect(changesOf('const f = (x: 1) => { if (x) return; g(); };')).toEqual([
    'const f = (x: 1) => { ; g(); };',
    'const f = (x: 1) => { if (x) return; ; };',
  ]);
});

it('leaves types, imports and names alone', () => {
  expect(changesOf("import { a } from './a.ts';\ntype A = 1 | true;\nconst x: 2 | 3 = a as 4;")).toEqual([]);
});

it('says the line, and what becomes what', () => {
  expect(mutantsOf('const a = b;\nconst c =\n  a > b;')[0]).toMatchObject({ line: 3, change: 'a > b  →  a >= b' });
});

it('makes only sources that can be read', () => {
  const room = join(import.meta.dirname, '../../src/core/ipam');
  for (const name of readdirSync(room).filter((file) => !file.endsWith('.test.ts'))) {
    const source = readFileSync(join(room, name), 'utf8');
    for (const changed of changesOf(source).filter((_, i) => i % 5 === 0))
      expect(() => mutantsOf(changed)).not.toThrow();
  }
});
