/**
 * YAML, read and written.
 * @module
 */
import { parse, stringify } from 'yaml';

/** The first document. Throws the parser's error, which names line and column. */
export function parseYaml(text: string): unknown {
  return parse(text);
}

export function formatYaml(value: unknown): string {
  return stringify(value, { lineWidth: 120, aliasDuplicateObjects: false });
}
