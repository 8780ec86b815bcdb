/**
 * Errors that the user can fix: one clear line, no stack trace.
 * @module
 */
import { AdapterError, systemCode } from '../../adapters/errors.ts';

/** Something that the user can fix. `exitCode` 2 is for wrong usage, 1 for everything else. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What to print and how to exit for anything that was thrown. Unknown errors keep their stack: they are bugs. */
export function describeError(error: unknown): { readonly text: string; readonly exitCode: number } {
  if (error instanceof CliError) return { text: error.message, exitCode: error.exitCode };
  if (error instanceof AdapterError) return { text: error.message, exitCode: 1 };
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), exitCode: 1 };
}

/** Turns the failure to listen into words; other errors pass through. */
export function listenError(what: string, host: string, port: number, error: unknown): unknown {
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return new CliError(`${what}: ${host}:${port} is in use by another process; end it or choose another port`);
    case 'EACCES':
      return new CliError(`${what}: no permission to listen on ${host}:${port}; choose a port above 1023`);
    case 'EADDRNOTAVAIL':
      return new CliError(`${what}: ${host} is not an address of this machine`);
    default:
      return error;
  }
}
