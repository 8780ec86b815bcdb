/**
 * Where the write of one object's status stands: at most one is under way, and a failed write is retried.
 * @module
 */
import type { Millis } from '../machine.ts';

export type WriteState = (
  | { readonly kind: 'idle' }
  /** `against`: the resourceVersion that the write was made against. */
  | { readonly kind: 'under-way'; readonly against: string | undefined }
  | { readonly kind: 'backing-off'; readonly until: Millis }
) & {
  /** Failures since the last success. */
  readonly failures: number;
};

/** The first and the longest pause before a retry, in milliseconds; each pause is twice as long as the last. */
const RETRY = { first: 100, longest: 10_000 };

export const NO_WRITE: WriteState = { kind: 'idle', failures: 0 };

export function begun({ failures }: WriteState, against: string | undefined): WriteState {
  return { kind: 'under-way', against, failures };
}

/** `status`: of the HTTP answer; 0: there was none. */
export function failed({ failures }: WriteState, status: number, now: Millis): WriteState {
  // 404: the object is gone; the watch will report its deletion.
  if (status === 404) return NO_WRITE;
  // 409: somebody else wrote first. The watch reports their change soon; the server is healthy, so the pause is short.
  const count = status === 409 ? 1 : failures + 1;
  return { kind: 'backing-off', until: now + Math.min(RETRY.first * 2 ** (count - 1), RETRY.longest), failures: count };
}

/** Not before then, though nothing has failed. */
export function postponed(until: Millis): WriteState {
  return { kind: 'backing-off', until, failures: 0 };
}

/** The pause is over. The failures still count, so that the next pause is longer. */
export function resumed({ failures }: WriteState): WriteState {
  return { kind: 'idle', failures };
}

/** There is nothing left to write; a write in flight will still be answered. */
export function settled(write: WriteState): WriteState {
  return write.kind === 'under-way' ? { ...write, failures: 0 } : NO_WRITE;
}
