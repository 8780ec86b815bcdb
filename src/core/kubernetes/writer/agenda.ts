/**
 * Schedules the objects: each is at rest, waits for a time, or is queued to be written.
 * @module
 */
import type { Millis } from '../../machine.ts';
import { type Entry, keyOf, nextRandom, type Resource, type WriterState } from './state.ts';

/** The first and the longest pause of a back-off, in milliseconds. */
export interface Pauses {
  readonly first: Millis;
  readonly longest: Millis;
}

/** After a failure that concerns one object. */
export const RETRY: Pauses = { first: 1000, longest: 60_000 };
/** Due times are rounded up to a multiple of this, in milliseconds, so that a thousand objects do not cause a thousand timers. */
const GRAIN = 50;

/** How long writing waits for the list of existing objects, in milliseconds. */
const LIST_GRACE: Millis = 5000;

export function awaitList(resource: Resource, now: Millis): void {
  resource.view = { kind: 'listing', until: now + LIST_GRACE };
}

export function open(state: WriterState, resource: Resource): void {
  resource.view = { kind: 'open' };
  for (const key of resource.blocked) state.ready.add(key);
  resource.blocked.clear();
}

/** Schedules another attempt after the API server has refused the object. */
export function retry(state: WriterState, entry: Entry, now: Millis): void {
  wait(state, entry, now + pause(state, RETRY, entry.failures++), 'retry');
}

/** Doubles with every failure, then multiplied by a random factor between 0.5 and 1. */
export function pause(state: WriterState, { first, longest }: Pauses, failures: number): Millis {
  return Math.min(first * 2 ** failures, longest) * (0.5 + nextRandom(state) / 2);
}

/** Schedules the object for `at`. */
export function wait(state: WriterState, entry: Entry, at: Millis, why: 'gather' | 'retry' | 'correction'): void {
  const due = Math.ceil(at / GRAIN) * GRAIN;
  entry.task = { kind: 'waiting', at: due, why };
  state.waiting.add(keyOf(entry));
  state.earliestWait = Math.min(due, state.earliestWait ?? due);
}

/** Queues the object to be written; it is blocked while its resource is not open. */
export function makeReady(state: WriterState, entry: Entry): void {
  const key = keyOf(entry);
  const resource = state.resources.get(entry.resource)!;
  entry.task = { kind: 'ready' };
  state.waiting.delete(key);
  (resource.view.kind === 'open' ? state.ready : resource.blocked).add(key);
}

/** Nothing is left to do for the object. An entry that is neither desired nor exists is removed. */
export function rest(state: WriterState, entry: Entry): void {
  const key = keyOf(entry);
  entry.task = { kind: 'rest' };
  state.waiting.delete(key);
  if (entry.desired === undefined && entry.observed === undefined) state.entries.delete(key);
}

/** The entry of an object; an empty one is created if there is none. */
export function entryOf(
  state: WriterState,
  { resource, name }: { readonly resource: string; readonly name: string },
): Entry {
  const key = keyOf({ resource, name });
  const known = state.entries.get(key);
  if (known !== undefined) return known;
  const entry: Entry = {
    resource,
    name,
    desired: undefined,
    revision: 0,
    written: undefined,
    expected: undefined,
    observed: undefined,
    goneAt: undefined,
    task: { kind: 'rest' },
    progress: undefined,
    failures: 0,
    lastWrite: undefined,
    corrections: 0,
    isFightSaid: false,
  };
  state.entries.set(key, entry);
  return entry;
}
