/**
 * Keeps objects of the API as somebody wants them: writes what changes, notices by watch what others change or delete and puts it right,
 * and removes what nobody wants any more.
 *
 * One request at a time for each object, many objects at once; a newer desired state takes the place of one that waits. Every failure is
 * retried: one that concerns the object after the object's own pause, one that concerns the server after a pause for all, which ends with
 * one request that is let through. All pauses grow and have jitter, so that a server that comes back is not met by everybody at once.
 * Whoever fights about an object with us is answered less and less often.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import { type Deadline, earliest, type Machine, type Millis } from '../../machine.ts';
import { entryOf, makeReady, open, pause, RETRY, rest, retry, wait } from './agenda.ts';
import { achieved, expectedOf, isDrifted, missed, nextCall, observe, progressOf } from './calls.ts';
import { canonical, carries } from './content.ts';
import type { OwnerReference, WriteAnswer, WriteCall, WriterInput, WriterOutput } from './messages.ts';
import { type Entry, keyOf, nextRandom, type Resource, type WriterState } from './state.ts';

/** Milliseconds between two writes of one object that change follows change. */
const SHORTEST_PAUSE = 200;
/** First and longest pause after a failure of the server as a whole, in milliseconds. */
const SERVER_RETRY = { first: 500, longest: 10_000 };
/** The same between looks for a kind that the cluster does not have. */
const LOOK_AGAIN = { first: 5000, longest: 300_000 };
/** From seeing that an object was changed by others until it is put right: whoever changes it may be about to tell us why. */
const SETTLE: Millis = 1000;
/** First and longest pause between our last write and putting the object right; it doubles as long as others keep changing it. */
const CORRECTION = { first: 5000, longest: 300_000 };
/** Corrections in a row that are worth a word. */
const FIGHT = 3;
/** Milliseconds without a correction after which a fight is over. */
const PEACE = 2 * CORRECTION.longest;
/** Writing waits this long for the list of what there is, in milliseconds; then it goes ahead. */
const LIST_GRACE = 5000;
/** A stop waits this long for what is under way, in milliseconds. */
const STOP_GRACE = 5000;

type Outputs = WriterOutput[];

export const writerMachine: Machine<WriterState, WriterInput, WriterOutput> = {
  step(state, input, now) {
    const outputs: Outputs = [];
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
    else resource.view = { kind: 'listing', until: now + LIST_GRACE };
  }
}

function set(state: WriterState, input: Extract<WriterInput, { kind: 'set' }>, now: Millis): void {
  const { desired } = input;
  if (desired === undefined && !state.entries.has(keyOf(input))) return;
  const entry = entryOf(state, input);
  // Of what was only seen so far, it is news that nobody wants it.
  if (entry.revision > 0 && canonical(desired) === canonical(entry.desired)) return;
  entry.desired = desired;
  entry.revision++;
  const { task } = entry;
  if (task.kind === 'busy' || task.kind === 'ready') return;
  if (task.kind === 'waiting' && task.why === 'gather') return;
  const earliestNext = entry.lastWrite === undefined ? now : entry.lastWrite + SHORTEST_PAUSE;
  const due = Math.max(now + state.settings.gather, earliestNext);
  // A change is no reason to forget that the object was refused a moment ago.
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

function onList(
  state: WriterState,
  { resource: name, objects, version }: Extract<WriterInput, { kind: 'replaced' }>,
  now: Millis,
): void {
  const resource = state.resources.get(name)!;
  resource.isListed = true;
  if (resource.view.kind === 'listing') open(state, resource);
  const present = new Set(objects.map(({ metadata }) => metadata.name));
  for (const object of objects) see(state, name, object);
  for (const entry of [...state.entries.values()]) {
    if (entry.resource !== name) continue;
    if (!present.has(entry.name)) missed(entry, version);
    judge(state, entry, now);
  }
}

function onEvent(
  state: WriterState,
  { kind, resource, object }: Extract<WriterInput, { kind: 'applied' | 'deleted' }>,
  now: Millis,
): void {
  if (kind === 'applied') see(state, resource, object);
  const entry = state.entries.get(keyOf({ resource, name: object.metadata.name }));
  if (entry === undefined) return;
  if (kind === 'deleted') missed(entry, object.metadata.resourceVersion);
  judge(state, entry, now);
}

/** Takes in what is there, if it is of any interest to us. */
function see(state: WriterState, resource: string, object: KubernetesObject): void {
  const { name } = object.metadata;
  const { mark } = state.settings;
  const isOurs = Object.keys(mark).length > 0 && carries(object, mark);
  if (isOurs || state.entries.has(keyOf({ resource, name }))) observe(entryOf(state, { resource, name }), object);
}

/** After something was seen of an object: is it to be put right? */
function judge(state: WriterState, entry: Entry, now: Millis): void {
  const { task, lastWrite } = entry;
  const isAtRest = task.kind === 'rest';
  if (!isAtRest && !(task.kind === 'waiting' && task.why === 'correction')) return;
  if (!isDrifted(state, entry)) {
    rest(state, entry);
    return;
  }
  if (!isAtRest) return;
  if (lastWrite !== undefined && now - lastWrite > PEACE) {
    entry.corrections = 0;
    entry.isFightSaid = false;
  }
  const settled = now + SETTLE * (0.5 + nextRandom(state) / 2);
  const spared = lastWrite === undefined ? now : lastWrite + correctionPause(entry) * (1 + nextRandom(state) / 4);
  wait(state, entry, Math.max(settled, spared), 'correction');
}

function correctionPause({ corrections }: Entry): Millis {
  return Math.min(CORRECTION.first * 2 ** corrections, CORRECTION.longest);
}

function onTick(state: WriterState, now: Millis, outputs: Outputs): void {
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

function countCorrection(state: WriterState, entry: Entry, outputs: Outputs): void {
  entry.corrections++;
  if (entry.corrections < FIGHT || entry.isFightSaid) return;
  entry.isFightSaid = true;
  const { resource, name } = entry;
  const what = entry.desired?.object.kind ?? resource;
  const seconds = Math.round(correctionPause(entry) / 1000);
  const message = `${what} ${state.settings.namespace}/${name} is changed by somebody else again and again; it is put right, but no sooner than ${seconds} s after the last time`;
  outputs.push({ kind: 'trouble', what: 'contested', resource, name, message });
}

/** Sends what may be sent now. */
function pump(state: WriterState, now: Millis, outputs: Outputs): void {
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
    // The kind may have come into doubt while it waited.
    if (state.resources.get(entry.resource)!.view.kind === 'open') proceed(state, entry, now, outputs);
    else makeReady(state, entry);
  }
}

/** Sends the next request for an object, or is done with it. */
function proceed(state: WriterState, entry: Entry, now: Millis, outputs: Outputs): void {
  const call = nextCall(state, entry);
  if (call === undefined) {
    finish(state, entry, now, outputs);
    return;
  }
  entry.task = { kind: 'busy' };
  send(state, call, keyOf(entry), outputs);
}

function finish(state: WriterState, entry: Entry, now: Millis, outputs: Outputs): void {
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

function send(state: WriterState, call: WriteCall, key: string | undefined, outputs: Outputs): void {
  const id = state.nextId++;
  const revision = key === undefined ? undefined : state.entries.get(key)!.revision;
  state.underWay.set(id, { call, key, revision });
  outputs.push({ kind: 'send', id, call });
}

function onAnswer(state: WriterState, id: number, answer: WriteAnswer, now: Millis, outputs: Outputs): void {
  const request = state.underWay.get(id);
  if (request === undefined) return;
  state.underWay.delete(id);
  if (state.phase !== 'running') return;
  const { call, key, revision } = request;
  const isServers = !answer.ok && isServerTrouble(answer.status);
  if (!isServers) {
    state.server.failures = 0;
    state.server.pausedUntil = undefined;
  } else if (id >= state.server.countedFrom) {
    pauseAll(state, now);
    outputs.push({
      kind: 'trouble',
      what: 'failed',
      resource: resourceOf(call),
      name: nameOf(call),
      message: answer.message,
    });
  }
  if (call.verb === 'look') onLooked(state, state.resources.get(call.resource)!, answer, now, outputs);
  else if (call.verb === 'read-owner') onOwner(state, answer, now, outputs);
  else {
    const entry = state.entries.get(key!)!;
    if (answer.ok || isAsGood(call, answer.status)) {
      achieved(state, entry, call, answer.ok ? answer.objects : [], revision === entry.revision);
      if (call.verb !== 'list' && call.verb !== 'read') entry.lastWrite = now;
      if (isWrite(call)) wrote(state.resources.get(entry.resource)!);
      if (state.server.pausedUntil === undefined && state.resources.get(entry.resource)!.view.kind === 'open')
        proceed(state, entry, now, outputs);
      else makeReady(state, entry);
    } else if (isServers) {
      if (answer.status === 0 || answer.status === 401) makeReady(state, entry);
      else retry(state, entry, now);
    } else onRefused(state, entry, call, answer, now, outputs);
  }
}

/** No answer at all, no credentials, too many requests, or a fault of the server: others would fare no better. */
function isServerTrouble(status: number): boolean {
  return status === 0 || status === 401 || status === 429 || status >= 500;
}

/** Whoever deletes an object that is not there has what they want; whoever reads it knows. */
function isAsGood({ verb }: WriteCall, status: number): boolean {
  return status === 404 && (verb === 'delete' || verb === 'read');
}

function isWrite({ verb }: WriteCall): boolean {
  return verb === 'apply' || verb === 'create' || verb === 'replace';
}

function wrote(resource: Resource): void {
  resource.looks = 0;
  resource.isSaidMissing = false;
}

/** All requests that are under way now may fail for the same reason: it counts once. */
function pauseAll(state: WriterState, now: Millis): void {
  const { server } = state;
  server.pausedUntil = now + pause(state, SERVER_RETRY, server.failures);
  server.failures++;
  server.countedFrom = state.nextId;
}

function onRefused(
  state: WriterState,
  entry: Entry,
  call: WriteCall,
  { status, message }: Extract<WriteAnswer, { ok: false }>,
  now: Millis,
  outputs: Outputs,
): void {
  const { resource, name } = entry;
  // What creates is told 404 only when the kind, or the namespace, is not there.
  const isKindInDoubt =
    status === 404 &&
    (call.verb === 'list' || call.verb === 'create' || (call.verb === 'apply' && call.subresource === undefined));
  if (isKindInDoubt) {
    doubt(state.resources.get(resource)!, message, outputs);
    makeReady(state, entry);
    return;
  }
  if (status === 404) entry.observed = undefined;
  outputs.push({ kind: 'trouble', what: 'failed', resource, name, message });
  retry(state, entry, now);
}

function doubt(resource: Resource, suspicion: string, outputs: Outputs): void {
  if (resource.view.kind !== 'open') return;
  resource.view = { kind: 'look', isUnderWay: false, suspicion };
  if (!resource.isWatched) return;
  resource.isWatched = false;
  resource.isListed = false;
  outputs.push({ kind: 'unwatch', resource: resource.settings.resource });
}

function onLooked(state: WriterState, resource: Resource, answer: WriteAnswer, now: Millis, outputs: Outputs): void {
  const suspicion = resource.view.kind === 'look' ? resource.view.suspicion : undefined;
  const { resource: name, isWatchedByUs, whenMissing } = resource.settings;
  if (!answer.ok && isServerTrouble(answer.status)) {
    resource.view = { kind: 'look', isUnderWay: false, ...(suspicion !== undefined && { suspicion }) };
    return;
  }
  const isMissing = !answer.ok && answer.status === 404;
  if (isMissing || suspicion !== undefined) {
    if (!resource.isSaidMissing)
      outputs.push({
        kind: 'trouble',
        what: isMissing ? 'missing' : 'failed',
        resource: name,
        name: '',
        message: isMissing ? whenMissing : suspicion!,
      });
    resource.isSaidMissing = true;
    resource.view = { kind: 'missing', until: now + pause(state, LOOK_AGAIN, resource.looks) };
    resource.looks++;
    return;
  }
  if (isWatchedByUs) {
    resource.isWatched = true;
    outputs.push({ kind: 'watch', resource: name });
  }
  // Whoever may not list may still write.
  if (!answer.ok || resource.isListed) open(state, resource);
  else resource.view = { kind: 'listing', until: now + LIST_GRACE };
}

function onOwner(state: WriterState, answer: WriteAnswer, now: Millis, outputs: Outputs): void {
  if (answer.ok) state.owner = ownerOf(answer.objects[0]!);
  else if (!isServerTrouble(answer.status)) {
    outputs.push({ kind: 'trouble', what: 'failed', resource: '', name: '', message: answer.message });
    pauseAll(state, now);
  }
}

/** A Pod as the owner of what it writes: when it goes, so does that. */
function ownerOf({ metadata: { name, uid = '' } }: KubernetesObject): OwnerReference {
  return { apiVersion: 'v1', kind: 'Pod', name, uid };
}

function resourceOf(call: WriteCall): string {
  return call.verb === 'read-owner' ? '' : call.resource;
}

function nameOf(call: WriteCall): string {
  return 'name' in call ? call.name : '';
}
