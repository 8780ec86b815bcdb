/**
 * A text that is the same for the same value, addresses included: JSON has no big integers.
 * @module
 */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? '';
}
