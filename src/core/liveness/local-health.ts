/**
 * How far this speaker may trust its own timers: one that is late itself must not call others late (Lifeguard's local health).
 * @module
 */
import type { Millis } from '../machine.ts';
import type { LivenessState } from './state.ts';

/** Each step of lateness widens the windows by a half. */
const MAX_LATENESS = 4;

/** The interval that others are measured by: longer while our own timers are late. */
export function stretchedInterval({ settings, lateness }: LivenessState): Millis {
  return settings.interval * (1 + lateness / 2);
}

/** The timer for the next ping, which was due at `due`, has gone off. */
export function measureLateness(s: LivenessState, due: Millis, now: Millis): void {
  const late = now - due;
  if (late > s.settings.interval) s.graceFrom = now;
  if (late > s.settings.interval / 2) s.lateness = Math.min(MAX_LATENESS, Math.floor(s.lateness) + 1);
  else s.lateness = s.lateness > 0.02 ? s.lateness - 0.02 : 0;
}

/** The latest of several times, leaving out what has not happened yet. */
export function latest(...times: readonly (Millis | undefined)[]): Millis | undefined {
  let last: Millis | undefined;
  for (const time of times) if (time !== undefined && (last === undefined || time > last)) last = time;
  return last;
}
