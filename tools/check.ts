/**
 * `npm run check`: everything quick, side by side. Prints what failed, and how long each part took.
 * @module
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const bin = (name: string) => join('node_modules', '.bin', name);

interface Part {
  readonly name: string;
  readonly command: readonly string[];
}

export interface PartResult {
  readonly name: string;
  readonly passed: boolean;
}

const LANES: readonly (readonly Part[])[] = [
  [
    { name: 'lint and format', command: [bin('biome'), 'check', '--error-on-warnings', '.'] },
    { name: 'types', command: [bin('tsc'), '-b'] },
    { name: 'generated files', command: [process.execPath, 'tools/gen.ts', '--check'] },
  ],
  [{ name: 'unused code', command: [bin('knip'), '--no-progress'] }],
];

/** Runs all parts; two lanes, because small machines have two cores. */
export async function check(): Promise<PartResult[]> {
  const results = await Promise.all(
    LANES.map(async (lane) => {
      const done: PartResult[] = [];
      for (const part of lane) done.push(await run(part));
      return done;
    }),
  );
  return results.flat();
}

function run({ name, command }: Part): Promise<PartResult> {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const end = (passed: boolean) => {
      process.stdout.write(
        `${passed ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`,
      );
      if (!passed) process.stdout.write(`${output}\n`);
      resolve({ name, passed });
    };
    child.once('error', (error) => {
      output += error.message;
      end(false);
    });
    child.once('close', (code) => end(code === 0));
  });
}

if (process.argv[1] === import.meta.filename) {
  const results = await check();
  const { vitest } = await import('./vitest.ts');
  const tests = await vitest(['unit']);
  process.exitCode = results.every(({ passed }) => passed) && tests.failed === 0 ? 0 : 1;
}
