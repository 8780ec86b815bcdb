/**
 * Observed changes of objects: those by others are corrected, less and less often if they go on.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { Millis } from '../../machine.ts';
import { entryOf, open, rest, wait } from './agenda.ts';
import { isDrifted, missed, observe } from './calls.ts';
import { carries } from './content.ts';
import type { WriterInput, WriterOutput } from './messages.ts';
import { type Entry, keyOf, nextRandom, type WriterState } from './state.ts';

/** Delay of a correction, in milliseconds: the cause of the change may be about to change the desired state too. */
const SETTLE: Millis = 1000;
/** First and longest pause from our last write to a correction, in milliseconds; it doubles as long as others keep changing the object. */
const CORRECTION = { first: 5000, longest: 300_000 };
/** Consecutive corrections after which the conflict is reported. */
const FIGHT = 3;
/** Milliseconds without a correction after which a conflict is over. */
const PEACE = 2 * CORRECTION.longest;

export function onList(
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

export function onEvent(
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

/** Records an object that carries our mark or has an entry. */
function see(state: WriterState, resource: string, object: KubernetesObject): void {
  const { name } = object.metadata;
  const { mark } = state.settings;
  const isOurs = Object.keys(mark).length > 0 && carries(object, mark);
  if (isOurs || state.entries.has(keyOf({ resource, name }))) observe(entryOf(state, { resource, name }), object);
}

/** Schedules a correction of an object if it has drifted, or cancels one. */
export function judge(state: WriterState, entry: Entry, now: Millis): void {
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

export function countCorrection(state: WriterState, entry: Entry, outputs: WriterOutput[]): void {
  entry.corrections++;
  if (entry.corrections < FIGHT || entry.isFightSaid) return;
  entry.isFightSaid = true;
  const { resource, name } = entry;
  const what = entry.desired?.object.kind ?? resource;
  const seconds = Math.round(correctionPause(entry) / 1000);
  const message = `${what} ${state.settings.namespace}/${name} keeps being changed by another client; it is corrected, but at most every ${seconds} s`;
  outputs.push({ kind: 'trouble', what: 'contested', resource, name, message });
}
