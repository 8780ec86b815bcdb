/**
 * What concerns an address besides its allocation: does anything announce it, and does it belong to somebody in the cluster?
 * @module
 */
import type { Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { type Advertising, whyNotAdvertised } from '../config/advertised.ts';
import { type ForeignAddresses, foreignOwnerOf } from '../config/foreign-addresses.ts';
import { parseAddress } from '../net/address.ts';
import { ADVERTISED_CONDITION, type ConditionNote, type ConditionWish } from '../reasons/conditions.ts';
import { type EventNote, noted, type Reader, type Words } from '../reasons/reasons.ts';

export interface Surroundings {
  readonly advertising: Advertising;
  /** Addresses of the cluster's own that are in some pool. */
  readonly foreign: readonly ForeignAddresses[];
  /** Names in valid objects that match nothing; undefined: nobody has looked yet. */
  readonly unmatched: readonly Problem[] | undefined;
}

export const NO_SURROUNDINGS: Surroundings = { advertising: new Map(), foreign: [], unmatched: undefined };

export interface Remarks {
  readonly events: readonly EventNote[];
  /** What the condition should say; none: nobody has looked yet, and it stays as it is. */
  readonly wishes: readonly ConditionWish[];
}

/** What the Service is told about the addresses that it has. */
export function remarks(
  { advertising, foreign }: Surroundings,
  { metadata: { labels, namespace = '' } }: Service,
  addresses: readonly string[],
  pool: string | undefined,
): Remarks {
  if (addresses.length === 0 || pool === undefined) return { events: [], wishes: [advertised(undefined)] };
  const why = whyNotAdvertised(advertising, pool, labels);
  const events = addresses.flatMap((text): EventNote[] => {
    const address = parseAddress(text);
    const other = address && foreignOwnerOf(foreign, address);
    if (other === undefined) return [];
    const words: Words = (reader) => {
      const owner = ownerFor(other, reader);
      const whose = other.text === text ? `is also ${owner}` : `is in ${other.text}, ${owner}`;
      return `address ${text} ${whose}, so packets to it may go there; take it out of pool "${pool}"`;
    };
    return [noted('foreignAddress', namespace, words)];
  });
  if (why === undefined) {
    const note = { status: 'True', reason: 'Advertised', message: 'a node may announce the address' } as const;
    return { events, wishes: advertising.has(pool) ? [advertised(note)] : [] };
  }
  const message = `the Service has an address, and nothing announces it: ${why}`;
  return {
    events: [...events, { reason: 'notAdvertised', message }],
    wishes: [advertised({ status: 'False', reason: 'NotAdvertised', message })],
  };
}

function ownerFor({ owner, veiled }: ForeignAddresses, reader: Reader): string {
  const isVeiled = veiled !== undefined && reader !== 'operator' && reader.namespace !== veiled.namespace;
  return isVeiled ? veiled.owner : owner;
}

function advertised(note: Omit<ConditionNote, 'type'> | undefined): ConditionWish {
  return { type: ADVERTISED_CONDITION, note: note && { type: ADVERTISED_CONDITION, ...note } };
}
