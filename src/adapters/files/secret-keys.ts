/**
 * The keys that speakers seal their messages with, as files of a mounted Secret, and their rotation while the process runs.
 * @module
 */
import { readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { equal } from '../../core/net/equal.ts';
import { AdapterError } from '../errors.ts';

/** The file with the key that seals. Those whose names go on behind this open as well. */
const NEWEST = 'secretkey';

/**
 * The key of the file `secretkey`, which seals, and those of `secretkey-next` and the like, in the order of their names. An end of line after a key is
 * none of it. Throws AdapterError when one cannot be read, or is empty.
 */
export function readSecretKeys(directory: string): readonly Uint8Array[] {
  const newest = readKey(join(directory, NEWEST));
  const others = readdirSync(directory).filter((name) => name.startsWith(NEWEST) && name !== NEWEST);
  return [newest, ...others.toSorted().map((name) => readKey(join(directory, name)))];
}

function readKey(path: string): Uint8Array {
  let key: Buffer;
  try {
    key = readFileSync(path);
  } catch (error) {
    throw new AdapterError('secret-keys', `${path} cannot be read: ${(error as Error).message.split(',')[0]}`, error);
  }
  let end = key.length;
  while (end > 0 && (key[end - 1] === 10 || key[end - 1] === 13)) end--;
  if (end === 0)
    throw new AdapterError('secret-keys', `${path} is empty: anybody could make that key; put a random one into it`);
  return key.subarray(0, end);
}

export interface SecretKeysFollower {
  /** Called with all keys when they have changed. */
  readonly onKeys: (keys: readonly Uint8Array[]) => void;
  /** Called with why the keys there are not taken: those from before stay. */
  readonly onTrouble: (message: string) => void;
}

/** Follows the directory until it is told to stop. `keys`: those that are known. */
export function followSecretKeys(
  directory: string,
  keys: readonly Uint8Array[],
  { onKeys, onTrouble }: SecretKeysFollower,
): () => void {
  let known = keys;
  let trouble = '';
  const look = () => {
    try {
      const found = readSecretKeys(directory);
      trouble = '';
      if (equal(found, known)) return;
      known = found;
      onKeys(found);
    } catch (error) {
      const { message } = error as Error;
      if (message !== trouble) onTrouble(message);
      trouble = message;
    }
  };
  try {
    // The kubelet exchanges the whole content by renaming a link in this directory.
    const watcher = watch(directory, { persistent: false }, look);
    watcher.on('error', (error) => onTrouble(error.message));
    look();
    return () => watcher.close();
  } catch (error) {
    onTrouble((error as Error).message);
    return () => {};
  }
}
