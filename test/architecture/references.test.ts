import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deadReferences } from './references.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['src', 'sim', 'lab', 'test', 'tools', 'bench', 'image', 'docs', 'charts/metallb', 'packaging'];
/** They hold examples of what is refused. */
const OWN = /^test\/architecture\/references\./;

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const files = [
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  ),
  ...readdirSync(ROOT),
].filter((path) => /\.(ts|mjs|md|ya?ml|tpl|txt)$/.test(path) && !OWN.test(path));
const pages = new Map(files.filter((path) => path.endsWith('.md')).map((path) => [path, read(path)]));

describe('what comments and documents point at', () => {
  it('is in the repository', () => {
    expect(files.length).toBeGreaterThan(400);
    expect(files.flatMap((path) => deadReferences(path, read(path), pages))).toEqual([]);
  });

  const some = new Map([
    ['docs/behaviour/a.md', '# A page\n\n## How `it` is said, or not\n\n| P1 | … |\n'],
    ['docs/b.md', '# B'],
  ]);

  it.each<[string, string]>([
    ['a document of nobody', '/** As the behaviour reference has it. */'],
    ['notes that are elsewhere', '/** Measured (lab notes). */'],
    ['a design that is elsewhere', '/** Invariants of DESIGN §7. */'],
    ['a page that is not there', '/** See docs/behaviour/c.md. */'],
    ['a heading that is not there', '/** See docs/behaviour/a.md#b. */'],
    ['a rule that is not there', '/** See docs/behaviour/a.md, rules P1 and P2. */'],
    ['a rule that is not there, named first', '/** Rules P1 to P3 of docs/behaviour/a.md. */'],
    ['a section of no document', '/** See §4.2. */'],
  ])('finds %s', (_, text) => {
    expect(deadReferences('src/x.ts', text, some).length).toBeGreaterThan(0);
  });

  it('finds links of pages that lead nowhere', () => {
    const text = '[a](behaviour/a.md#how-it-is-said-or-not) [b](#b) [c](../charts/x.md) [d](behaviour/a.md#d) [e](#e)';
    expect(deadReferences('docs/b.md', text, some)).toHaveLength(3);
  });

  it('takes what is there', () => {
    const text = `/** docs/b.md, docs/behaviour/a.md#a-page, docs/behaviour/a.md, rule P1; rule P1 of docs/behaviour/a.md
 * RFC 4271 §6.8 and RFC 9003
 * §2 */`;
    expect(deadReferences('src/x.ts', text, some)).toEqual([]);
  });
});
