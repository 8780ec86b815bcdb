/**
 * Regular expressions from outside: patterns of schemas, and `matches` of CEL. In RE2's syntax and in time that grows with the text alone,
 * as on a real API server: JavaScript's own engine can be kept busy for years by a pattern of ten characters.
 * @module
 */
import { RE2JS } from 're2js';

/** CEL may make patterns of an object's fields: no more than this many are kept. */
const MOST_KEPT = 1000;
const compiled = new Map<string, RE2JS>();

/** True when the pattern is found anywhere in the text. Throws the parser's error for what is not a pattern. */
export function matchesPattern(pattern: string, text: string): boolean {
  return compilePattern(pattern).matcher(text).find();
}

/** Throws the parser's error for what is not a pattern. */
export function compilePattern(pattern: string): RE2JS {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  if (compiled.size >= MOST_KEPT) compiled.clear();
  const program = RE2JS.compile(pattern);
  compiled.set(pattern, program);
  return program;
}
