/**
 * Our own processes, for tests that use them as a user does.
 * @module
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort, type LabProcess, type Result, runAsync, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';

export const METALLB = resolve(import.meta.dirname, '../../bin/metallb');

/** A directory that goes away with `remove`. */
export function scratch(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'metallb-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs `metallb` to its end. */
export function metallb(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  return runAsync([METALLB, ...args], { env });
}

export interface Standalone {
  readonly kubeconfig: string;
  readonly port: number;
  readonly process: LabProcess;
  kubectl(args: readonly string[], binary?: string): Promise<Result>;
}

/** Starts `metallb standalone` and waits until it answers. */
export async function startStandalone(
  directory: string,
  flags: readonly string[] = [],
  wrapper: readonly string[] = [],
  port?: number,
): Promise<Standalone> {
  port ??= await freePort();
  const command = [
    ...wrapper,
    METALLB,
    'standalone',
    '--data-dir',
    join(directory, 'data'),
    '--listen',
    `127.0.0.1:${port}`,
    ...flags,
  ];
  const process = start('standalone', command, join(directory, 'standalone.log'));
  const kubeconfig = join(directory, 'data', 'kubeconfig');
  const kubectl: Standalone['kubectl'] = (args, binary = KUBECTLS[0]) =>
    runAsync([binary!, ...args], { env: { KUBECONFIG: kubeconfig } });
  await until(
    'standalone answers',
    async () => existsSync(kubeconfig) && (await kubectl(['get', '--raw', '/readyz'])).status === 0,
  );
  return { kubeconfig, port, process, kubectl };
}

/** The kubectl of this machine; more by METALLB_TEST_KUBECTLS, separated by colons (for instance Debian's 1.20). */
export const KUBECTLS: readonly string[] = (process.env.METALLB_TEST_KUBECTLS ?? 'kubectl').split(':');
