import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { followSecretKeys, readSecretKeys } from './secret-keys.ts';

let directory = '';
let stop = () => {};
const setUp = (files: Readonly<Record<string, string>>) => {
  directory = mkdtempSync(join(tmpdir(), 'metallb-keys-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
};
afterEach(() => {
  stop();
  rmSync(directory, { recursive: true, force: true });
});
const texts = (keys: readonly Uint8Array[]) => keys.map((key) => Buffer.from(key).toString());

describe('the keys of the speakers', () => {
  it('are those of all files that begin like the first, which seals; an end of line is none of them', () => {
    setUp({ 'secretkey-old': 'c', secretkey: 'a\n', 'secretkey-next': 'b\r\n', other: 'x' });
    expect(texts(readSecretKeys(directory))).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['secretkey', { secretkey: '' }, /secretkey is empty/],
    ['secretkey', { secretkey: '\n\n' }, /secretkey is empty/],
    ['secretkey-next', { secretkey: 'a', 'secretkey-next': '' }, /secretkey-next is empty/],
    ['none', {}, /secretkey cannot be read: ENOENT/],
  ])('are refused when %s is not there or empty', (_, files, message) => {
    setUp(files as Record<string, string>);
    expect(() => readSecretKeys(directory)).toThrow(message);
  });

  it('are followed as the kubelet exchanges them, and stay when there are none', async () => {
    // A link to a directory, which is exchanged as a whole.
    directory = mkdtempSync(join(tmpdir(), 'metallb-keys-'));
    const publish = (version: string, content: string) => {
      mkdirSync(join(directory, version));
      writeFileSync(join(directory, version, 'secretkey'), content);
      symlinkSync(version, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    publish('..1', 'a');
    symlinkSync(join('..data', 'secretkey'), join(directory, 'secretkey'));
    const told: string[] = [];
    stop = followSecretKeys(directory, readSecretKeys(directory), {
      onKeys: (keys) => told.push(texts(keys).join()),
      onTrouble: (message) => told.push(message.replace(directory, '')),
    });
    publish('..2', 'b');
    await vi.waitFor(() => expect(told).toEqual(['b']));
    publish('..3', '');
    await vi.waitFor(() => expect(told.slice(1)).toEqual([expect.stringMatching(/^\/secretkey is empty/)]));
    publish('..4', 'b');
    publish('..5', 'c');
    await vi.waitFor(() => expect(told.slice(2)).toEqual(['c']));
    unlinkSync(join(directory, 'secretkey'));
    await vi.waitFor(() => expect(told.slice(3)).toEqual([expect.stringMatching(/cannot be read/)]));
  });
});
