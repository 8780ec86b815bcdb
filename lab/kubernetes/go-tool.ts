/**
 * Third-party programs that the tests compare us with, built from the Go module proxy: Helm, and MetalLB's own controller.
 * @module
 */
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { must, run } from '../net/shell.ts';

export interface GoTool {
  /** Of the program in the cache. */
  readonly name: string;
  /** Below lab/, with the go.mod that pins it. */
  readonly folder: string;
  readonly package: string;
  /** Environment variable that names a program to be taken instead. */
  readonly env: string;
}

export const HELM: GoTool = { name: 'helm', folder: 'helm', package: 'helm.sh/helm/v3/cmd/helm', env: 'HELM' };
export const METALLB_CONTROLLER: GoTool = {
  name: 'metallb',
  folder: 'metallb',
  package: 'go.universe.tf/metallb/controller',
  env: 'METALLB_CONTROLLER',
};

export const METALLB_SPEAKER: GoTool = {
  name: 'metallb-speaker',
  folder: 'metallb',
  package: 'go.universe.tf/metallb/speaker',
  env: 'METALLB_SPEAKER',
};

/** The folder of its module, with all that is in it besides the program. Throws what Go says when it cannot be had. */
export function moduleFolder({ folder, package: source }: GoTool): string {
  const format = '{{if .Module}}{{.Module.Dir}}{{end}}';
  return must(['go', 'list', '-C', resolve(import.meta.dirname, folder), '-f', format, source], {}).trim();
}

/** Its path, after building it if necessary; or, as text for the user, why it is not available here. */
export function findTool({ name, folder, package: source, env }: GoTool): { readonly path: string } | string {
  const given = process.env[env];
  if (given !== undefined) return { path: given };
  const cache = join(homedir(), '.cache', 'metallb-ts');
  const path = join(cache, name);
  if (existsSync(path)) return { path };
  if (run(['go', 'version']).status !== 0) return `Go is missing, which builds ${source}; or set ${env}`;
  process.stdout.write(`building ${source}; the first time takes a minute …\n`);
  mkdirSync(cache, { recursive: true });
  const build = ['go', 'build', '-C', resolve(import.meta.dirname, folder), '-trimpath', '-o', path, source];
  const { status, stderr } = run(build, { timeout: 900_000 });
  return status === 0 ? { path } : `${source} cannot be built: ${stderr.trim().split('\n').at(-1)}`;
}
