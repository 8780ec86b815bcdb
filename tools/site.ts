/**
 * `npm run site`: the documentation as a site in build/site, by VitePress. A link that leads nowhere fails it.
 * @module
 */
import { resolve } from 'node:path';
import { run } from '../lab/net/shell.ts';

const SITE = resolve(import.meta.dirname, '../site');

/** What went wrong, in the words of npm or VitePress; undefined when nothing did. */
export function buildSite(): string | undefined {
  const steps = [
    ['npm', '--prefix', SITE, 'install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'],
    ['npm', '--prefix', SITE, '--silent', 'run', 'build'],
  ];
  for (const step of steps) {
    const { status, stdout, stderr } = run(step, { timeout: 300_000 });
    if (status !== 0) return `${step.join(' ')} failed: ${stdout}${stderr}`;
  }
  return undefined;
}

if (process.argv[1] === import.meta.filename) {
  const trouble = buildSite();
  if (trouble !== undefined) throw new Error(trouble);
  console.log('build/site: any web server can show it; npm --prefix site run dev does while you write');
}
