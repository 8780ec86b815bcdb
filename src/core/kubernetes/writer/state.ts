/**
 * The state of the writer machine: objects, resources, and the API server.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { Millis } from '../../machine.ts';
import { fractionOf, nextRandom as randomAfter, randomFrom } from '../../random.ts';
import type { Content } from './content.ts';
import type { Desired, Labels, OwnerReference, WriteCall } from './messages.ts';

export interface WriterSettings {
  readonly resources: readonly WrittenKind[];
  readonly namespace: string;
  /** `apply`: only our fields are set, those of others stay. `replace`: the whole spec is overwritten. */
  readonly mode: 'apply' | 'replace';
  /** The labels of all our objects. Empty: they cannot be told from others', and nothing is swept. */
  readonly mark: Labels;
  /** False: an object of the same name without the mark is left alone. */
  readonly adopts: boolean;
  /** The objects are owned by our Pod, which has to be read first. */
  readonly isOwned: boolean;
  /** Limit of concurrent requests. */
  readonly limit: number;
  /** Delay from the first change of an object until it is written, because changes often come in groups. */
  readonly gather: Millis;
  /** Seed of the jitter: two processes with the same seed retry in step. */
  readonly seed: number;
}

export interface WrittenKind {
  readonly resource: string;
  /** False: the process watches the resource itself and feeds its changes. */
  readonly isWatchedByUs: boolean;
  /** The message, output once, when the cluster does not have the kind. */
  readonly whenMissing: string;
}

/** Whether objects of a resource can be written: only while it is `open`. */
export type View =
  | { readonly kind: 'closed' }
  /** To be probed; `suspicion` is the error response that made us doubt that the kind exists. */
  | { readonly kind: 'look'; readonly isUnderWay: boolean; readonly suspicion?: string }
  /** Waiting for the list, because objects that are up to date need not be written. */
  | { readonly kind: 'listing'; readonly until: Millis }
  | { readonly kind: 'open' }
  | { readonly kind: 'missing'; readonly until: Millis };

export interface Resource {
  readonly settings: WrittenKind;
  view: View;
  /** Its objects have been listed. */
  isListed: boolean;
  isWatched: boolean;
  /** Keys of objects that are to be written once the resource is open. */
  readonly blocked: Set<string>;
  /** Probes since the last successful write. */
  looks: number;
  isSaidMissing: boolean;
}

export type Task =
  | { readonly kind: 'rest' }
  | { readonly kind: 'waiting'; readonly at: Millis; readonly why: 'gather' | 'retry' | 'correction' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'busy' };

/** The progress towards the newest desired state. */
export interface Progress {
  readonly revision: number;
  /** Objects to be deleted first; undefined: not listed yet. */
  superseded: readonly KubernetesObject[] | undefined;
  /** The object as it was read, for `replace`; null: it does not exist. */
  read: KubernetesObject | null | undefined;
  /** Our content as the server returned it; undefined until that part has been written. */
  main: string | undefined;
  status: string | undefined;
  hasWritten: boolean;
}

export interface Entry {
  readonly resource: string;
  readonly name: string;
  desired: Desired | undefined;
  /** The number of desired states so far. */
  revision: number;
  /** The revision that has been written. */
  written: number | undefined;
  /** Our content as the server returned it from the last write, after defaulting and pruning. */
  expected: Content | undefined;
  /** The latest known state of the object, from the watch or a response. */
  observed: KubernetesObject | undefined;
  /** The newest version at which it was not there, as far as we know. */
  goneAt: string | undefined;
  task: Task;
  progress: Progress | undefined;
  failures: number;
  lastWrite: Millis | undefined;
  /** Consecutive corrections of changes by others. */
  corrections: number;
  isFightSaid: boolean;
}

export interface Request {
  readonly call: WriteCall;
  /** Key and revision of the object that it is for; undefined for probes and the owner. */
  readonly key: string | undefined;
  readonly revision: number | undefined;
}

/** Owned by the machine and changed in place. */
export interface WriterState {
  readonly settings: WriterSettings;
  readonly resources: ReadonlyMap<string, Resource>;
  readonly entries: Map<string, Entry>;
  /** Keys of objects to be written next, oldest first. */
  readonly ready: Set<string>;
  /** Keys of objects that are scheduled for later. */
  readonly waiting: Set<string>;
  /** A lower bound of their due times. */
  earliestWait: Millis | undefined;
  readonly underWay: Map<number, Request>;
  nextId: number;
  owner: OwnerReference | undefined;
  /** Consecutive failures that concern all requests; nothing is sent before `pausedUntil`, then one request at a time until one succeeds. */
  readonly server: { failures: number; pausedUntil: Millis | undefined; countedFrom: number };
  isSwept: boolean;
  phase: 'new' | 'running' | 'stopping' | 'stopped';
  stopBy: Millis | undefined;
  random: number;
}

export function initialWriter(settings: WriterSettings): WriterState {
  return {
    settings,
    resources: new Map(
      settings.resources.map((kind): [string, Resource] => [
        kind.resource,
        {
          settings: kind,
          view: { kind: 'closed' },
          isListed: false,
          isWatched: false,
          blocked: new Set(),
          looks: 0,
          isSaidMissing: false,
        },
      ]),
    ),
    entries: new Map(),
    ready: new Set(),
    waiting: new Set(),
    earliestWait: undefined,
    underWay: new Map(),
    nextId: 1,
    owner: undefined,
    server: { failures: 0, pausedUntil: undefined, countedFrom: 0 },
    isSwept: false,
    phase: 'new',
    stopBy: undefined,
    random: randomFrom(settings.seed),
  };
}

export function keyOf({ resource, name }: { readonly resource: string; readonly name: string }): string {
  return `${resource}/${name}`;
}

/** From 0 to less than 1, for jitter. */
export function nextRandom(state: WriterState): number {
  state.random = randomAfter(state.random);
  return fractionOf(state.random);
}
