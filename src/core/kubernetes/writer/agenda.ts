/**
 * When each object has its turn: at rest, waiting for a moment, or in the line of those that are written next.
 * @module
 */
import type { Millis } from '../../machine.ts';
import { type Entry, keyOf, nextRandom, type Resource, type WriterState } from './state.ts';

/** First and longest pause, in milliseconds. */
export interface Pauses {
  readonly first: Millis;
  readonly longest: Millis;
}

/** After a failure that concerns one object. */
export const RETRY: Pauses = { first: 1000, longest: 60_000 };
/** Due times are rounded up to this many milliseconds, so that a thousand objects do not wake us a thousand times. */
const GRAIN = 50;

/** Writing waits this long for the list of what there is, in milliseconds; then it goes ahead. */
const LIST_GRACE: Millis = 5000;

export function awaitList(resource: Resource, now: Millis): void {
  resource.view = { kind: 'listing', until: now + LIST_GRACE };
}

export function open(state: WriterState, resource: Resource): void {
  resource.view = { kind: 'open' };
  for (const key of resource.blocked) state.ready.add(key);
  resource.blocked.clear();
}

/** The object was refused. */
export function retry(state: WriterState, entry: Entry, now: Millis): void {
  wait(state, entry, now + pause(state, RETRY, entry.failures++), 'retry');
}

/** Doubles with every failure; half of it is left to chance. */
export function pause(state: WriterState, { first, longest }: Pauses, failures: number): Millis {
  return Math.min(first * 2 ** failures, longest) * (0.5 + nextRandom(state) / 2);
}

/** Puts the object's turn off. */
export function wait(state: WriterState, entry: Entry, at: Millis, why: 'gather' | 'retry' | 'correction'): void {
  const due = Math.ceil(at / GRAIN) * GRAIN;
  entry.task = { kind: 'waiting', at: due, why };
  state.waiting.add(keyOf(entry));
  state.earliestWait = Math.min(due, state.earliestWait ?? due);
}

/** Puts the object in line; while its kind is not open, it stands aside. */
export function makeReady(state: WriterState, entry: Entry): void {
  const key = keyOf(entry);
  const resource = state.resources.get(entry.resource)!;
  entry.task = { kind: 'ready' };
  state.waiting.delete(key);
  (resource.view.kind === 'open' ? state.ready : resource.blocked).add(key);
}

/** Nothing is to be done for the object; what nobody wants and is not there is forgotten. */
export function rest(state: WriterState, entry: Entry): void {
  const key = keyOf(entry);
  entry.task = { kind: 'rest' };
  state.waiting.delete(key);
  if (entry.desired === undefined && entry.observed === undefined) state.entries.delete(key);
}

/** What is known of an object; nothing yet, if nobody has spoken of it. */
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
