/**
 * Commands and long-running processes of the lab.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { observe, until } from './waiting.ts';

/** Debian keeps `ip` and `nft` where ordinary users do not look. */
const ENVIRONMENT = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** Milliseconds for a command that never ends. No command is judged by how long it takes. */
const LAST_RESORT = 600_000;

export interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export function run(
  command: readonly string[],
  options: { readonly input?: string; readonly timeout?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Result {
  const { status, stdout, stderr, error } = spawnSync(command[0]!, command.slice(1), {
    encoding: 'utf8',
    timeout: options.timeout ?? LAST_RESORT,
    env: { ...ENVIRONMENT, ...options.env },
    ...(options.input !== undefined && { input: options.input }),
  });
  if (error !== undefined && status === null && !('code' in error && error.code === 'ETIMEDOUT')) throw error;
  return { status: status ?? 124, stdout, stderr };
}

/** Runs a command without blocking our event loop. */
export function runAsync(
  command: readonly string[],
  options: { readonly timeout?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...ENVIRONMENT, ...options.env },
      timeout: options.timeout ?? LAST_RESORT,
    });
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk));
    child.once('error', reject);
    child.once('close', (status) => resolve({ status: status ?? 124, ...text }));
  });
}

/** Runs a command that has to succeed. Throws with everything that it said. */
export function must(command: readonly string[], options: Parameters<typeof run>[1] = {}): string {
  const result = run(command, options);
  if (result.status !== 0)
    throw new Error(`${command.join(' ')} failed (${result.status}): ${result.stderr || result.stdout}`);
  return result.stdout;
}

export interface LabProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves with the exit code, or -1 after a signal. */
  readonly exited: Promise<number>;
  readonly running: boolean;
  kill(signal?: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL if it makes no progress for two seconds. */
  stop(): Promise<void>;
  log(): string;
}

/** Starts a process whose output goes to a file. */
export function start(
  name: string,
  command: readonly string[],
  logFile: string,
  env: NodeJS.ProcessEnv = {},
): LabProcess {
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', log, log],
    env: { ...ENVIRONMENT, ...env },
  });
  closeSync(log);
  let running = true;
  const exited = new Promise<number>((resolve) => {
    const end = (code: number) => {
      running = false;
      resolve(code);
    };
    child.once('exit', (code) => end(code ?? -1));
    child.once('error', () => end(-1));
  });
  const kill = (signal: NodeJS.Signals = 'SIGKILL') => {
    if (running) child.kill(signal);
  };
  const process: LabProcess = {
    name,
    pid: child.pid ?? -1,
    logFile,
    exited,
    get running() {
      return running;
    },
    kill,
    stop: async () => {
      kill('SIGTERM');
      const ended = until(`${name} ends`, () => !running, { patience: 2000, processes: [process] });
      await Promise.race([exited, ended.catch(() => kill())]);
      await exited;
    },
    log: () => readFileSync(logFile, 'utf8'),
  };
  observe(process);
  return process;
}

/** A TCP port on loopback that is currently free. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}
