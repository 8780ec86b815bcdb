/**
 * What the shadow mode reports: a difference that stays, once; and that it has gone. What has just changed gets time to be done by whoever runs.
 * @module
 */
import { type Difference, describeDifference } from './differences.ts';

export type Millis = number;

/** How long a difference may last before it is one: the other load balancer has to have had its turn. */
export const SETTLING_TIME: Millis = 5000;

export interface ShadowState {
  /** By its text: when it was first seen, and whether it has been told. */
  readonly seen: ReadonlyMap<string, { readonly since: Millis; readonly told: boolean }>;
}

export interface ShadowNews {
  readonly kind: 'differs' | 'agrees-again';
  readonly text: string;
}

export const initialShadow: ShadowState = { seen: new Map() };

/** Takes in a comparison. `now` is a monotonic clock in milliseconds. */
export function stepShadow(
  state: ShadowState,
  differences: readonly Difference[],
  now: Millis,
): { readonly next: ShadowState; readonly news: readonly ShadowNews[] } {
  const texts = new Set(differences.map(describeDifference));
  const news: ShadowNews[] = [...state.seen]
    .filter(([text, { told }]) => told && !texts.has(text))
    .map(([text]) => ({ kind: 'agrees-again', text }));
  const seen = new Map<string, { since: Millis; told: boolean }>();
  for (const text of texts) {
    const { since, told } = state.seen.get(text) ?? { since: now, told: false };
    const isDue = now - since >= SETTLING_TIME;
    if (isDue && !told) news.push({ kind: 'differs', text });
    seen.set(text, { since, told: told || isDue });
  }
  return { next: { seen }, news };
}
