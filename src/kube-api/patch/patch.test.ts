import { describe, expect, it } from 'vitest';
import type { ApiObject } from '../storage/store.ts';
import { applyStrategicMergePatch } from './patch.ts';

const object = (kind: string, rest: object): ApiObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x' },
  ...rest,
});

describe('a strategic merge patch', () => {
  const ports = [
    { port: 80, name: 'http' },
    { port: 443, name: 'https' },
  ];

  it.each([
    ['merges an item by its key', [{ port: 443, name: 'tls' }], [ports[0], { port: 443, name: 'tls' }]],
    ['appends an item with a new key', [{ port: 53 }], [...ports, { port: 53 }]],
    ['deletes an item', [{ port: 80, $patch: 'delete' }], [ports[1]]],
    ['replaces the list', [{ port: 53 }, { $patch: 'replace' }], [{ port: 53 }]],
  ])('%s of a list that is a map', (_, patch, result) => {
    const patched = applyStrategicMergePatch(object('Service', { spec: { ports } }), { spec: { ports: patch } });
    expect(patched.spec.ports).toEqual(result);
  });

  it('puts items into the order that it asks for, others last', () => {
    const patch = { spec: { ports: [{ port: 53 }], '$setElementOrder/ports': [{ port: 53 }, { port: 443 }] } };
    const patched = applyStrategicMergePatch(object('Service', { spec: { ports } }), patch);
    expect(patched.spec.ports.map(({ port }: { port: number }) => port)).toEqual([53, 443, 80]);
  });

  it.each([
    ['a null removes a field', { a: 1, b: 2 }, { b: null }, { a: 1 }],
    ['$patch: replace leaves only what it says', { a: 1 }, { b: 2, $patch: 'replace' }, { b: 2 }],
    ['$patch: delete removes an object', { a: { c: 1 }, b: 2 }, { a: { $patch: 'delete' } }, { b: 2 }],
    ['$retainKeys drops every other key', { a: 1, b: 2 }, { $retainKeys: ['b'], b: 3 }, { b: 3 }],
    ['$deleteFromPrimitiveList removes values', { l: [1, 2, 3] }, { '$deleteFromPrimitiveList/l': [2] }, { l: [1, 3] }],
    ['a list without a key is replaced', { l: [1, 2] }, { l: [3] }, { l: [3] }],
    ['addresses of what is no Node are replaced', { addresses: ['a'] }, { addresses: ['b'] }, { addresses: ['b'] }],
  ])('%s', (_, spec, patch, result) => {
    expect(applyStrategicMergePatch(object('Thing', { spec }), { spec: patch }).spec).toEqual(result);
  });

  it('adds to the set of finalizers, each once', () => {
    const target = object('Service', { metadata: { name: 'x', finalizers: ['a', 'b'] } });
    const { metadata } = applyStrategicMergePatch(target, { metadata: { finalizers: ['b', 'c'] } });
    expect(metadata.finalizers).toEqual(['a', 'b', 'c']);
  });

  it('is refused unless it is an object', () => {
    expect(() => applyStrategicMergePatch(object('Service', {}), [])).toThrow(expect.objectContaining({ code: 400 }));
  });
});

describe('keys that every object of JavaScript has', () => {
  const named = (key: string, value: string) => JSON.parse(`{"data": {"${key}": "${value}"}}`) as object;

  it.each(['constructor', '__proto__', 'toString'])('is %s, a key like any other', (key) => {
    const added = applyStrategicMergePatch(object('ConfigMap', { data: { a: '1' } }), named(key, '2'));
    expect(Object.entries(added.data)).toEqual([
      ['a', '1'],
      [key, '2'],
    ]);
    const removed = applyStrategicMergePatch(added, JSON.parse(`{"data": {"${key}": null}}`));
    expect(Object.entries(removed.data)).toEqual([['a', '1']]);
    const nested = applyStrategicMergePatch(object('ConfigMap', {}), JSON.parse(`{"data": {"${key}": {"b": "3"}}}`));
    expect(JSON.stringify(nested.data)).toBe(`{"${key}":{"b":"3"}}`);
  });

  it('names no list by a key that it does not have', () => {
    const patched = applyStrategicMergePatch(object('Thing', { constructor: [{ a: 1 }] }), { constructor: [{ b: 2 }] });
    expect(patched.constructor).toEqual([{ b: 2 }]);
  });
});
