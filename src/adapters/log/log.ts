/**
 * JSON lines on standard output, with the keys that upstream's users search for: ts, level, event, msg, error.
 * @module
 */
import pino, { type Logger } from 'pino';
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
    pino.destination({ dest: 1, sync: true }),
  );
}
