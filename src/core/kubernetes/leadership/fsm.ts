/**
 * Leader election by a Lease, as Kubernetes' own components do it: the holder renews it. The others measure by their own
 * clocks (so clocks need not agree) how long it has not been renewed, and take it once that exceeds its duration.
 * @module
 */
import { type Deadline, deadline, earliest, isDue, type Machine, type Millis } from '../../machine.ts';
import type { LeaseRecord } from './messages.ts';

/** Milliseconds; the values that Kubernetes' own components use. */
export const LEASE_DURATION = 15_000;
/** A leader that could not renew for this long steps down, before any other process may take the Lease. */
export const RENEW_DEADLINE = 10_000;
export const RETRY_PERIOD = 2_000;

export interface LeadershipState {
  readonly identity: string;
  readonly role: 'standby' | 'leading' | 'ended';
  /** The Lease as last read, and when we saw it change. */
  readonly seen: { readonly record: LeaseRecord | undefined; readonly at: Millis } | undefined;
  /** When the last successful renewal was sent: others may count the duration from then on. */
  readonly lastRenewed: Millis;
  /** When the write in flight was sent. */
  readonly sentAt: Millis;
  /** When to read the Lease next; undefined: not started yet. */
  readonly nextTry: Millis | undefined;
  /** A request is in flight. */
  readonly busy: boolean;
}

export type LeadershipInput =
  | { readonly kind: 'start' }
  /** The answer to `read-lease`; undefined: there is no Lease yet. */
  | { readonly kind: 'lease-read'; readonly record: LeaseRecord | undefined }
  | { readonly kind: 'lease-written'; readonly record: LeaseRecord }
  | { readonly kind: 'request-failed'; readonly message: string }
  /** The process is shutting down: releases the Lease, so that another can lead at once. */
  | { readonly kind: 'resign' };

export type LeadershipOutput =
  | { readonly kind: 'read-lease' }
  /** Creates the Lease if `version` is undefined. */
  | {
      readonly kind: 'write-lease';
      readonly holder: string;
      readonly transitions: number;
      readonly version: string | undefined;
    }
  | { readonly kind: 'lead' }
  | { readonly kind: 'step-down'; readonly why: string };

export function initialLeadership(identity: string): LeadershipState {
  return {
    identity,
    role: 'standby',
    seen: undefined,
    lastRenewed: 0,
    sentAt: 0,
    nextTry: undefined,
    busy: false,
  };
}

type Outcome = { readonly next: LeadershipState; readonly outputs: readonly LeadershipOutput[] };

export const leadershipMachine: Machine<LeadershipState, LeadershipInput, LeadershipOutput> = {
  step(state, input, now) {
    if (state.role === 'ended') return { next: state, outputs: [] };
    switch (input.kind) {
      case 'start':
        return ask(state, now);
      case 'lease-read':
        return onRead(state, input.record, now);
      case 'lease-written':
        return onWritten(state, input.record, now);
      case 'request-failed':
        return checkDeadline({ ...state, busy: false }, now);
      case 'resign':
        return resign(state);
      case 'tick':
        return !state.busy && isDue(state.nextTry, now) ? ask(state, now) : checkDeadline(state, now);
    }
  },
  nextDeadline({ role, busy, nextTry, lastRenewed }): Deadline | undefined {
    if (role === 'ended') return undefined;
    const look = busy ? undefined : deadline(nextTry, 'look at the lease');
    const renew =
      role === 'leading' ? deadline(lastRenewed + RENEW_DEADLINE, 'the lease has to be renewed') : undefined;
    return earliest([look, renew]);
  },
};

function ask(state: LeadershipState, now: Millis): Outcome {
  const checked = checkDeadline(state, now);
  if (checked.next.role === 'ended') return checked;
  return { next: { ...state, busy: true, nextTry: now + RETRY_PERIOD }, outputs: [{ kind: 'read-lease' }] };
}

function onRead(state: LeadershipState, record: LeaseRecord | undefined, now: Millis): Outcome {
  const changed = state.seen === undefined || state.seen.record?.version !== record?.version;
  const seen = changed ? { record, at: now } : state.seen!;
  const next = { ...state, seen, busy: false };
  if (record !== undefined && record.holder !== state.identity) {
    if (state.role === 'leading')
      return {
        next: { ...next, role: 'ended' },
        outputs: [{ kind: 'step-down', why: `${record.holder || 'nobody'} holds the lease now` }],
      };
    const isFree = record.holder === '' || now - seen.at >= LEASE_DURATION;
    if (!isFree) return { next, outputs: [] };
  }
  const transitions = record === undefined ? 0 : record.transitions + (record.holder === state.identity ? 0 : 1);
  return {
    next: { ...next, busy: true, sentAt: now },
    outputs: [{ kind: 'write-lease', holder: state.identity, transitions, version: record?.version }],
  };
}

function onWritten(state: LeadershipState, record: LeaseRecord, now: Millis): Outcome {
  const seen = { record, at: now };
  const next: LeadershipState = { ...state, busy: false, lastRenewed: state.sentAt, seen };
  // After this long, success only proves that we held the Lease at some point, not that we still do.
  if (now - state.sentAt >= RENEW_DEADLINE)
    return state.role === 'leading' ? checkDeadline(next, now) : { next, outputs: [] };
  return { next: { ...next, role: 'leading' }, outputs: state.role === 'leading' ? [] : [{ kind: 'lead' }] };
}

/** True while no other process can lead. Check before every write: the process may have been suspended since its last step. */
export function holdsLease(state: LeadershipState, now: Millis): boolean {
  return state.role === 'leading' && now - state.lastRenewed < RENEW_DEADLINE;
}

function checkDeadline(state: LeadershipState, now: Millis): Outcome {
  if (state.role !== 'leading' || holdsLease(state, now)) return { next: state, outputs: [] };
  return {
    next: { ...state, role: 'ended' },
    outputs: [{ kind: 'step-down', why: `the lease could not be renewed for ${RENEW_DEADLINE / 1000} s` }],
  };
}

function resign(state: LeadershipState): Outcome {
  const record = state.seen?.record;
  const next: LeadershipState = { ...state, role: 'ended' };
  if (state.role !== 'leading' || record === undefined) return { next, outputs: [] };
  return {
    next,
    outputs: [{ kind: 'write-lease', holder: '', transitions: record.transitions, version: record.version }],
  };
}
