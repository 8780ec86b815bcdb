/**
 * The condition on a Service that says whether it has its address, and if not, why.
 * @module
 */
import type { Condition } from '../api/kubernetes.ts';
import { EVENT_TYPES, type EventNote } from './reasons.ts';

/** Type of the condition; the prefix is ours, as Kubernetes asks of conditions that are not its own. */
export const ALLOCATED_CONDITION = 'metallb.io/AddressAllocated';

/** A condition before it has a time. */
export interface ConditionNote {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function allocated(pool: string): ConditionNote {
  return { status: 'True', reason: 'Allocated', message: `the address is of pool "${pool}"` };
}

/** The last Warning among the events is why there is no address; undefined when there is none: then nobody asked for one. */
export function notAllocated(events: readonly EventNote[]): ConditionNote | undefined {
  const warning = events.findLast(({ reason }) => EVENT_TYPES[reason] === 'Warning');
  if (warning === undefined) return undefined;
  return { status: 'False', reason: CONDITION_REASONS[warning.reason] ?? warning.reason, message: warning.message };
}

/** Upstream's event reasons that are not the one word that a condition needs. */
const CONDITION_REASONS: Readonly<Record<string, string>> = {
  'not enough clusterips': 'NotEnoughClusterIPs',
  noclusterIPsIPFamily: 'ClusterIPFamilyUnknown',
};

/** True when the conditions say this already. An address without any condition needs none: it may be older than we are. */
export function isSaid(conditions: readonly Condition[], note: ConditionNote | undefined): boolean {
  const present = conditions.find(({ type }) => type === ALLOCATED_CONDITION);
  if (present === undefined) return note === undefined || note.status === 'True';
  return (
    note !== undefined &&
    present.status === note.status &&
    present.reason === note.reason &&
    present.message === note.message
  );
}

/** The conditions with ours in its new form. `now` is RFC 3339 text; the time of a status that stays is kept. */
export function withCondition(
  conditions: readonly Condition[],
  note: ConditionNote | undefined,
  now: string,
): Condition[] {
  const others = conditions.filter(({ type }) => type !== ALLOCATED_CONDITION);
  if (note === undefined) return others;
  const present = conditions.find(({ type }) => type === ALLOCATED_CONDITION);
  const lastTransitionTime = present?.status === note.status ? present.lastTransitionTime : now;
  return [...others, { type: ALLOCATED_CONDITION, ...note, lastTransitionTime }];
}
