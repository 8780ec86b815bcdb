/**
 * List and watch of one resource as an explicit machine (Kubernetes API concepts, "Efficient detection of changes"):
 *
 *   waiting -> listing (page after page) -> connecting -> watching -> connecting …
 *                 ^------------- 410 Gone, or an event that cannot be followed ----'
 *
 * The consumer first gets `replaced` with the whole list at once, then `applied` and `deleted` one by one; after a
 * re-list it gets `replaced` again, and `interrupted` as soon as it is clear that there will be one. A watch that ends resumes where it was. One
 * that fails does so too, or costs a new list, as its consumer wishes; 410 always does.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { Deadline, Machine, Millis } from '../../machine.ts';
import { nextRandom, randomFrom } from '../../random.ts';
import { type BackOff, pauseAfter } from '../back-off.ts';

/** Objects in one page of a list: the server's recommendation for large collections. */
export const PAGE_SIZE = 500;
/** Seconds after which the server is asked to end a watch, so that a dead connection cannot last. */
export const WATCH_SECONDS = 290;
/** Timeout of a page of a list, and of the response headers of a watch, in milliseconds. */
const ANSWER_WITHIN = 30_000;
/**
 * Silence after which a watch counts as half-open, in milliseconds: the server should have ended it by then. TCP keepalive (see the client)
 * detects a dead host earlier; this is for a server that hangs while its kernel still answers, or for a proxy that answers in its place.
 */
const HALF_OPEN_AFTER = (WATCH_SECONDS + 10) * 1000;
/** A watch that ends sooner than this without an event counts as failed, in milliseconds. */
const SHORTEST_WATCH = 1000;
/** After a failed request. */
const BACK_OFF: BackOff = { first: 200, longest: 30_000 };
/** After a watch that opens and ends at once: the server is up, so the pauses are shorter. */
const SHORT_WATCH_BACK_OFF: BackOff = { first: 200, longest: 5000 };

type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly until: Millis; readonly next: 'list' | 'watch' }
  | { readonly kind: 'listing'; readonly since: Millis; readonly items: readonly KubernetesObject[] }
  | { readonly kind: 'connecting'; readonly since: Millis }
  | { readonly kind: 'watching'; readonly openedAt: Millis; readonly lastHeard: Millis };

/**
 * What follows when a watch fails. A watch that is resumed brings what was missed, but does not say when it has brought it all; after a list all is
 * known.
 */
export type AfterFailure = 'resume' | 'list';

export interface ReflectorState {
  readonly afterFailure: AfterFailure;
  readonly phase: Phase;
  /** Where to resume; undefined before the first complete list. */
  readonly resourceVersion: string | undefined;
  /** Consecutive requests that failed or got no answer. */
  readonly failures: number;
  /** Consecutive watches that ended at once. */
  readonly shortWatches: number;
  /** State of the pseudo-random jitter of pauses. */
  readonly random: number;
  /** Number of the latest request: answers to earlier, abandoned ones are ignored. */
  readonly request: number;
}

/** Every answer carries the number of the request that it answers. */
export type ReflectorInput =
  | { readonly kind: 'start' }
  /** List again: the consumer must not work on data that may be stale. */
  | { readonly kind: 'relist' }
  | {
      readonly kind: 'page-received';
      readonly request: number;
      readonly items: readonly KubernetesObject[];
      readonly resourceVersion: string;
      readonly continue?: string;
    }
  | { readonly kind: 'watch-opened'; readonly request: number }
  | {
      readonly kind: 'event-received';
      readonly request: number;
      readonly type: string;
      readonly object: KubernetesObject;
    }
  | { readonly kind: 'watch-closed'; readonly request: number }
  | { readonly kind: 'failed'; readonly request: number; readonly status: number; readonly message: string };

export type ReflectorOutput =
  | { readonly kind: 'list'; readonly request: number; readonly limit: number; readonly continue?: string }
  | {
      readonly kind: 'watch';
      readonly request: number;
      readonly resourceVersion: string;
      readonly timeoutSeconds: number;
    }
  | { readonly kind: 'abandon'; readonly request: number }
  /** What has been told may be out of date, and the next thing to be told is all of it (`replaced`). */
  | { readonly kind: 'interrupted' }
  /** `version`: of the list. */
  | { readonly kind: 'replaced'; readonly objects: readonly KubernetesObject[]; readonly version: string }
  | { readonly kind: 'applied'; readonly object: KubernetesObject }
  | { readonly kind: 'deleted'; readonly object: KubernetesObject }
  | {
      readonly kind: 'reported';
      readonly what: 'list-failed' | 'watch-failed' | 'expired' | 'half-open';
      readonly message: string;
    };

/** `seed`: two reflectors with the same one retry in step. */
export function initialReflector(seed: number, afterFailure: AfterFailure = 'resume'): ReflectorState {
  return {
    afterFailure,
    phase: { kind: 'idle' },
    resourceVersion: undefined,
    failures: 0,
    shortWatches: 0,
    random: randomFrom(seed),
    request: 0,
  };
}

type Outcome = { readonly next: ReflectorState; readonly outputs: readonly ReflectorOutput[] };

export const reflectorMachine: Machine<ReflectorState, ReflectorInput, ReflectorOutput> = {
  step(state, input, now) {
    if (input.kind === 'start') return list(state, now);
    if (input.kind === 'tick') return onTick(state, now);
    if (input.kind === 'relist') {
      const { next, outputs } = list(state, now);
      return { next, outputs: [{ kind: 'abandon', request: state.request }, ...outputs] };
    }
    if (input.request !== state.request) return { next: state, outputs: [] };
    switch (input.kind) {
      case 'page-received':
        return onPage(state, input, now);
      case 'watch-opened':
        return {
          next: { ...state, failures: 0, phase: { kind: 'watching', openedAt: now, lastHeard: now } },
          outputs: [],
        };
      case 'event-received':
        return onEvent(state, input.type, input.object, now);
      case 'watch-closed':
        return onClosed(state, now);
      case 'failed':
        return onFailure(state, input.status, input.message, now);
    }
  },
  nextDeadline({ phase }): Deadline | undefined {
    switch (phase.kind) {
      case 'idle':
        return undefined;
      case 'waiting':
        return { at: phase.until, why: `retry of ${phase.next}` };
      case 'listing':
        return { at: phase.since + ANSWER_WITHIN, why: 'list is not answered' };
      case 'connecting':
        return { at: phase.since + ANSWER_WITHIN, why: 'watch does not open' };
      case 'watching':
        return { at: phase.lastHeard + HALF_OPEN_AFTER, why: 'watch has gone silent' };
    }
  },
};

/** True once the whole collection has been seen. */
export function isSynced(state: ReflectorState): boolean {
  return state.resourceVersion !== undefined;
}

function list(state: ReflectorState, now: Millis, token?: string, items: readonly KubernetesObject[] = []): Outcome {
  const request = state.request + 1;
  const output = { kind: 'list', request, limit: PAGE_SIZE, ...(token !== undefined && { continue: token }) } as const;
  return { next: { ...state, request, phase: { kind: 'listing', since: now, items } }, outputs: [output] };
}

function watch(state: ReflectorState, now: Millis): Outcome {
  const request = state.request + 1;
  return {
    next: { ...state, request, phase: { kind: 'connecting', since: now } },
    outputs: [{ kind: 'watch', request, resourceVersion: state.resourceVersion!, timeoutSeconds: WATCH_SECONDS }],
  };
}

function onPage(state: ReflectorState, page: Extract<ReflectorInput, { kind: 'page-received' }>, now: Millis): Outcome {
  if (state.phase.kind !== 'listing') return { next: state, outputs: [] };
  const items = [...state.phase.items, ...page.items];
  if (page.continue !== undefined && page.continue !== '') return list(state, now, page.continue, items);
  const watched = watch({ ...state, resourceVersion: page.resourceVersion, failures: 0 }, now);
  return {
    next: watched.next,
    outputs: [{ kind: 'replaced', objects: items, version: page.resourceVersion }, ...watched.outputs],
  };
}

function onEvent(state: ReflectorState, type: string, object: KubernetesObject, now: Millis): Outcome {
  if (type === 'ERROR') {
    const { code = 500, message = 'the watch reported an error' } = object as { code?: number; message?: string };
    return onFailure(state, code, message, now);
  }
  const resourceVersion = object.metadata.resourceVersion ?? state.resourceVersion;
  const openedAt = state.phase.kind === 'watching' ? state.phase.openedAt : now;
  const next: ReflectorState = {
    ...state,
    resourceVersion,
    failures: 0,
    shortWatches: 0,
    phase: { kind: 'watching', openedAt, lastHeard: now },
  };
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      return { next, outputs: [{ kind: 'applied', object }] };
    case 'DELETED':
      return { next, outputs: [{ kind: 'deleted', object }] };
    default:
      return { next, outputs: [] }; // BOOKMARK: only the resourceVersion counts.
  }
}

/** Every watch is closed by the server at some point. One that closes at once counts as a failure: we would retry in a tight loop. */
function onClosed(state: ReflectorState, now: Millis): Outcome {
  return hasLasted(state.phase, now)
    ? watch({ ...state, shortWatches: 0 }, now)
    : onFailure(state, 0, 'the watch was closed at once', now);
}

function hasLasted(phase: Phase, now: Millis): boolean {
  return phase.kind === 'watching' && (now - phase.openedAt >= SHORTEST_WATCH || phase.lastHeard > phase.openedAt);
}

function onFailure(state: ReflectorState, status: number, message: string, now: Millis): Outcome {
  const { phase, failures, resourceVersion, request } = state;
  const abandon = { kind: 'abandon', request } as const;
  const isListing = phase.kind === 'listing';
  const isWatching = phase.kind === 'watching';
  // A watch that has lasted shows that the server is back: earlier failures no longer lengthen the pause.
  const shortWatches = hasLasted(phase, now) ? 0 : state.shortWatches;
  const setbacks = failures + shortWatches;
  const counted = {
    ...state,
    failures: isWatching ? failures : failures + 1,
    shortWatches: isWatching && !hasLasted(phase, now) ? shortWatches + 1 : shortWatches,
  };
  // 410 on a watch: our resourceVersion is too old to resume from. 410 on a list: its continue token has expired.
  if (status === 410 && setbacks === 0) {
    const relisted = list(counted, now);
    return {
      next: relisted.next,
      outputs: [abandon, { kind: 'reported', what: 'expired', message }, ...interruption(state), ...relisted.outputs],
    };
  }
  const random = nextRandom(state.random);
  const until = now + pauseAfter(isWatching ? SHORT_WATCH_BACK_OFF : BACK_OFF, setbacks, random);
  const mustList = isListing || resourceVersion === undefined || status === 410 || state.afterFailure === 'list';
  return {
    next: {
      ...counted,
      random,
      request: request + 1,
      phase: { kind: 'waiting', until, next: mustList ? 'list' : 'watch' },
    },
    outputs: [
      abandon,
      { kind: 'reported', what: isListing ? 'list-failed' : 'watch-failed', message },
      ...(mustList ? interruption(state) : []),
    ],
  };
}

/** Nothing is interrupted before the first list, and it is told once. */
function interruption({ phase, resourceVersion }: ReflectorState): ReflectorOutput[] {
  return phase.kind === 'listing' || resourceVersion === undefined ? [] : [{ kind: 'interrupted' }];
}

function onTick(state: ReflectorState, now: Millis): Outcome {
  const { phase } = state;
  const due = reflectorMachine.nextDeadline(state);
  if (due === undefined || now < due.at) return { next: state, outputs: [] };
  switch (phase.kind) {
    case 'waiting':
      return phase.next === 'list' ? list(state, now) : watch(state, now);
    case 'watching': {
      const silence = `nothing heard for ${(now - phase.lastHeard) / 1000} s`;
      const mustList = state.afterFailure === 'list';
      const { next, outputs } = mustList ? list(state, now) : watch(state, now);
      const abandon = { kind: 'abandon', request: state.request } as const;
      const reported = { kind: 'reported', what: 'half-open', message: silence } as const;
      return { next, outputs: [abandon, reported, ...(mustList ? interruption(state) : []), ...outputs] };
    }
    default:
      return onFailure(state, 0, `no answer for ${ANSWER_WITHIN / 1000} s`, now);
  }
}
