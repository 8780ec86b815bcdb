/**
 * Conditions: whether a Service has its address, whether a configuration object is in force, and if not, why.
 * @module
 */
import type { Condition } from '../api/kubernetes.ts';
import { formatFault, type Problem } from '../api/problem.ts';
import { bounded, printable } from '../api/text.ts';
import { EVENT_TYPES, type EventNote } from './reasons.ts';

/** Condition type on Services. Kubernetes asks for a domain prefix on conditions that are not its own. */
export const ALLOCATED_CONDITION = 'metallb.io/AddressAllocated';

/** Condition type on Services: may any node announce the address? */
export const ADVERTISED_CONDITION = 'metallb.io/AddressAdvertised';

/** What the controller writes on Services. */
export const SERVICE_CONDITIONS: readonly string[] = [ALLOCATED_CONDITION, ADVERTISED_CONDITION];

/** Condition type on configuration objects: the object is valid. */
export const ACCEPTED_CONDITION = 'Accepted';

/** Condition type on configuration objects: what it names is there. */
export const EFFECTIVE_CONDITION = 'Effective';

/** Condition types on a ServiceL2Status, present while a host that is no speaker claims an address of the Service, or another speaker does. */
const DUPLICATE_CONDITION = 'DuplicateAddress';
const DISPUTED_CONDITION = 'AddressDisputed';

/** Characters of a condition; Kubernetes allows 32,768. */
const LONGEST_MESSAGE = 4096;

/** The one way into the message of a condition. */
export function conditionMessage(text: string): string {
  return bounded(printable(text), LONGEST_MESSAGE);
}

/** In words: who else claims an address of a Service, and which other speakers do. */
export interface OtherClaims {
  readonly duplicates: readonly string[];
  readonly disputes: readonly string[];
}

export function claimConditions({ duplicates, disputes }: OtherClaims, now: string): Condition[] {
  const all = [
    { type: DUPLICATE_CONDITION, reason: 'ForeignClaim', texts: duplicates },
    { type: DISPUTED_CONDITION, reason: 'TwoSpeakers', texts: disputes },
  ];
  return all.flatMap(({ type, reason, texts }): Condition[] =>
    texts.length === 0
      ? []
      : [{ type, status: 'True', reason, message: conditionMessage(texts.join('\n')), lastTransitionTime: now }],
  );
}

export type ConditionType =
  | typeof ALLOCATED_CONDITION
  | typeof ADVERTISED_CONDITION
  | typeof ACCEPTED_CONDITION
  | typeof EFFECTIVE_CONDITION;

/** A condition without lastTransitionTime. */
export interface ConditionNote {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function allocated(pool: string): ConditionNote {
  return {
    type: ALLOCATED_CONDITION,
    status: 'True',
    reason: 'Allocated',
    message: `the address is from pool "${pool}"`,
  };
}

/** Takes the reason from the last Warning among the events; undefined without one: then no address was requested. */
export function notAllocated(events: readonly EventNote[]): ConditionNote | undefined {
  const warning = events.findLast(({ reason }) => EVENT_TYPES[reason] === 'Warning');
  if (warning === undefined) return undefined;
  const reason = CONDITION_REASONS[warning.reason] ?? warning.reason;
  return { type: ALLOCATED_CONDITION, status: 'False', reason, message: warning.message };
}

/** Replaces upstream's event reasons that are not the CamelCase word that a condition needs. */
const CONDITION_REASONS: Readonly<Record<string, string>> = {
  'not enough clusterips': 'NotEnoughClusterIPs',
  noclusterIPsIPFamily: 'ClusterIPFamilyUnknown',
};

/** True without problems, else False with all of them in the message. */
export function accepted(problems: readonly Problem[]): ConditionNote {
  return verdict(ACCEPTED_CONDITION, problems, ['Accepted', 'the object is in force'], 'InvalidConfiguration');
}

/** Whether everything that a valid configuration object names is there. */
export function effective(unmatched: readonly Problem[]): ConditionNote {
  return verdict(EFFECTIVE_CONDITION, unmatched, ['Effective', 'everything that it names is there'], 'MatchesNothing');
}

function verdict(
  type: ConditionType,
  problems: readonly Problem[],
  [fine, message]: readonly [reason: string, message: string],
  reason: string,
): ConditionNote {
  if (problems.length === 0) return { type, status: 'True', reason: fine, message };
  return { type, status: 'False', reason, message: problems.map(formatFault).join('\n') };
}

/** What one of our conditions should say; undefined: it should not be there. */
export interface ConditionWish {
  readonly type: ConditionType;
  readonly note: ConditionNote | undefined;
}

/** True when the conditions say all of this already. */
export function areSaid(conditions: readonly Condition[], wishes: readonly ConditionWish[]): boolean {
  return wishes.every(({ type, note }) => isSaid(conditions, type, note));
}

/** The conditions with all of ours in their new form; see `withCondition`. */
export function withConditions(
  conditions: readonly Condition[],
  wishes: readonly ConditionWish[],
  now: string,
): readonly Condition[] {
  return wishes.reduce<readonly Condition[]>((all, { type, note }) => withCondition(all, type, note, now), conditions);
}

/** True when the conditions already contain the note. A missing condition counts as True, so that healthy objects need no write. */
function isSaid(conditions: readonly Condition[], type: ConditionType, note: ConditionNote | undefined): boolean {
  const present = conditions.find((condition) => condition.type === type);
  if (present === undefined) return note === undefined || note.status === 'True';
  return (
    note !== undefined &&
    present.status === note.status &&
    present.reason === note.reason &&
    present.message === conditionMessage(note.message)
  );
}

/** The conditions with ours replaced. `now` is RFC 3339 text; lastTransitionTime changes only with the status. */
function withCondition(
  conditions: readonly Condition[],
  type: ConditionType,
  note: ConditionNote | undefined,
  now: string,
): Condition[] {
  const others = conditions.filter((condition) => condition.type !== type);
  if (note === undefined) return others;
  const present = conditions.find((condition) => condition.type === type);
  const lastTransitionTime = present?.status === note.status ? present.lastTransitionTime : now;
  return [...others, { ...note, message: conditionMessage(note.message), lastTransitionTime }];
}
