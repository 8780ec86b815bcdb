/**
 * Parses and formats YAML.
 * @module
 */
import { parse, parseAllDocuments, stringify } from 'yaml';

/** Parses a single document. Throws the parser's error, which names line and column. */
export function parseYaml(text: string): unknown {
  return parse(text);
}

/** Parses all documents. Throws the parser's error. */
export function parseAllYaml(text: string): unknown[] {
  const documents = parseAllDocuments(text);
  return ('empty' in documents ? [] : documents).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as unknown;
  });
}

/** Quotes text such as Off and yes, which readers of YAML 1.1 (kubectl and Helm among them) take for booleans. */
export function formatYaml(value: unknown): string {
  return stringify(value, { lineWidth: 120, aliasDuplicateObjects: false, compat: 'yaml-1.1' });
}
