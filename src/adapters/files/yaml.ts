/**
 * YAML, read and written.
 * @module
 */
import { parse, parseAllDocuments, stringify } from 'yaml';

/** The first document. Throws the parser's error, which names line and column. */
export function parseYaml(text: string): unknown {
  return parse(text);
}

/** Every document. Throws the parser's error. */
export function parseAllYaml(text: string): unknown[] {
  const documents = parseAllDocuments(text);
  return ('empty' in documents ? [] : documents).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as unknown;
  });
}

/** Also for readers of YAML 1.1, to whom a bare Off or yes is no text: kubectl and Helm are among them. */
export function formatYaml(value: unknown): string {
  return stringify(value, { lineWidth: 120, aliasDuplicateObjects: false, compat: 'yaml-1.1' });
}
