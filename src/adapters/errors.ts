/**
 * Faults of the world outside, in words for the user, with a stable code for programs.
 * @module
 */

export class AdapterError extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** The system's error code (`EADDRINUSE` …), if the error has one. */
export function systemCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** What an error says, without the stack or the excerpt that parsers add in further lines. */
export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
