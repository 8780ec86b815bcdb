/**
 * Claims to an address of ours that no speaker confirms, whoever's MAC they carry: reported when they last, and when they end.
 * @module
 */
import type { Millis } from '../machine.ts';
import { type Claims, type Conflicts, claimantOf } from './claimants.ts';
import type { Layer2Output, Owned } from './state.ts';

/**
 * A claim is a conflict when it is still made after so many milliseconds: while an address moves from one of our speakers to
 * another, both may hold it for a moment.
 */
const CONFLICT_AFTER = 2000;
/** Milliseconds after which the same conflict is reported again, and after which a claim that was not repeated is a new one. */
const CONFLICT_INTERVAL = 60_000;
/** Milliseconds without a claim after which a conflict has ended. */
const CONFLICT_ENDS = 2 * CONFLICT_INTERVAL;
/** So many conflicts are reported in a second; those above it when they go on. Each becomes an Event and a line in the log. */
const MOST_REPORTED = 10;
const SECOND = 1000;

/** Work does not depend on what was claimed before. `link`, `mac`: where it was claimed last, and by whom. */
export function claimed(
  conflicts: Conflicts,
  address: string,
  { kind }: Owned,
  { link, mac }: { readonly link: string; readonly mac: string },
  now: Millis,
): Layer2Output[] {
  const claims = conflicts.claims.get(address) ?? { claimants: new Map(), last: now, told: undefined };
  conflicts.claims.set(address, claims);
  conflicts.due ??= now + CONFLICT_ENDS;
  claims.last = now;
  const { since } = claimantOf(claims, mac, now, CONFLICT_INTERVAL);
  // Whoever answers a question before we have ever claimed the address cannot be one of ours that has just handed it over.
  const lasts = kind === 'probing' || now - since >= CONFLICT_AFTER;
  const outputs: Layer2Output[] = [{ kind: 'counted', counter: 'conflicts_seen', address, by: 1 }];
  if (!lasts || !isNews(claims, now) || !mayReport(conflicts, now)) return outputs;
  claims.told = now;
  return [...outputs, { kind: 'conflict', address, mac, interface: link, claimants: claims.claimants.size }];
}

function isNews({ told }: Claims, now: Millis): boolean {
  return told === undefined || now - told >= CONFLICT_INTERVAL;
}

function mayReport(conflicts: Conflicts, now: Millis): boolean {
  const { since, count } = conflicts.reports;
  const isNewSecond = now - since >= SECOND;
  if (!isNewSecond && count >= MOST_REPORTED) return false;
  conflicts.reports = isNewSecond ? { since: now, count: 1 } : { since, count: count + 1 };
  return true;
}

/** A speaker with one of these MACs has the address: what looked like a conflict was none. */
export function withoutClaimants({ claims }: Conflicts, address: string, macs: ReadonlySet<string>): void {
  const { claimants, told } = claims.get(address) ?? {};
  for (const mac of claimants?.keys() ?? []) if (macs.has(mac)) claimants?.delete(mac);
  if (claimants?.size === 0 && told === undefined) claims.delete(address);
}

/** Those for what is still owned, and those that have to be told when they end. */
export function ownedConflicts(conflicts: Conflicts, owned: ReadonlyMap<string, Owned>): Conflicts {
  const remaining = [...conflicts.claims].filter(([address, { told }]) => told !== undefined || owned.has(address));
  return { ...conflicts, claims: new Map(remaining) };
}

/** Those that are over are dropped, and told. */
export function endConflicts(conflicts: Conflicts, now: Millis): Layer2Output[] {
  if (conflicts.due === undefined || conflicts.due > now) return [];
  conflicts.due = undefined;
  const ended: Layer2Output[] = [];
  for (const [address, { last, told }] of conflicts.claims) {
    const end = last + CONFLICT_ENDS;
    if (end > now) conflicts.due = Math.min(conflicts.due ?? end, end);
    else {
      conflicts.claims.delete(address);
      if (told !== undefined) ended.push({ kind: 'conflict-ended', address });
    }
  }
  return ended;
}
