/**
 * Recorded inputs give recorded outputs. A case is a folder ROOM/NAME with README.md (what it shows), input.jsonl (the recording)
 * and output.jsonl; only UPDATE_GOLDEN=1 writes the outputs: a case without them fails.
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { replay } from './replay.ts';

const ROOT = import.meta.dirname;
const folders = (path: string) =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
const cases = folders(ROOT).flatMap((room) => folders(join(ROOT, room)).map((name) => [room, name] as const));

describe('replay', () => {
  it.each(cases)('%s: %s', (room, name) => {
    const folder = join(ROOT, room, name);
    const lines = replay(readFileSync(join(folder, 'input.jsonl'), 'utf8'));
    const path = join(folder, 'output.jsonl');
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, `${lines.join('\n')}\n`);
    expect(lines).toEqual(readFileSync(path, 'utf8').trimEnd().split('\n'));
  });
});
