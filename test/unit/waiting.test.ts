import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Observed, until } from '../../lab/net/waiting.ts';

/** So little that a look always counts for as much as a look may: gives up at the sixth one without progress. */
const patience = 1;

describe('whoever waits', () => {
  it('gets the answer', async () => {
    let looks = 0;
    expect(await until('the answer', () => ++looks === 3 && 'it', { patience })).toBe('it');
  });

  it('gives up when nothing moves, and tells what was seen last', async () => {
    const looks: number[] = [];
    const waiting = until('the sun', () => void looks.push(0), { patience, seen: () => 'a cloud', processes: [] });
    await expect(waiting).rejects.toThrow(/as nothing moved any more: the sun\n {2}seen last: "a cloud"/);
    expect(looks.length).toBeLessThan(10);
  });

  it('goes on while what it sees changes, but not forever', async () => {
    let looks = 0;
    expect(await until('a dozen', () => ++looks === 12 && looks, { patience, seen: () => looks })).toBe(12);
    looks = 0;
    const waiting = until('infinity', () => void looks++, { patience, seen: () => looks, processes: [] });
    await expect(waiting).rejects.toThrow(/although something still moved: infinity/);
    expect(looks).toBeGreaterThan(15);
  });

  it('goes on while an observed process does something', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'metallb-waiting-'));
    const writer: Observed = { name: 'writer', pid: -1, logFile: join(directory, 'log'), running: true };
    let looks = 0;
    const write = () => void appendFileSync(writer.logFile, `line ${++looks}\n`);
    const waiting = until('silence', write, { patience, processes: [writer] });
    await expect(waiting).rejects.toThrow(/although something still moved: silence\n {2}writer: line \d+$/);
    expect(looks).toBeGreaterThan(15);
    rmSync(directory, { recursive: true });
  });
});
