/**
 * Chooses the next request that brings one object to its desired state, and evaluates the response.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import { type Content, carries, contentOf, isNewer, isOlder, wantedContent } from './content.ts';
import type { Desired, WriteCall } from './messages.ts';
import type { Entry, Progress, WriterState } from './state.ts';

/** The next request for an object; undefined: nothing is left to do. */
export function nextCall(state: WriterState, entry: Entry): WriteCall | undefined {
  const { desired, resource } = entry;
  const progress = progressOf(entry);
  if (desired === undefined) return removal(state, entry, progress);
  if (isForeign(state, entry)) return undefined;
  if (desired.supersedes !== undefined && entry.written !== entry.revision) {
    if (progress.superseded === undefined) return { verb: 'list', resource, labels: desired.supersedes };
    const [oldest] = progress.superseded;
    if (oldest !== undefined) return deletion(resource, oldest);
  }
  return state.settings.mode === 'apply'
    ? application(state, entry, desired, progress)
    : replacement(state, entry, desired, progress);
}

/** True when an object of that name exists that was not made by us, and must not be adopted. */
export function isForeign({ settings }: WriterState, { observed }: Entry): boolean {
  return !settings.adopts && observed !== undefined && !carries(observed, settings.mark);
}

/** True when the object differs from what we wrote, or exists although it is not desired. */
export function isDrifted(state: WriterState, entry: Entry): boolean {
  const { desired, observed, expected } = entry;
  if (desired === undefined) return isRemovable(state, observed) && (state.isSwept || entry.revision > 0);
  if (isForeign(state, entry) || entry.written !== entry.revision) return false;
  if (observed === undefined) return state.resources.get(entry.resource)!.isListed;
  const is = contentOf(observed, desired.object, state.owner);
  return is.main !== expected?.main || is.status !== expected.status;
}

/** Records a successful request. `objects` are those in the response; `isCurrent`: it was for the newest desired state. */
export function achieved(
  state: WriterState,
  entry: Entry,
  call: WriteCall,
  objects: readonly KubernetesObject[],
  isCurrent: boolean,
): void {
  const [object] = objects;
  if (call.verb === 'delete' && call.name === entry.name) {
    if (call.uid === undefined || call.uid === entry.observed?.metadata.uid) entry.observed = undefined;
  } else if (call.verb === 'read') entry.observed = object;
  else if (call.verb === 'apply' || call.verb === 'create' || call.verb === 'replace') observe(entry, object!);
  if (!isCurrent) return;
  const progress = progressOf(entry);
  switch (call.verb) {
    case 'list':
      progress.superseded = objects.filter(({ metadata }) => metadata.name !== entry.name);
      return;
    case 'delete':
      progress.hasWritten = true;
      if (call.name !== entry.name) progress.superseded = progress.superseded?.slice(1);
      return;
    case 'read':
      progress.read = object ?? null;
      return;
    case 'apply':
    case 'create':
    case 'replace': {
      progress.hasWritten = true;
      const content = contentOf(object!, entry.desired!.object, state.owner);
      if (call.verb === 'apply' && call.subresource === 'status') progress.status = content.status;
      else progress.main = content.main;
    }
  }
}

/**
 * The content that the object should keep: as the server returned it from our writes, or as it was if it needed none. What was observed
 * since is not used, because changes by others are to be noticed.
 */
export function expectedOf(state: WriterState, entry: Entry): Content | undefined {
  const { desired } = entry;
  if (desired === undefined || isForeign(state, entry)) return undefined;
  const { main, status } = progressOf(entry);
  const wanted = wantedOf(state, entry, desired);
  return { main: main ?? wanted.main, status: status ?? wanted.status };
}

/** Records the state of an object, unless a newer one is known: the answer to our write may come after the event that deletes the object. */
export function observe(entry: Entry, object: KubernetesObject): void {
  const { resourceVersion } = object.metadata;
  if (isOlder(resourceVersion, entry.observed?.metadata.resourceVersion)) return;
  if (isNewer(resourceVersion, entry.goneAt)) entry.observed = object;
}

/** Records that there was no such object at this resourceVersion, unless a newer state is known. */
export function missed(entry: Entry, version: string | undefined): void {
  if (!isOlder(version, entry.observed?.metadata.resourceVersion)) entry.observed = undefined;
  if (version !== undefined && isNewer(version, entry.goneAt)) entry.goneAt = version;
}

/** The progress towards the newest desired state; reset when that changes. */
export function progressOf(entry: Entry): Progress {
  if (entry.progress?.revision !== entry.revision)
    entry.progress = {
      revision: entry.revision,
      superseded: undefined,
      read: undefined,
      main: undefined,
      status: undefined,
      hasWritten: false,
    };
  return entry.progress;
}

/** It carries our mark and is not being deleted already. */
function isRemovable({ settings }: WriterState, object: KubernetesObject | undefined): object is KubernetesObject {
  return object !== undefined && carries(object, settings.mark) && object.metadata.deletionTimestamp === undefined;
}

function removal(state: WriterState, entry: Entry, progress: Progress): WriteCall | undefined {
  const { resource, name, observed } = entry;
  const { isListed } = state.resources.get(resource)!;
  if (observed !== undefined) return isRemovable(state, observed) ? deletion(resource, observed) : undefined;
  if (isListed || progress.hasWritten || !state.settings.adopts) return undefined;
  return { verb: 'delete', resource, name };
}

function deletion(resource: string, { metadata: { name, uid } }: KubernetesObject): WriteCall {
  return { verb: 'delete', resource, name, ...(uid !== undefined && { uid }) };
}

function application(state: WriterState, entry: Entry, desired: Desired, progress: Progress): WriteCall | undefined {
  const { resource, name, observed } = entry;
  const { apiVersion, kind, metadata, status, ...fields } = desired.object;
  const wanted = wantedOf(state, entry, desired);
  const is = observed && contentOf(observed, desired.object, state.owner);
  if (progress.main === undefined && is?.main !== wanted.main) {
    const body = { apiVersion, kind, metadata: fullMetadata(state, metadata), ...fields };
    return { verb: 'apply', resource, name, body };
  }
  if (status === undefined || progress.status !== undefined || is?.status === wanted.status) return undefined;
  const body = { apiVersion, kind, metadata: { name, namespace: state.settings.namespace }, status };
  return { verb: 'apply', resource, name, subresource: 'status', body };
}

function replacement(state: WriterState, entry: Entry, desired: Desired, progress: Progress): WriteCall | undefined {
  const { resource, name } = entry;
  if (progress.main !== undefined) return undefined;
  const { read } = progress;
  if (read === undefined) return { verb: 'read', resource, name };
  const { apiVersion, kind, metadata, status: _, ...fields } = desired.object;
  if (read === null) {
    const body = { apiVersion, kind, metadata: fullMetadata(state, metadata), ...fields };
    return { verb: 'create', resource, name, body };
  }
  if (contentOf(read, desired.object, state.owner).main === wantedOf(state, entry, desired).main) return undefined;
  return { verb: 'replace', resource, name, body: { apiVersion, kind, metadata: read.metadata, ...fields } };
}

/** The content as the server returned it from the last write of the same state: defaulting and pruning are not changes by others. */
function wantedOf(state: WriterState, entry: Entry, desired: Desired): Content {
  const isWritten = entry.written === entry.revision;
  return (isWritten ? entry.expected : undefined) ?? wantedContent(desired.object, state.owner);
}

function fullMetadata({ settings, owner }: WriterState, metadata: Desired['object']['metadata']): object {
  const { name, labels } = metadata;
  return {
    name,
    namespace: settings.namespace,
    ...(labels !== undefined && { labels }),
    ...(owner !== undefined && { ownerReferences: [owner] }),
  };
}
