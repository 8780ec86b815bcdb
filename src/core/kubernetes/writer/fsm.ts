/**
 * Keeps API objects in their desired state: writes changes, notices by watch what others change or delete and corrects it, and deletes
 * unwanted objects.
 *
 * One request at a time for each object, many objects at once; a newer desired state replaces one that waits. Every failure is retried: one
 * that concerns the object after a pause of its own, one that concerns the server after a pause for all, which a single request ends. All
 * pauses grow and have jitter, so that a server that comes back is not overrun. If another client keeps changing an object, corrections
 * become less and less frequent.
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../../machine.ts';
import { awaitList, entryOf, makeReady, open, pause, RETRY, wait } from './agenda.ts';
import { onAnswer } from './answers.ts';
import { isDrifted } from './calls.ts';
import { canonical } from './content.ts';
import type { WriterInput, WriterOutput } from './messages.ts';
import { countCorrection, onEvent, onList } from './observation.ts';
import { pump } from './sending.ts';
import { keyOf, type WriterState } from './state.ts';

/** Milliseconds at least between two writes of an object whose desired state keeps changing. */
const SHORTEST_PAUSE = 200;
/** How long a stop waits for requests in flight, in milliseconds. */
const STOP_GRACE = 5000;

export const writerMachine: Machine<WriterState, WriterInput, WriterOutput> = {
  step(state, input, now) {
    const outputs: WriterOutput[] = [];
    switch (input.kind) {
      case 'start':
        start(state, now);
        break;
      case 'set':
        set(state, input, now);
        break;
      case 'sweep':
        sweep(state);
        break;
      case 'replaced':
        onList(state, input, now);
        break;
      case 'applied':
      case 'deleted':
        onEvent(state, input, now);
        break;
      case 'answered':
        onAnswer(state, input.id, input.answer, now, outputs);
        break;
      case 'stop':
        state.phase = 'stopping';
        state.stopBy = now + STOP_GRACE;
        break;
      case 'tick':
        onTick(state, now, outputs);
    }
    if (state.phase === 'running') pump(state, now, outputs);
    else if (state.phase === 'stopping' && (state.underWay.size === 0 || now >= state.stopBy!)) {
      state.phase = 'stopped';
      outputs.push({ kind: 'stopped' });
    }
    return { next: state, outputs };
  },
  nextDeadline(state): Deadline | undefined {
    if (state.phase === 'stopping') return { at: state.stopBy!, why: 'a request takes too long to wait for' };
    if (state.phase !== 'running') return undefined;
    const deadlines: (Deadline | undefined)[] = [
      state.earliestWait === undefined ? undefined : { at: state.earliestWait, why: 'an object is due' },
      state.server.pausedUntil === undefined ? undefined : { at: state.server.pausedUntil, why: 'the server is tried' },
    ];
    for (const { view } of state.resources.values())
      if (view.kind === 'listing') deadlines.push({ at: view.until, why: 'the list does not come' });
      else if (view.kind === 'missing') deadlines.push({ at: view.until, why: 'the kind may have come' });
    return earliest(deadlines);
  },
};

function start(state: WriterState, now: Millis): void {
  if (state.phase !== 'new') return;
  state.phase = 'running';
  for (const resource of state.resources.values()) {
    if (resource.settings.isWatchedByUs) resource.view = { kind: 'look', isUnderWay: false };
    else if (resource.isListed) open(state, resource);
    else awaitList(resource, now);
  }
}

function set(state: WriterState, input: Extract<WriterInput, { kind: 'set' }>, now: Millis): void {
  const { desired } = input;
  if (desired === undefined && !state.entries.has(keyOf(input))) return;
  const entry = entryOf(state, input);
  // For an entry that was only observed so far, even `undefined` is a new desired state.
  if (entry.revision > 0 && canonical(desired) === canonical(entry.desired)) return;
  entry.desired = desired;
  entry.revision++;
  const { task } = entry;
  if (task.kind === 'busy' || task.kind === 'ready') return;
  if (task.kind === 'waiting' && task.why === 'gather') return;
  const earliestNext = entry.lastWrite === undefined ? now : entry.lastWrite + SHORTEST_PAUSE;
  const due = Math.max(now + state.settings.gather, earliestNext);
  // A change keeps the back-off if the object was just refused.
  const isRetry = task.kind === 'waiting' && task.why === 'retry';
  if (isRetry) wait(state, entry, Math.min(task.at, due + pause(state, RETRY, 0)), 'retry');
  else if (due > now) wait(state, entry, due, 'gather');
  else makeReady(state, entry);
}

function sweep(state: WriterState): void {
  state.isSwept = true;
  for (const entry of state.entries.values())
    if (entry.desired === undefined && entry.task.kind === 'rest' && isDrifted(state, entry)) makeReady(state, entry);
}

function onTick(state: WriterState, now: Millis, outputs: WriterOutput[]): void {
  const { server } = state;
  if (server.pausedUntil !== undefined && now >= server.pausedUntil) server.pausedUntil = undefined;
  for (const resource of state.resources.values()) {
    const { view } = resource;
    if (view.kind === 'listing' && now >= view.until) open(state, resource);
    else if (view.kind === 'missing' && now >= view.until) resource.view = { kind: 'look', isUnderWay: false };
  }
  if (state.earliestWait === undefined || now < state.earliestWait) return;
  state.earliestWait = undefined;
  for (const key of [...state.waiting]) {
    const entry = state.entries.get(key)!;
    if (entry.task.kind !== 'waiting') continue;
    const { at, why } = entry.task;
    if (at > now) state.earliestWait = Math.min(at, state.earliestWait ?? at);
    else {
      if (why === 'correction') countCorrection(state, entry, outputs);
      makeReady(state, entry);
    }
  }
}
