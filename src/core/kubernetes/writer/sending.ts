/**
 * Sends requests: one at a time for each object, many objects at once, but only one in total while the server fails.
 * @module
 */
import type { Millis } from '../../machine.ts';
import { makeReady, rest } from './agenda.ts';
import { expectedOf, nextCall, progressOf } from './calls.ts';
import type { WriteCall, WriterOutput } from './messages.ts';
import { judge } from './observation.ts';
import { type Entry, keyOf, type WriterState } from './state.ts';

/** Sends as many requests as are allowed now. */
export function pump(state: WriterState, now: Millis, outputs: WriterOutput[]): void {
  const { server, settings, underWay } = state;
  if (server.pausedUntil !== undefined && now < server.pausedUntil) return;
  const hasRoom = () => underWay.size < (server.failures > 0 ? 1 : settings.limit);
  const isOwnerMissing = settings.isOwned && state.owner === undefined;
  const isOwnerAsked = [...underWay.values()].some(({ call }) => call.verb === 'read-owner');
  if (isOwnerMissing && !isOwnerAsked && hasRoom()) send(state, { verb: 'read-owner' }, undefined, outputs);
  for (const {
    settings: { resource },
    view,
  } of state.resources.values()) {
    if (view.kind !== 'look' || view.isUnderWay || !hasRoom()) continue;
    state.resources.get(resource)!.view = { ...view, isUnderWay: true };
    send(state, { verb: 'look', resource }, undefined, outputs);
  }
  if (isOwnerMissing) return;
  for (const key of state.ready) {
    if (!hasRoom()) return;
    state.ready.delete(key);
    const entry = state.entries.get(key)!;
    entry.progress = undefined;
    // The resource may have been closed while the object waited.
    if (state.resources.get(entry.resource)!.view.kind === 'open') proceed(state, entry, now, outputs);
    else makeReady(state, entry);
  }
}

/** Sends the next request for an object, or finishes it. */
export function proceed(state: WriterState, entry: Entry, now: Millis, outputs: WriterOutput[]): void {
  const call = nextCall(state, entry);
  if (call === undefined) {
    finish(state, entry, now, outputs);
    return;
  }
  entry.task = { kind: 'busy' };
  send(state, call, keyOf(entry), outputs);
}

function finish(state: WriterState, entry: Entry, now: Millis, outputs: WriterOutput[]): void {
  const { resource, name, desired } = entry;
  if (progressOf(entry).hasWritten)
    outputs.push({ kind: desired === undefined ? 'removed' : 'written', resource, name });
  entry.expected = expectedOf(state, entry);
  entry.written = entry.revision;
  entry.failures = 0;
  entry.progress = undefined;
  rest(state, entry);
  judge(state, entry, now);
}

function send(state: WriterState, call: WriteCall, key: string | undefined, outputs: WriterOutput[]): void {
  const id = state.nextId++;
  const revision = key === undefined ? undefined : state.entries.get(key)!.revision;
  state.underWay.set(id, { call, key, revision });
  outputs.push({ kind: 'send', id, call });
}
