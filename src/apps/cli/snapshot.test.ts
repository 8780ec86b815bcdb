import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../adapters/kubernetes/client.ts';
import { explainService } from '../../core/offline/explain.ts';
import { openSnapshot, readObjects, takeView, withNamespace } from './snapshot.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const service = (name: string) => `kind: Service\nmetadata: {name: ${name}}\n`;

describe('objects from files', () => {
  it.each([
    ['several documents in one file', `${service('a')}---\n${service('b')}`, ['a', 'b']],
    [
      'a list is taken apart',
      'kind: List\nitems: [{metadata: {name: a}}, {items: [{metadata: {name: b}}]}]',
      ['a', 'b'],
    ],
    ['empty documents are skipped', `---\n---\n${service('a')}`, ['a']],
    ['what has no name is skipped', 'kind: Service\nmetadata: {}\n', []],
    ['plain text is no object', 'hello', []],
  ])('%s', async (_, text, names) => {
    expect((await readObjects([put('x.yaml', text)])).map(({ metadata }) => metadata.name)).toEqual(names);
  });

  it('reads the YAML and JSON files of a folder by name, and no others', async () => {
    put('b.json', '{"metadata": {"name": "b"}}');
    put('a.yml', service('a'));
    put('notes.txt', service('c'));
    expect((await readObjects([folder])).map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
  });

  it('names the file that is broken or missing', async () => {
    const broken = put('broken.yaml', 'a: [');
    await expect(readObjects([broken])).rejects.toThrow(`${broken} cannot be read: `);
    await expect(readObjects([join(folder, 'none')])).rejects.toThrow(`${join(folder, 'none')} cannot be read: ENOENT`);
  });
});

it('sorts a dump by resource, and leaves out kinds that do not matter', async () => {
  const others = ['Ingress', 'constructor', '__proto__'].map((kind) => `---\nkind: ${kind}\nmetadata: {name: i}\n`);
  const text = `${service('a')}${others.join('')}`;
  const snapshot = await openSnapshot({ dump: [put('x.yaml', text)] });
  expect(snapshot.services).toEqual([{ kind: 'Service', metadata: { name: 'a', namespace: 'default' } }]);
  expect(Object.values(snapshot).flat()).toHaveLength(1);
});

describe('the namespace of a manifest', () => {
  it.each([
    ['is default when none is given', { kind: 'Service', metadata: { name: 'a' } }, 'default'],
    ['stays when one is given', { kind: 'Service', metadata: { name: 'a', namespace: 'x' } }, 'x'],
    ['is none for a Node', { kind: 'Node', metadata: { name: 'a' } }, undefined],
    ['is none for a Namespace', { kind: 'Namespace', metadata: { name: 'a' } }, undefined],
  ])('%s', (_, object, namespace) => {
    expect(withNamespace(object as Parameters<typeof withNamespace>[0]).metadata.namespace).toBe(namespace);
  });
});

describe('somebody who may not see everything', () => {
  /** An API server that shows what the tenant of `ours` may list. */
  const client = {
    list: async (path: string) => {
      if (path !== '/api/v1/namespaces/ours/services') throw new ApiError(403, 'Forbidden', `${path} is forbidden`);
      return [{ metadata: { name: 's', namespace: 'ours' } }];
    },
  };

  it('sees his own Services, and what is left out', async () => {
    const lenient = { list: async (path: string) => (path.includes('endpointslices') ? [] : client.list(path)) };
    const { snapshot, hidden } = await takeView(lenient, undefined, 'ours');
    expect(snapshot.services.map(({ metadata }) => metadata.name)).toEqual(['s']);
    expect(hidden).toContain('ipaddresspools');
    expect(hidden).toContain('services');
    const explanation = explainService(snapshot, 'ours/s', '', () => new Uint8Array(), { hidden });
    expect(explanation).toMatchObject({ pools: [], bgp: [], election: undefined, hidden });
  });

  it('is refused where a part would be wrong', async () => {
    await expect(takeView(client, undefined)).rejects.toThrow('is forbidden');
  });
});
