import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { whyNoSandbox } from '../../lab/net/sandbox.ts';
import { whyNoRouters } from '../../lab/routers/routers.ts';

const DEMO = resolve(import.meta.dirname, '../../lab/demo/main.ts');
const obstacle = whyNoSandbox();

/** Runs the demo with a temporary directory of its own; `interrupt` ends it with a signal when this text appears. */
async function demo(interrupt?: { after: string; signal: NodeJS.Signals }, ...flags: string[]) {
  const scratch = mkdtempSync(join(tmpdir(), 'metallb-demo-test-'));
  const marker = scratch.split('/').at(-1)!;
  // Detached: a process group of its own, as a terminal's foreground job, for Ctrl-C goes to the whole group.
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', DEMO, ...flags], {
    env: { ...process.env, TMPDIR: scratch },
    detached: true,
  });
  let output = '';
  const listen = (chunk: Buffer) => {
    output += chunk;
    if (interrupt !== undefined && output.includes(interrupt.after)) {
      process.kill(-child.pid!, interrupt.signal);
      interrupt = undefined;
    }
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? -1)));
  const leftFiles = existsSync(scratch) ? readdirSync(scratch) : [];
  rmSync(scratch, { recursive: true, force: true });
  return { code, output, leftFiles, leftProcesses: processesNaming(marker) };
}

function processesNaming(marker: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return command.includes(marker) ? [command] : [];
      } catch {
        return [];
      }
    });
}

describe.skipIf(obstacle !== undefined)(
  `the demo${obstacle === undefined ? '' : ` (cannot run here: ${obstacle})`}`,
  () => {
    it('tells its story to the end and leaves nothing behind', async () => {
      const { code, output, leftFiles, leftProcesses } = await demo();
      expect(output).toContain('Everything that the demo made is gone');
      expect(output).toMatch(/✔ node-\d owns 192\.168\.1\.65, and nobody else answers/);
      expect(output).toMatch(/✔ node-\d answers, \d+ ms after node-\d died/);
      expect([code, leftFiles, leftProcesses]).toEqual([0, [], []]);
    });

    const noRouters = whyNoRouters();
    it.skipIf(noRouters !== undefined)(
      `tells the story of BGP too${noRouters === undefined ? '' : ` (cannot run here: ${noRouters})`}`,
      async () => {
        const { code, output, leftFiles, leftProcesses } = await demo(undefined, '--bgp');
        expect(output).toMatch(/✔ both routers know 198\.51\.100\.1 by three ways/);
        // A router that rehashes may break what is being opened in that moment.
        expect(output).toMatch(/✔ \d+ connections while it was drained, [0-3] lost/);
        expect(output).toMatch(/✔ the way by node-3 was gone \d+ ms after it died/);
        expect([code, leftFiles, leftProcesses]).toEqual([0, [], []]);
      },
    );

    it.each(['SIGINT', 'SIGTERM'] as const)('leaves nothing behind after %s', async (signal) => {
      const { code, leftFiles, leftProcesses } = await demo({ after: '3. ', signal });
      expect(code).not.toBe(0);
      expect([leftFiles, leftProcesses]).toEqual([[], []]);
    });
  },
);
