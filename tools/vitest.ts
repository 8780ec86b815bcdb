/**
 * Runs Vitest projects and counts what came out.
 * @module
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { runInside } from '../lab/net/sandbox.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What failed, by name, so that the last lines of a long output tell it. */
  readonly failures: readonly string[];
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** All of them together. */
export function sum(counts: readonly Counts[]): Counts {
  const total = (key: 'passed' | 'failed' | 'skipped') => counts.reduce((all, each) => all + each[key], 0);
  return {
    passed: total('passed'),
    failed: total('failed'),
    skipped: total('skipped'),
    failures: counts.flatMap(({ failures }) => failures),
  };
}

/** The counts of something that passes or fails as a whole. */
export function single(name: string, passed: boolean): Counts {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures: passed ? [] : [name] };
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
  const what = ['vitest', ...projects, ...files].join(' ');
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    ) as Report;
    const failures = failuresOf(testResults);
    // What breaks outside of any test, such as an unhandled rejection, is in no file's results.
    if (code !== 0 && failures.length === 0) failures.push(`${what} ended with code ${code}`);
    const failed = code !== 0 && numFailedTests === 0 ? 1 : numFailedTests;
    return { passed: numPassedTests, failed, skipped: numPendingTests + numTodoTests, failures };
  } catch {
    return single(`${what} ended with code ${code} and without a report`, false);
  }
}

function failuresOf(files: Report['testResults']): string[] {
  return files.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative('.', name);
    const failed = assertionResults
      .filter((test) => test.status === 'failed')
      .map(({ fullName, failureMessages }) => `${file}: ${fullName}\n    ${firstLine(failureMessages[0] ?? '')}`);
    // A file that cannot even be loaded has no tests that could fail.
    return status === 'failed' && failed.length === 0 ? [`${file}\n    ${firstLine(message)}`] : failed;
  });
}

const firstLine = (text: string): string => stripVTControlCharacters(text).split('\n', 1)[0]!.slice(0, 300);

function runHere(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', VITEST, ...args], {
    stdio: 'inherit',
  });
  return new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
}
