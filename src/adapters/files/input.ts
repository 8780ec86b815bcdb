/**
 * Texts that a user names on the command line.
 * @module
 */
import { readFileSync } from 'node:fs';
import { AdapterError, firstLine } from '../errors.ts';

let standardInput: Promise<string> | undefined;

/**
 * A file, or standard input for `-`: to its end, whenever it comes, and the same text for everybody who asks. Rejects with AdapterError.
 */
export async function readInput(path: string): Promise<string> {
  try {
    if (path !== '-') return readFileSync(path, 'utf8');
    standardInput ??= readToEnd();
    return await standardInput;
  } catch (error) {
    const what = path === '-' ? 'standard input' : path;
    throw new AdapterError('input', `${what} cannot be read: ${firstLine(error)}`, error);
  }
}

/** Not by file descriptor: one that is not ready to be read is an error there. */
async function readToEnd(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
