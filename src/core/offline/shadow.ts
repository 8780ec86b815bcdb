/**
 * Shadow mode as a machine: when to compare, and what to report. A difference is reported once it has lasted, because the running load
 * balancer needs time to act on a change, and once more when it is gone.
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import { equal } from '../net/equal.ts';
import { type Comparison, describeDifference } from './differences.ts';

/** How long a difference must last before it is reported, in milliseconds: the other load balancer needs time to act. */
export const SETTLING_TIME: Millis = 5000;
/** From a change to the comparison, in milliseconds: a burst of changes costs one comparison. */
export const COMPARISON_DELAY: Millis = 1000;

export type ShadowInput =
  /** Something that is compared has changed. */
  | { readonly kind: 'changed' }
  /** The answer to `compare`. */
  | { readonly kind: 'compared'; readonly comparison: Comparison };

export type ShadowOutput =
  | { readonly kind: 'compare' }
  /** A difference, as one line of text. */
  | { readonly kind: 'differs' | 'agrees-again'; readonly text: string }
  /** The counts have changed. */
  | ({ readonly kind: 'summary' } & Summary)
  /** The problems of the configuration have changed; these are all of them. */
  | { readonly kind: 'problems'; readonly problems: Comparison['problems'] };

interface Summary {
  /** Services that were compared, and how many of them differ. */
  readonly services: number;
  readonly differing: number;
}

export interface ShadowState {
  /** When to compare; undefined: nothing has changed. */
  readonly compareAt: Millis | undefined;
  /** By its text: when a difference was first seen, and whether it has been reported. */
  readonly seen: ReadonlyMap<string, Seen>;
  readonly summary: Summary | undefined;
  readonly problems: Comparison['problems'];
}

interface Seen {
  readonly since: Millis;
  readonly told: boolean;
}

export const INITIAL_SHADOW: ShadowState = { compareAt: undefined, seen: new Map(), summary: undefined, problems: [] };

export const shadowMachine: Machine<ShadowState, ShadowInput, ShadowOutput> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'changed':
        return { next: { ...state, compareAt: state.compareAt ?? now + COMPARISON_DELAY }, outputs: [] };
      case 'tick':
        return isDue(state, now)
          ? { next: { ...state, compareAt: undefined }, outputs: [{ kind: 'compare' }] }
          : { next: state, outputs: [] };
      case 'compared':
        return report(state, input.comparison, now);
    }
  },
  nextDeadline,
};

function nextDeadline({ compareAt, seen }: ShadowState): Deadline | undefined {
  const unsettled = [...seen.values()].filter(({ told }) => !told);
  return earliest([
    compareAt === undefined ? undefined : { at: compareAt, why: 'something has changed' },
    ...unsettled.map(({ since }) => ({ at: since + SETTLING_TIME, why: 'a difference may have settled' })),
  ]);
}

function isDue(state: ShadowState, now: Millis): boolean {
  const deadline = nextDeadline(state);
  return deadline !== undefined && deadline.at <= now;
}

function report(
  state: ShadowState,
  { services, differences, problems }: Comparison,
  now: Millis,
): { readonly next: ShadowState; readonly outputs: readonly ShadowOutput[] } {
  const texts = new Set(differences.map(describeDifference));
  const outputs: ShadowOutput[] = [...state.seen]
    .filter(([text, { told }]) => told && !texts.has(text))
    .map(([text]) => ({ kind: 'agrees-again', text }));
  const seen = new Map<string, Seen>();
  for (const text of texts) {
    const { since, told } = state.seen.get(text) ?? { since: now, told: false };
    const hasSettled = now - since >= SETTLING_TIME;
    if (hasSettled && !told) outputs.push({ kind: 'differs', text });
    seen.set(text, { since, told: told || hasSettled });
  }
  if (!equal(problems, state.problems)) outputs.push({ kind: 'problems', problems });
  const summary = { services, differing: new Set(differences.map(({ service }) => service)).size };
  if (!equal(summary, state.summary)) outputs.push({ kind: 'summary', ...summary });
  return { next: { ...state, seen, summary, problems }, outputs };
}
