/**
 * List and watch of one resource as an explicit machine (Kubernetes API concepts, "Efficient detection of changes"):
 *
 *   waiting -> listing (page after page) -> connecting -> watching -> connecting …
 *                 ^------------- 410 Gone, or an event that cannot be followed ----'
 *
 * The consumer first gets `replaced` with the whole list at once, then `applied` and `deleted` one by one; after a
 * re-list it gets `replaced` again. A broken watch resumes where it was; only 410 costs a new list.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { Deadline, Machine, Millis } from '../../machine.ts';

/** Objects in one page of a list: the server's recommendation for large collections. */
export const PAGE_SIZE = 500;
/** Seconds after which the server is asked to end a watch, so that a dead connection cannot last. */
export const WATCH_SECONDS = 290;
/** Silence after which a watch counts as half-open. Real servers send bookmarks every minute; the timeout above ends it before. */
const HALF_OPEN_AFTER = (WATCH_SECONDS + 10) * 1000;
/** A watch that was shorter than this and brought nothing was no watch, in milliseconds. */
const SHORTEST_WATCH = 1000;
/** First and longest pause after a failure, in milliseconds. */
const BACKOFF = { first: 200, longest: 30_000 };

type Phase =
  | { readonly kind: 'waiting'; readonly until: Millis; readonly next: 'list' | 'watch' }
  | { readonly kind: 'listing'; readonly items: readonly KubernetesObject[] }
  | { readonly kind: 'connecting'; readonly since: Millis }
  | { readonly kind: 'watching'; readonly openedAt: Millis; readonly lastHeard: Millis };

export interface ReflectorState {
  readonly phase: Phase;
  /** Where to resume; undefined before the first complete list. */
  readonly resourceVersion: string | undefined;
  readonly failures: number;
  /** Goes up with every request, so that answers to an abandoned one are not taken for the current one's. */
  readonly request: number;
}

/** Every answer carries the number of the request that it answers. */
export type ReflectorInput =
  | { readonly kind: 'start' }
  /** What is known may be behind, and somebody cannot have that: list again. */
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
  | { readonly kind: 'replaced'; readonly objects: readonly KubernetesObject[] }
  | { readonly kind: 'applied'; readonly object: KubernetesObject }
  | { readonly kind: 'deleted'; readonly object: KubernetesObject }
  | {
      readonly kind: 'reported';
      readonly what: 'list-failed' | 'watch-failed' | 'expired' | 'half-open';
      readonly message: string;
    };

export const INITIAL_REFLECTOR: ReflectorState = {
  phase: { kind: 'waiting', until: Number.POSITIVE_INFINITY, next: 'list' },
  resourceVersion: undefined,
  failures: 0,
  request: 0,
};

type Outcome = { readonly next: ReflectorState; readonly outputs: readonly ReflectorOutput[] };

export const reflectorMachine: Machine<ReflectorState, ReflectorInput, ReflectorOutput> = {
  step(state, input, now) {
    if (input.kind === 'start') return list(state);
    if (input.kind === 'tick') return onTick(state, now);
    if (input.kind === 'relist') {
      const { next, outputs } = list(state);
      return { next, outputs: [{ kind: 'abandon', request: state.request }, ...outputs] };
    }
    if (input.request !== state.request) return { next: state, outputs: [] };
    switch (input.kind) {
      case 'page-received':
        return onPage(state, input, now);
      case 'watch-opened':
        return { next: { ...state, phase: { kind: 'watching', openedAt: now, lastHeard: now } }, outputs: [] };
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
      case 'waiting':
        return phase.until === Number.POSITIVE_INFINITY
          ? undefined
          : { at: phase.until, why: `retry of ${phase.next}` };
      case 'listing':
        return undefined;
      case 'connecting':
        return { at: phase.since + HALF_OPEN_AFTER, why: 'watch does not open' };
      case 'watching':
        return { at: phase.lastHeard + HALF_OPEN_AFTER, why: 'watch has gone silent' };
    }
  },
};

/** True once the whole collection has been seen. */
export function isSynced(state: ReflectorState): boolean {
  return state.resourceVersion !== undefined;
}

function list(state: ReflectorState, token?: string, items: readonly KubernetesObject[] = []): Outcome {
  const request = state.request + 1;
  const output = { kind: 'list', request, limit: PAGE_SIZE, ...(token !== undefined && { continue: token }) } as const;
  return { next: { ...state, request, phase: { kind: 'listing', items } }, outputs: [output] };
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
  if (page.continue !== undefined && page.continue !== '') return list(state, page.continue, items);
  const watched = watch({ ...state, resourceVersion: page.resourceVersion, failures: 0 }, now);
  return { next: watched.next, outputs: [{ kind: 'replaced', objects: items }, ...watched.outputs] };
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

/** The server ends every watch in the end. One that ends at once would make us ask without pause: that is a failure. */
function onClosed(state: ReflectorState, now: Millis): Outcome {
  const { phase } = state;
  const lasted =
    phase.kind === 'watching' && (now - phase.openedAt >= SHORTEST_WATCH || phase.lastHeard > phase.openedAt);
  return lasted ? watch({ ...state, failures: 0 }, now) : onFailure(state, 0, 'the watch was closed at once', now);
}

function onFailure(state: ReflectorState, status: number, message: string, now: Millis): Outcome {
  const abandon = { kind: 'abandon', request: state.request } as const;
  const listing = state.phase.kind === 'listing';
  // 410 while watching: what we know is too old to follow. 410 while paging: the pages' snapshot is gone.
  if (status === 410) {
    const relisted = list({ ...state, failures: state.failures + 1 });
    if (state.failures === 0)
      return {
        next: relisted.next,
        outputs: [abandon, { kind: 'reported', what: 'expired', message }, ...relisted.outputs],
      };
  }
  const until = now + Math.min(BACKOFF.first * 2 ** state.failures, BACKOFF.longest);
  const next = listing || state.resourceVersion === undefined || status === 410 ? 'list' : 'watch';
  return {
    next: {
      ...state,
      failures: state.failures + 1,
      request: state.request + 1,
      phase: { kind: 'waiting', until, next },
    },
    outputs: [abandon, { kind: 'reported', what: listing ? 'list-failed' : 'watch-failed', message }],
  };
}

function onTick(state: ReflectorState, now: Millis): Outcome {
  const { phase } = state;
  if (phase.kind === 'waiting' && now >= phase.until) return phase.next === 'list' ? list(state) : watch(state, now);
  const since =
    phase.kind === 'watching' ? phase.lastHeard : phase.kind === 'connecting' ? phase.since : Number.POSITIVE_INFINITY;
  if (now < since + HALF_OPEN_AFTER) return { next: state, outputs: [] };
  const silent: ReflectorOutput[] = [
    { kind: 'abandon', request: state.request },
    { kind: 'reported', what: 'half-open', message: `nothing heard for ${(now - since) / 1000} s` },
  ];
  const resumed = watch(state, now);
  return { next: resumed.next, outputs: [...silent, ...resumed.outputs] };
}
