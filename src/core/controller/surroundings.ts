/**
 * What concerns an address besides its allocation: does anything announce it, and does it belong to somebody in the cluster? Looked at some
 * time after a change, so that a pool and its advertisement that are applied one after the other cause no false alarm.
 * @module
 */
import type { Node, Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { type Advertising, advertisingOf, whyNotAdvertised } from '../config/advertised.ts';
import { type ForeignAddresses, foreignAddresses, foreignIn, foreignOwnerOf } from '../config/foreign-addresses.ts';
import { CONFIG_RESOURCES } from '../config/resolve.ts';
import { unadvertisedPools, unmatched } from '../config/unmatched.ts';
import type { Millis } from '../machine.ts';
import { parseAddress } from '../net/address.ts';
import { ADVERTISED_CONDITION, type ConditionNote, type ConditionWish } from '../reasons/conditions.ts';
import type { EventNote } from '../reasons/reasons.ts';
import type { ControllerState } from './state.ts';

/** From a change of configuration or Nodes until they are looked at again, in milliseconds. */
export const SURROUNDINGS_DELAY = 1000;

export interface Surroundings {
  readonly advertising: Advertising;
  /** Addresses of the cluster's own that are in some pool. */
  readonly foreign: readonly ForeignAddresses[];
  /** Names in valid objects that match nothing. */
  readonly unmatched: readonly Problem[];
}

export const NO_SURROUNDINGS: Surroundings = { advertising: new Map(), foreign: [], unmatched: [] };

/** Looks around again when it is time, and marks the Services that have to be told something else. */
export function lookAround(state: ControllerState, now: Millis): ControllerState {
  if (state.surroundingsDueAt === undefined || state.surroundingsDueAt > now) return state;
  const { cache, config, problems, dirty } = state;
  const nodes = cache.all<Node>('nodes');
  const services = cache.all<Service>('services');
  const objects = {
    ...Object.fromEntries(CONFIG_RESOURCES.map((resource) => [resource, cache.all(resource)])),
    namespaces: cache.all('namespaces'),
    nodes,
  };
  const surroundings: Surroundings = {
    advertising: advertisingOf(config, nodes.length === 0 ? undefined : nodes),
    foreign: foreignIn(config.pools, foreignAddresses(nodes, services)),
    unmatched: [...unmatched(objects, { problems }), ...unadvertisedPools(objects, config)],
  };
  // Every Service is asked, and few have to be decided again: cheaper than to find out beforehand whom it can concern.
  for (const key of cache.keys('services')) dirty.add(key);
  return { ...state, surroundings, surroundingsDueAt: undefined, statusesDueAt: now };
}

export interface Remarks {
  readonly events: readonly EventNote[];
  /** What the condition should say; none: nobody has looked yet, and it stays as it is. */
  readonly wishes: readonly ConditionWish[];
}

/** What the Service is told about the addresses that it has. */
export function remarks(
  { advertising, foreign }: Surroundings,
  { metadata: { labels } }: Service,
  addresses: readonly string[],
  pool: string | undefined,
): Remarks {
  if (addresses.length === 0 || pool === undefined) return { events: [], wishes: [advertised(undefined)] };
  const why = whyNotAdvertised(advertising, pool, labels);
  const events = addresses.flatMap((text): EventNote[] => {
    const address = parseAddress(text);
    const other = address && foreignOwnerOf(foreign, address);
    if (other === undefined) return [];
    const whose = other.text === text ? `is also ${other.owner}` : `is in ${other.text}, ${other.owner}`;
    return [
      {
        reason: 'foreignAddress',
        message: `address ${text} ${whose}, so packets to it may go there; take it out of pool "${pool}"`,
      },
    ];
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

function advertised(note: Omit<ConditionNote, 'type'> | undefined): ConditionWish {
  return { type: ADVERTISED_CONDITION, note: note && { type: ADVERTISED_CONDITION, ...note } };
}
