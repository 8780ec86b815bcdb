/**
 * What our other speakers say, in sealed messages, of addresses that they announce too.
 * @module
 */
import { earliestTime, type Millis } from '../machine.ts';
import { withoutClaimants } from './conflicts.ts';
import { confirmed, rivalOf, yieldedTo } from './dispute.ts';
import { withGroups } from './groups.ts';
import { handedOver } from './hand-over.ts';
import type { Confirmed, Layer2Input, Layer2Output, Layer2State, Outcome, Owned } from './state.ts';
import { nextTime } from './time.ts';

export function onConfirmed(state: Layer2State, input: Confirmed, now: Millis): Outcome {
  const outputs: Layer2Output[] = [];
  const left: string[] = [];
  let next = state;
  for (const key of input.addresses) {
    const old = state.owned.get(key);
    if (old === undefined || old.kind === 'probing') continue;
    withoutClaimants(state.conflicts, key, input.macs);
    if (state.leaving || old.kind === 'handing-over') left.push(key);
    else {
      const settled = confirmed(old, input, now);
      next = change(next, key, settled);
      outputs.push(...rivalNews(key, old, settled));
    }
  }
  const handed = withGroups(next, handedOver(next, left));
  return { next: handed.next, outputs: [...outputs, ...handed.outputs] };
}

export function onYielded(
  state: Layer2State,
  { addresses, node, macs }: Extract<Layer2Input, { kind: 'yielded' }>,
  now: Millis,
): Outcome {
  const [mac] = macs;
  if (state.leaving || mac === undefined) return { next: state, outputs: [] };
  const outputs: Layer2Output[] = [];
  let next = state;
  for (const key of addresses) {
    const old = state.owned.get(key);
    if (old?.kind !== 'announced') continue;
    const kept = yieldedTo(old, node, mac, now);
    next = change(next, key, kept);
    outputs.push(...rivalNews(key, old, kept));
  }
  return { next, outputs };
}

/** Whether a speaker that asks is told that this node has the address. */
export function holds({ owned, leaving }: Layer2State, address: string): boolean {
  return !leaving && owned.get(address)?.kind === 'announced';
}

/** In place: with ten thousand addresses a copy for every claim would take longer than the claims do. */
export function change(state: Layer2State, address: string, to: Owned): Layer2State {
  if (state.owned.get(address) === to) return state;
  state.owned.set(address, to);
  return { ...state, due: earliestTime(state.due, nextTime(to)) };
}

/** What is new about the other speakers that announce an address of ours too. */
export function withRivals(before: Layer2State, outcome: Outcome): Outcome {
  const { owned } = outcome.next;
  if (owned === before.owned) return outcome;
  const news: Layer2Output[] = [];
  for (const [key, old] of before.owned) news.push(...rivalNews(key, old, owned.get(key)));
  return news.length === 0 ? outcome : { next: outcome.next, outputs: [...outcome.outputs, ...news] };
}

export function rivalNews(address: string, before: Owned, after: Owned | undefined): Layer2Output[] {
  if (before === after) return [];
  const [old, is] = [rivalOf(before), rivalOf(after)];
  if (is === undefined) return old === undefined ? [] : [{ kind: 'dispute-ended', address }];
  if (old?.node === is.node && old.yielded === is.yielded) return [];
  return [
    { kind: 'disputed', address, ...is },
    { kind: 'counted', counter: 'disputes_seen', address, by: 1 },
  ];
}
