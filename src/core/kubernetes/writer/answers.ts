/**
 * Handles responses: their consequences for the object, for its resource, and for all requests.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { Millis } from '../../machine.ts';
import { awaitList, makeReady, open, type Pauses, pause, retry } from './agenda.ts';
import { achieved } from './calls.ts';
import type { OwnerReference, WriteAnswer, WriteCall, WriterOutput } from './messages.ts';
import { proceed } from './sending.ts';
import type { Entry, Resource, WriterState } from './state.ts';

/** Back-off after a failure that concerns all requests, in milliseconds. */
const SERVER_RETRY: Pauses = { first: 500, longest: 10_000 };
/** Back-off between probes for a kind that the cluster does not have, in milliseconds. */
const LOOK_AGAIN: Pauses = { first: 5000, longest: 300_000 };

export function onAnswer(
  state: WriterState,
  id: number,
  answer: WriteAnswer,
  now: Millis,
  outputs: WriterOutput[],
): void {
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

/** No response, 401, 429 or a server error: other requests would fail as well. */
function isServerTrouble(status: number): boolean {
  return status === 0 || status === 401 || status === 429 || status >= 500;
}

/** A 404 is a success for a delete, and an answer for a read. */
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

/** Pauses all requests. Those in flight may fail for the same reason, so their failures do not count again. */
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
  outputs: WriterOutput[],
): void {
  const { resource, name } = entry;
  // A request that may create the object gets 404 only if its kind or namespace does not exist.
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

function doubt(resource: Resource, suspicion: string, outputs: WriterOutput[]): void {
  if (resource.view.kind !== 'open') return;
  resource.view = { kind: 'look', isUnderWay: false, suspicion };
  if (!resource.isWatched) return;
  resource.isWatched = false;
  resource.isListed = false;
  outputs.push({ kind: 'unwatch', resource: resource.settings.resource });
}

function onLooked(
  state: WriterState,
  resource: Resource,
  answer: WriteAnswer,
  now: Millis,
  outputs: WriterOutput[],
): void {
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
  // Without permission to list, writing may still be allowed.
  if (!answer.ok || resource.isListed) open(state, resource);
  else awaitList(resource, now);
}

function onOwner(state: WriterState, answer: WriteAnswer, now: Millis, outputs: WriterOutput[]): void {
  if (answer.ok) state.owner = ownerOf(answer.objects[0]!);
  else if (!isServerTrouble(answer.status)) {
    outputs.push({ kind: 'trouble', what: 'failed', resource: '', name: '', message: answer.message });
    pauseAll(state, now);
  }
}

/** An owner reference to a Pod, so that the objects are deleted with it. */
function ownerOf({ metadata: { name, uid = '' } }: KubernetesObject): OwnerReference {
  return { apiVersion: 'v1', kind: 'Pod', name, uid };
}

function resourceOf(call: WriteCall): string {
  return call.verb === 'read-owner' ? '' : call.resource;
}

function nameOf(call: WriteCall): string {
  return 'name' in call ? call.name : '';
}
