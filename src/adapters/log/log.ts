/**
 * JSON lines on standard output, with the keys that upstream's users search for: ts, level, event, msg, error.
 * @module
 */
import pino, { type Logger } from 'pino';
import { bounded, printable } from '../../core/api/text.ts';
import { realWallClock } from '../driver/clock.ts';

export type Log = Logger;

/** Values of --log-level (docs/behaviour/flags.md#log-levels) as levels of the logger. */
export const LOG_LEVELS = {
  all: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  none: 'silent',
} as const;
export type LogLevel = keyof typeof LOG_LEVELS;

export function createLog(level: LogLevel, fields: Readonly<Record<string, string>>): Log {
  return pino(
    {
      level: LOG_LEVELS[level],
      base: fields,
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date(realWallClock()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    through(pino.destination({ dest: 1, sync: true })),
  );
}

/** Characters of one value in the log; what a user writes may be as long as the API server allows. */
const LONGEST_VALUE = 2048;

interface Destination {
  write(line: string): unknown;
}

/** The one way to the log. JSON has escapes for what moves a cursor, and pino leaves most of it as it is. */
export function through(destination: Destination): Destination {
  return { write: (line) => destination.write(printable(line.length > LONGEST_VALUE ? shortened(line) : line)) };
}

function shortened(line: string): string {
  const values = JSON.parse(line, (_, value: unknown) =>
    typeof value === 'string' ? bounded(value, LONGEST_VALUE) : value,
  );
  return `${JSON.stringify(values)}\n`;
}
