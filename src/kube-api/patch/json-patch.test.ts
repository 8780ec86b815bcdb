import { describe, expect, it } from 'vitest';
import { jsonPatched } from './json-patch.ts';

const document = () => ({ a: '1', list: ['x', 'y'], 'b/c~d': 2, nothing: null });
const { a, list, nothing } = document();

describe('a JSON patch', () => {
  it.each<[string, object[], unknown]>([
    ['adds a field', [{ op: 'add', path: '/b', value: '2' }], { ...document(), b: '2' }],
    ['adds over what is there', [{ op: 'add', path: '/a', value: '2' }], { ...document(), a: '2' }],
    ['inserts into a list', [{ op: 'add', path: '/list/1', value: 'z' }], { ...document(), list: ['x', 'z', 'y'] }],
    [
      'inserts at the end of a list',
      [{ op: 'add', path: '/list/2', value: 'z' }],
      { ...document(), list: ['x', 'y', 'z'] },
    ],
    ['appends to a list', [{ op: 'add', path: '/list/-', value: 'z' }], { ...document(), list: ['x', 'y', 'z'] }],
    ['removes a field', [{ op: 'remove', path: '/b~1c~0d' }], { a, list, nothing }],
    ['removes an item', [{ op: 'remove', path: '/list/0' }], { ...document(), list: ['y'] }],
    ['replaces a field', [{ op: 'replace', path: '/a', value: null }], { ...document(), a: null }],
    ['replaces an item', [{ op: 'replace', path: '/list/1', value: 'z' }], { ...document(), list: ['x', 'z'] }],
    ['replaces the whole', [{ op: 'replace', path: '', value: { z: 1 } }], { z: 1 }],
    ['moves', [{ op: 'move', from: '/list/0', path: '/a' }], { ...document(), a: 'x', list: ['y'] }],
    ['copies', [{ op: 'copy', from: '/list', path: '/a' }], { ...document(), a: list }],
    [
      'goes on after tests that hold',
      [
        { op: 'test', path: '/list', value: ['x', 'y'] },
        { op: 'test', path: '/absent', value: null },
        { op: 'test', path: '/nothing' },
        { op: 'remove', path: '/a' },
      ],
      { list, nothing, 'b/c~d': 2 },
    ],
  ])('%s', (_, operations, expected) => {
    const given = document();
    expect(jsonPatched(given, operations)).toEqual(expected);
    expect(given).toEqual(document());
  });

  it('gives a copy a life of its own', () => {
    const operations = [
      { op: 'copy', from: '/list', path: '/a' },
      { op: 'add', path: '/a/-', value: 'z' },
    ];
    expect(jsonPatched(document(), operations)).toMatchObject({ a: ['x', 'y', 'z'], list: ['x', 'y'] });
  });

  it.each<[string, unknown, number]>([
    ['a test that fails', [{ op: 'test', path: '/a', value: '2' }], 422],
    ['a removal of what is not there', [{ op: 'remove', path: '/b' }], 422],
    ['a removal behind the end of a list', [{ op: 'remove', path: '/list/2' }], 422],
    ['a replacement of what is not there', [{ op: 'replace', path: '/b', value: 1 }], 422],
    ['an index behind the end', [{ op: 'add', path: '/list/3', value: 1 }], 422],
    ['an index that is none', [{ op: 'add', path: '/list/01', value: 1 }], 422],
    ['a field of what is no object', [{ op: 'add', path: '/a/b', value: 1 }], 422],
    ['a field of what is not there', [{ op: 'add', path: '/b/c', value: 1 }], 422],
    ['a copy of what is not there', [{ op: 'copy', from: '/b', path: '/c' }], 422],
    ['a move into itself', [{ op: 'move', from: '/list', path: '/list/0' }], 422],
    ['what is no list', { op: 'remove', path: '/a' }, 400],
    ['an unknown operation', [{ op: 'merge', path: '/a', value: 1 }], 400],
    ['a path without a slash', [{ op: 'remove', path: 'a' }], 400],
    ['an addition of nothing', [{ op: 'add', path: '/b' }], 400],
    ['more operations than a real API server does', Array(10_001).fill({ op: 'test', path: '/a', value: '1' }), 413],
    ['copies that double each time', Array(40).fill({ op: 'copy', from: '/list', path: '/list/-' }), 413],
  ])('refuses %s', (_, operations, code) => {
    expect(() => jsonPatched(document(), operations)).toThrow(expect.objectContaining({ code }));
  });

  it.each(['constructor', '__proto__', 'toString'])('takes %s for a key like any other', (key) => {
    const at = `/data/${key}`;
    const patched = (operations: object[], data: string) =>
      JSON.stringify(jsonPatched(JSON.parse(`{"data": ${data}}`), operations));
    expect(patched([{ op: 'add', path: at, value: 1 }], '{}')).toBe(`{"data":{"${key}":1}}`);
    expect(patched([{ op: 'replace', path: at, value: 1 }], `{"${key}": 2}`)).toBe(`{"data":{"${key}":1}}`);
    expect(patched([{ op: 'add', path: `${at}/b`, value: 1 }], `{"${key}": {}}`)).toBe(`{"data":{"${key}":{"b":1}}}`);
    expect(patched([{ op: 'remove', path: at }], `{"${key}": 2}`)).toBe('{"data":{}}');
    expect(patched([{ op: 'test', path: at, value: null }], '{}')).toBe('{"data":{}}');
    for (const operation of [
      { op: 'remove', path: at },
      { op: 'replace', path: at, value: 1 },
      { op: 'add', path: `${at}/b`, value: 1 },
    ])
      expect(() => patched([operation], '{}')).toThrow(expect.objectContaining({ code: 422 }));
    expect(Object.keys({})).toEqual([]);
  });
});
