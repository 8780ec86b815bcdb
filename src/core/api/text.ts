/**
 * Texts that others wrote, made fit to be shown: bounded, and without characters that a terminal or a reader takes for something else.
 * @module
 */

/** What moves a cursor, changes colours or the direction of writing, hides itself, or is half a character. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escaped(character: string): string {
  return [...Array(character.length).keys()]
    .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
    .join('');
}

/** The text with `\uXXXX` for what cannot be shown, as JSON writes it; lines stay lines. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => (character === '\n' ? character : escaped(character)));
}

/** The same for a text that must not begin a line of its own. */
export function oneLine(text: string): string {
  return printable(text).replaceAll('\n', '\\n');
}

/** The beginning of a text that is longer than `limit` characters, and how much was left out. */
export function bounded(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const rest = ` … (${text.length} characters)`;
  return `${text.slice(0, Math.max(0, limit - rest.length)).replace(/[\ud800-\udbff]$/, '')}${rest}`;
}

/** Characters of a value that are shown in a text. */
const LONGEST_VALUE = 100;

/** A value in quotation marks, on one line. */
export function quoted(value: string): string {
  return printable(JSON.stringify(bounded(value, LONGEST_VALUE)));
}
