/**
 * Real Helm, built from the Go module proxy.
 * @module
 */
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from './shell.ts';

const MODULE = resolve(import.meta.dirname, 'helm');
export const CHART = resolve(import.meta.dirname, '../charts/metallb');

/** Where Helm is, building it if need be; or, in words, why it cannot be had here. */
export function findHelm(): { readonly path: string } | string {
  if (process.env.HELM !== undefined) return { path: process.env.HELM };
  const path = join(homedir(), '.cache', 'metallb-ts', 'helm');
  if (existsSync(path)) return { path };
  if (run(['go', 'version']).status !== 0) return 'Go is missing, which builds Helm; or set HELM';
  process.stdout.write('building Helm; the first time takes a minute …\n');
  mkdirSync(join(homedir(), '.cache', 'metallb-ts'), { recursive: true });
  const { status, stderr } = run(['go', 'build', '-C', MODULE, '-trimpath', '-o', path, 'helm.sh/helm/v3/cmd/helm'], {
    timeout: 900_000,
  });
  return status === 0 ? { path } : `Helm cannot be built: ${stderr.trim().split('\n').at(-1)}`;
}
