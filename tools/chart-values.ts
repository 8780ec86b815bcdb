/**
 * The chart's values as a table for its README, and as a schema, both from values.yaml and its comments.
 * @module
 */
import { parseYaml } from '../src/adapters/files/yaml.ts';

interface Value {
  /** Keys from the top, with points between them. */
  readonly path: string;
  readonly description: string;
  readonly value: unknown;
}

/** Every value that has a comment of the form `# -- …`, and every leaf without one. */
export function chartValues(text: string): Value[] {
  const root = parseYaml(text) as Record<string, unknown>;
  const found: Value[] = [];
  const path: { indent: number; key: string }[] = [];
  let description = '';
  for (const line of text.split('\n')) {
    const comment = /^\s*# -- (.*)$/.exec(line)?.[1];
    if (comment !== undefined) description = comment;
    const [, spaces = '', key] = /^(\s*)([A-Za-z][\w-]*):/.exec(line) ?? [];
    if (key === undefined) continue;
    while (path.length > 0 && path.at(-1)!.indent >= spaces.length) path.pop();
    path.push({ indent: spaces.length, key });
    const value = path.reduce<unknown>(
      (part, { key: each }) => (part as Record<string, unknown> | undefined)?.[each],
      root,
    );
    const isLeaf =
      value === null || typeof value !== 'object' || Array.isArray(value) || Object.keys(value).length === 0;
    if (isLeaf || description !== '')
      found.push({ path: path.map(({ key: each }) => each).join('.'), description, value: isLeaf ? value : undefined });
    description = '';
  }
  // What stands inside of a list is no value of its own.
  return found.filter(
    ({ path: each }) => !found.some(({ path: other, value }) => Array.isArray(value) && each.startsWith(`${other}.`)),
  );
}

export function valuesTable(values: readonly Value[]): string {
  const rows = values.map(({ path, description, value }) => {
    const shown = value === undefined ? '' : `\`${JSON.stringify(value) ?? 'null'}\``;
    return `| \`${path}\` | ${shown} | ${description} |`;
  });
  return ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

/** Types only: users of MetalLB's chart may have values that this one does not know. */
export function valuesSchema(values: readonly Value[]): object {
  const root: Node = { type: 'object', properties: {} };
  for (const { path, value } of values) {
    if (value === undefined) continue;
    const keys = path.split('.');
    const last = keys.pop()!;
    let node = root;
    for (const key of keys) {
      node.properties ??= {};
      node.properties[key] ??= { type: 'object', properties: {} };
      node = node.properties[key];
    }
    node.properties ??= {};
    node.properties[last] = typeOf(value);
  }
  return { $schema: 'https://json-schema.org/draft-07/schema#', ...root };
}

interface Node {
  type?: string | readonly string[];
  properties?: Record<string, Node>;
}

function typeOf(value: unknown): Node {
  if (value === null) return {};
  if (Array.isArray(value)) return { type: 'array' };
  // Helm gives whole numbers that come by --set as integers, and empty maps as null.
  if (typeof value === 'object') return { type: ['object', 'null'] };
  return { type: typeof value === 'number' ? 'integer' : typeof value };
}
