/**
 * What a writer knows of each object, of each resource, and of the API server.
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
  /** `apply`: what we say holds, what others say besides stays. `replace`: the whole spec is ours, whoever wrote into it. */
  readonly mode: 'apply' | 'replace';
  /** All of our objects carry these labels. Empty: nothing tells ours from others', and nothing is swept. */
  readonly mark: Labels;
  /** False: an object of the name that does not carry the mark is somebody else's and is left alone. */
  readonly adopts: boolean;
  /** The objects have an owner, which has to be read first. */
  readonly isOwned: boolean;
  /** Requests under way at once. */
  readonly limit: number;
  /** From the first change of an object until it is written: more of them often come together. */
  readonly gather: Millis;
  /** Where the jitter begins: two processes with the same seed retry in step. */
  readonly seed: number;
}

export interface WrittenKind {
  readonly resource: string;
  /** False: somebody else watches the resource for us. */
  readonly isWatchedByUs: boolean;
  /** What is said once when the cluster does not have the kind. */
  readonly whenMissing: string;
}

/** What is known of a whole resource. Its objects are written once it is `open`. */
export type View =
  | { readonly kind: 'closed' }
  /** It is to be asked for; `suspicion` is the refusal that made us doubt that the kind is there. */
  | { readonly kind: 'look'; readonly isUnderWay: boolean; readonly suspicion?: string }
  /** Writing waits a moment for the list: what is right already need not be written. */
  | { readonly kind: 'listing'; readonly until: Millis }
  | { readonly kind: 'open' }
  | { readonly kind: 'missing'; readonly until: Millis };

export interface Resource {
  readonly settings: WrittenKind;
  view: View;
  /** What there is of it is known. */
  isListed: boolean;
  isWatched: boolean;
  /** Keys of objects that wait for the view to open. */
  readonly blocked: Set<string>;
  /** Looks since the last write that went well. */
  looks: number;
  isSaidMissing: boolean;
}

export type Task =
  | { readonly kind: 'rest' }
  | { readonly kind: 'waiting'; readonly at: Millis; readonly why: 'gather' | 'retry' | 'correction' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'busy' };

/** What of the newest desired state has been done. */
export interface Progress {
  readonly revision: number;
  /** Objects that have to go first; undefined: they are not known yet. */
  superseded: readonly KubernetesObject[] | undefined;
  /** The object as it was read, for `replace`; null: there is none. */
  read: KubernetesObject | null | undefined;
  /** Our content as the server answered: undefined until that part has been written. */
  main: string | undefined;
  status: string | undefined;
  hasWritten: boolean;
}

export interface Entry {
  readonly resource: string;
  readonly name: string;
  desired: Desired | undefined;
  /** Goes up with every new desired state. */
  revision: number;
  /** The revision that has been written. */
  written: number | undefined;
  /** Our content of the object, as the server answered our last write: it may default and prune. */
  expected: Content | undefined;
  /** The object as we last saw it, by watch or by answer. */
  observed: KubernetesObject | undefined;
  task: Task;
  progress: Progress | undefined;
  failures: number;
  lastWrite: Millis | undefined;
  /** How often in a row it had to be put right after others. */
  corrections: number;
  isFightSaid: boolean;
}

export interface Request {
  readonly call: WriteCall;
  /** Of the object that it is for, and which desired state; undefined for looks and the owner. */
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
  /** Keys of objects whose time has not come. */
  readonly waiting: Set<string>;
  /** None of them is due earlier than this. */
  earliestWait: Millis | undefined;
  readonly underWay: Map<number, Request>;
  nextId: number;
  owner: OwnerReference | undefined;
  /** Failures of the server as a whole in a row; nothing is sent until then, and one request at a time until one goes well. */
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

/** From 0 up to, but not including, 1: retries of many processes are to spread, no more. */
export function nextRandom(state: WriterState): number {
  state.random = randomAfter(state.random);
  return fractionOf(state.random);
}
