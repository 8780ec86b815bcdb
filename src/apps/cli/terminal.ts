/**
 * The way to standard output and standard error: what others wrote moves no cursor and changes no colour there.
 * @module
 */
import { printable } from '../../core/api/text.ts';

/** A text for people, or JSON, which means the same when it is escaped. */
export function show(text: string): void {
  process.stdout.write(printable(text));
}

/** A document for other programs: exact, unless it is a person who looks at it. */
export function showDocument(text: string): void {
  process.stdout.write(process.stdout.isTTY ? printable(text) : text);
}

/** Something that is not the result. */
export function complain(text: string): void {
  process.stderr.write(printable(text));
}

/** Resolves when everything has been taken: a pipe drains slowly, and what it has not taken is lost at exit. */
export function printed(): Promise<void> {
  return new Promise((resolve) => process.stdout.write('', () => resolve()));
}
