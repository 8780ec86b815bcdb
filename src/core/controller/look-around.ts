/**
 * Gathers the surroundings some time after a change, so that a pool and its advertisement that are applied one after the other cause no
 * false alarm.
 * @module
 */
import type { Node, Service } from '../api/kubernetes.ts';
import { advertisingOf } from '../config/advertised.ts';
import { foreignAddresses, foreignIn } from '../config/foreign-addresses.ts';
import { CONFIG_RESOURCES } from '../config/resolve.ts';
import { unadvertisedPools, unmatched } from '../config/unmatched.ts';
import type { Millis } from '../machine.ts';
import type { ControllerState } from './state.ts';
import type { Surroundings } from './surroundings.ts';

/** From a change of configuration or Nodes until they are looked at again, in milliseconds. */
export const SURROUNDINGS_DELAY = 1000;

/** They have changed; they are looked at together with what changes soon after. */
export function surroundingsChanged(state: ControllerState, now: Millis): ControllerState {
  return { ...state, surroundingsDueAt: state.surroundingsDueAt ?? now + SURROUNDINGS_DELAY };
}

/** Looks around again when it is time, and marks the Services that have to be told something else. */
export function lookAround(state: ControllerState, now: Millis): ControllerState {
  if (state.surroundingsDueAt === undefined || state.surroundingsDueAt > now) return state;
  const { cache, config, problems, dirty } = state;
  const nodes = cache.all<Node>('nodes');
  const services = cache.all<Service>('services');
  const objects = cache.of([...CONFIG_RESOURCES, 'namespaces', 'nodes']);
  const surroundings: Surroundings = {
    advertising: advertisingOf(config, nodes.length === 0 ? undefined : nodes),
    foreign: foreignIn(config.pools, foreignAddresses(nodes, services)),
    unmatched: [...unmatched(objects, { problems }), ...unadvertisedPools(objects, config)],
  };
  // Every Service is asked, and few have to be decided again: cheaper than to find out beforehand whom it can concern.
  for (const key of cache.keys('services')) dirty.add(key);
  return { ...state, surroundings, surroundingsDueAt: undefined, statusesDueAt: now };
}
