/**
 * What is seen of objects, and what is done about it: what others change or delete is put right, less and less often for whoever goes on.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { Millis } from '../../machine.ts';
import { entryOf, open, rest, wait } from './agenda.ts';
import { isDrifted, missed, observe } from './calls.ts';
import { carries } from './content.ts';
import type { WriterInput, WriterOutput } from './messages.ts';
import { type Entry, keyOf, nextRandom, type WriterState } from './state.ts';

/** From seeing that an object was changed by others until it is put right: whoever changes it may be about to tell us why. */
const SETTLE: Millis = 1000;
/** First and longest pause between our last write and putting the object right; it doubles as long as others keep changing it. */
const CORRECTION = { first: 5000, longest: 300_000 };
/** Corrections in a row that are worth a word. */
const FIGHT = 3;
/** Milliseconds without a correction after which a fight is over. */
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

/** Takes in what is there, if it is of any interest to us. */
function see(state: WriterState, resource: string, object: KubernetesObject): void {
  const { name } = object.metadata;
  const { mark } = state.settings;
  const isOurs = Object.keys(mark).length > 0 && carries(object, mark);
  if (isOurs || state.entries.has(keyOf({ resource, name }))) observe(entryOf(state, { resource, name }), object);
}

/** After something was seen of an object: is it to be put right? */
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
  const message = `${what} ${state.settings.namespace}/${name} is changed by somebody else again and again; it is put right, but no sooner than ${seconds} s after the last time`;
  outputs.push({ kind: 'trouble', what: 'contested', resource, name, message });
}
