/**
 * The text that a peer may send with Cease (RFC 9003).
 * @module
 */
import { NOTIFICATION_CODES } from './errors.ts';
import type { NotificationMessage } from './messages.ts';

/** Administrative shutdown and administrative reset (RFC 4486). */
const WITH_WORDS: readonly number[] = [2, 4];
const NOT_ASCII = /[^\x20-\x7e]/g;

/** A length and UTF-8 (RFC 9003 §2); ours is ASCII. */
export function shutdownCommunication(text: string): Uint8Array {
  const shown = text.replace(NOT_ASCII, '?').slice(0, 255);
  return Uint8Array.of(shown.length, ...Uint8Array.from(shown, (character) => character.charCodeAt(0)));
}

/** The text in quotes and parentheses, to be appended to a message; empty if the peer sent none. */
export function shutdownText({ code, subcode, data }: NotificationMessage): string {
  const length = data[0] ?? 0;
  const isCease = code === NOTIFICATION_CODES.cease && WITH_WORDS.includes(subcode);
  if (!isCease || length === 0 || data.length < length + 1) return '';
  const text = String.fromCharCode(...data.slice(1, length + 1)).replace(NOT_ASCII, '?');
  return ` ("${text}")`;
}
