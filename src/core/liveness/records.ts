/**
 * Which of two records about a speaker wins, and the digest over all of them.
 * @module
 */
import type { SpeakerHealth } from '../election/election.ts';
import { type MemberRecord, STATUSES, type Status } from './messages.ts';

/** A member that we assume to be active because we have just started: every other record beats it. */
export const ASSUMED = -1n;
/** A member that nobody has ever heard from: every record that it makes itself beats it. */
export const ABSENT = 0n;

/** The largest numbers that there is room for on the wire. */
const LARGEST_INCARNATION = 2n ** 64n - 1n;
const LARGEST_VERSION = 2 ** 32 - 1;
const HALF = 2n ** 63n;

/**
 * Whether one incarnation comes after another: incarnations go round in a circle (RFC 1982 §3.2), so that each has a next one, and no claim about
 * a speaker is beyond its refutation. Up to 2^63 ms ahead is plausible; what claims to be further ahead lies behind.
 */
export function isLater(a: bigint, b: bigint): boolean {
  if (a <= ABSENT || b <= ABSENT) return a > b;
  const ahead = BigInt.asUintN(64, a - b);
  // Opposite each other, which the RFC leaves open.
  if (ahead === HALF) return a > b;
  return ahead > 0n && ahead < HALF;
}

/** The incarnation after this one, of which nothing has been said yet. */
export function incarnationAfter(incarnation: bigint): Pick<MemberRecord, 'incarnation' | 'version'> {
  return { incarnation: incarnation === LARGEST_INCARNATION ? 1n : incarnation + 1n, version: 0 };
}

/** The version after this one; when there is none, the next incarnation. */
export function versionAfter({
  incarnation,
  version,
}: Pick<MemberRecord, 'incarnation' | 'version'>): Pick<MemberRecord, 'incarnation' | 'version'> {
  return version >= LARGEST_VERSION ? incarnationAfter(incarnation) : { incarnation, version: version + 1 };
}

/** The later record of a speaker about itself wins. At the same incarnation and version, dead beats alive (SWIM §4.2). */
export function beats(a: MemberRecord, b: MemberRecord): boolean {
  if (a.incarnation !== b.incarnation) return isLater(a.incarnation, b.incarnation);
  if (a.version !== b.version) return a.version > b.version;
  return a.status === 'dead' && b.status !== 'dead';
}

/** It can watch others, and its silence means something. */
export function isRunning({ status }: MemberRecord): boolean {
  return status === 'starting' || status === 'active' || status === 'unsteady';
}

const STATES: Readonly<Record<Status, SpeakerHealth>> = {
  active: 'alive',
  unsteady: 'unsteady',
  starting: 'passive',
  leaving: 'passive',
  absent: 'passive',
  dead: 'dead',
};

export function stateOf({ status }: MemberRecord): SpeakerHealth {
  return STATES[status];
}

/** What one record adds to the digest. Combined by exclusive or, those of all records tell whether two speakers know the same. */
export function digestOf({ node, incarnation, version, status, links, unheard }: MemberRecord): number {
  if (incarnation === ASSUMED) return 0;
  const rest = links.map(({ name, mac }) => `${name} ${mac.join()}`).join();
  return hash(`${node} ${incarnation} ${version} ${STATUSES[status]} ${unheard} ${rest}`);
}

/** Two records of one version that say different things: one of them is forged. */
export function contradicts(a: MemberRecord, b: MemberRecord): boolean {
  return a.incarnation === b.incarnation && a.version === b.version && digestOf(a) !== digestOf(b);
}

/** FNV-1a with the finish of murmur3, which spreads names that differ in their last digit: no secret depends on it. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
