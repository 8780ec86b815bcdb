/**
 * Recorded inputs give recorded outputs. A case is a folder ROOM/NAME with README.md (what it shows), config.json
 * (the machine's settings), input.jsonl and output.jsonl; only UPDATE_GOLDEN=1 writes the outputs: a case without
 * them fails.
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeLine, encodeLine, type RecordedInput } from '../../src/adapters/driver/recording.ts';
import { MACHINES } from './machines.ts';

const ROOT = import.meta.dirname;
const folders = (path: string) =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
const cases = folders(ROOT).flatMap((room) => folders(join(ROOT, room)).map((name) => [room, name] as const));

describe('replay', () => {
  it.each(cases)('%s: %s', (room, name) => {
    const folder = join(ROOT, room, name);
    const { machine, initial } = MACHINES[room]!;
    const settings = decodeLine(readFileSync(join(folder, 'config.json'), 'utf8'));
    let state = initial(settings);
    const lines: string[] = [];
    for (const line of readFileSync(join(folder, 'input.jsonl'), 'utf8').split('\n').filter(Boolean)) {
      const { input, now } = decodeLine(line) as RecordedInput;
      const { next, outputs } = machine.step(state, input, now);
      state = next;
      lines.push(encodeLine(outputs));
    }
    const path = join(folder, 'output.jsonl');
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, `${lines.join('\n')}\n`);
    expect(lines).toEqual(readFileSync(path, 'utf8').trimEnd().split('\n'));
  });
});
