/**
 * What comments and documents point at: is it in the repository?
 * @module
 */
import { posix } from 'node:path';

/** Text of every Markdown file, by path from the root. */
export type Pages = ReadonlyMap<string, string>;

/** Names of documents that are not in the repository. */
const ABSENT =
  /behaviour reference|behaviour §|(?:field|lab|networking) notes|\bDESIGN(?:\.md)?(?= §|\b(?=`))|\bhouse\.md|reference folder|shared\/seeds|Appendix [A-C]\b/gi;

/** A mention such as `docs/bgp.md`, with a heading or without. */
const MENTION = /(?<![\w./-])(docs\/[\w./-]+\.md)(?:#([\w-]+))?/g;
/** A link of Markdown to a file here, or to a heading. */
const LINK = /\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)/g;
/** Rules named before or after the page that has them. */
const RULES =
  /[Rr]ules? ([A-Z]\d+(?:(?:,| to| and) [A-Z]\d+)*) (?:of|in) (docs\/[\w./-]+\.md)|(docs\/[\w./-]+\.md), rules? ([A-Z]\d+(?:(?:,| to| and) [A-Z]\d+)*)/g;
/** A section of somebody else's document: which one is said before. */
const FOREIGN = /RFC ?\d+|draft-[\w-]+|SWIM/;

/** Everything that the text of one file refers to and that is not there, in words. */
export function deadReferences(path: string, text: string, pages: Pages): string[] {
  const dead: string[] = [];
  const page = (target: string, heading: string | undefined) => {
    const found = pages.get(target);
    if (found === undefined) dead.push(`${path}: there is no ${target}`);
    else if (heading !== undefined && !headings(found).has(heading))
      dead.push(`${path}: ${target} has no heading #${heading}`);
  };
  for (const [phrase] of text.matchAll(ABSENT)) dead.push(`${path}: "${phrase}" is not in the repository`);
  for (const [, target, heading] of text.matchAll(MENTION)) page(target!, heading);
  for (const [, before, of, after, named] of text.matchAll(RULES)) {
    const [target, rules] = of === undefined ? [after!, named!] : [of, before!];
    for (const rule of rules.match(/[A-Z]\d+/g)!)
      if (!new RegExp(`^\\| *${rule} *\\|`, 'm').test(pages.get(target) ?? ''))
        dead.push(`${path}: ${target} has no rule ${rule}`);
  }
  if (path.endsWith('.md'))
    for (const [, target, heading] of text.matchAll(LINK)) {
      const file = target === '' ? path : posix.join(posix.dirname(path), target!);
      if (file.endsWith('.md')) page(file, heading);
    }
  const lines = text.split('\n');
  for (const [i, line] of lines.entries())
    if (line.includes('§') && !FOREIGN.test(`${lines[i - 1] ?? ''} ${line.slice(0, line.lastIndexOf('§'))}`))
      dead.push(`${path}:${i + 1}: § of which document?`);
  return dead;
}

/** Anchors of the headings, as GitHub makes them. */
function headings(page: string): Set<string> {
  const titles = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title!);
  return new Set(
    titles.map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
