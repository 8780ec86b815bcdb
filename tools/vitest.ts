/**
 * Runs Vitest projects and counts what came out.
 * @module
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { runInside } from '../lab/net/sandbox.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const VITEST = resolve('node_modules/vitest/vitest.mjs');

/** `inSandbox`: in namespaces of its own, see lab/net/sandbox.ts. */
export async function vitest(
  projects: readonly string[],
  inSandbox = false,
  files: readonly string[] = [],
): Promise<Counts> {
  mkdirSync('build', { recursive: true });
  const report = resolve(`build/vitest-${projects.join('-')}.json`);
  rmSync(report, { force: true });
  const selection = projects.flatMap((project) => ['--project', project]);
  const args = ['run', ...files, ...selection, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = inSandbox ? await runInside(VITEST, args) : await runHere(args);
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, 'utf8'));
    // A file that cannot even be loaded has no tests that could fail.
    const failed = code !== 0 && numFailedTests === 0 ? 1 : numFailedTests;
    return { passed: numPassedTests, failed, skipped: numPendingTests + numTodoTests };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function runHere(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', VITEST, ...args], {
    stdio: 'inherit',
  });
  return new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
}
