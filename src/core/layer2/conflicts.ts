/**
 * Stations that are none of ours and claim an address of ours: reported when it lasts, and when it ends.
 * @module
 */
import { earliestTime, type Millis } from '../machine.ts';
import { formatAddress } from '../net/address.ts';
import { formatMac, type MacAddress } from '../net/mac.ts';
import type { Interface } from './messages.ts';
import type { Claim, Layer2Output, Layer2State, Outcome, Owned } from './state.ts';

/**
 * A claim is a conflict when it is still made after so many milliseconds: while an address moves from one of our speakers to
 * another, both may hold it for a moment.
 */
const CONFLICT_AFTER = 2000;
/** Milliseconds after which the same conflict is reported again, and after which a claim that was not repeated is a new one. */
const CONFLICT_INTERVAL = 60_000;
/** Milliseconds without a claim after which a conflict has ended. */
const CONFLICT_ENDS = 2 * CONFLICT_INTERVAL;

export function claimedByStranger(
  state: Layer2State,
  { kind, announcement }: Owned,
  link: Interface,
  mac: MacAddress,
  now: Millis,
): Outcome {
  const address = formatAddress(announcement.address);
  const id = { address, mac: formatMac(mac) };
  const key = `${id.address} ${id.mac}`;
  const known = state.conflicts.get(key);
  const isKnown = known !== undefined && now - known.last < CONFLICT_INTERVAL;
  const claim = isKnown ? known : { ...id, since: now, told: undefined, interface: link.name };
  // Whoever answers a question before we have ever claimed the address cannot be one of ours that has just handed it over.
  const isNews =
    claim.told === undefined
      ? kind === 'probing' || now - claim.since >= CONFLICT_AFTER
      : now - claim.told >= CONFLICT_INTERVAL;
  const conflicts = new Map(state.conflicts).set(key, { ...claim, last: now, told: isNews ? now : claim.told });
  const outputs: Layer2Output[] = [{ kind: 'counted', counter: 'conflicts_seen', address, by: 1 }];
  if (isNews) outputs.push({ kind: 'conflict', ...id, interface: link.name });
  return { next: { ...state, conflicts }, outputs };
}

export function conflictsEnd({ conflicts }: Layer2State): Millis | undefined {
  let end: Millis | undefined;
  for (const { last } of conflicts.values()) end = earliestTime(end, last + CONFLICT_ENDS);
  return end;
}

export function withoutEnded(
  { conflicts }: Layer2State,
  now: Millis,
): { readonly conflicts: ReadonlyMap<string, Claim>; readonly ended: readonly Layer2Output[] } {
  const over = [...conflicts].filter(([, { last }]) => now - last >= CONFLICT_ENDS);
  if (over.length === 0) return { conflicts, ended: [] };
  const remaining = new Map(conflicts);
  const ended: Layer2Output[] = [];
  for (const [key, { address, mac, interface: link, told }] of over) {
    remaining.delete(key);
    if (told !== undefined) ended.push({ kind: 'conflict-ended', address, mac, interface: link });
  }
  return { conflicts: remaining, ended };
}
