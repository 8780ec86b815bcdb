/**
 * Layer 2's part of the speaker machine: who owns each Service, and what this node announces.
 * @module
 */

import type { KubernetesObject, Service } from '../api/kubernetes.ts';
import { assign, withOwner } from '../election/assignment.ts';
import type { Candidate, Sha256 } from '../election/election.ts';
import { electShared, type Sharer, shareOf } from '../election/sharing.ts';
import { formatAddress } from '../net/address.ts';
import { equal } from '../net/equal.ts';
import { compareText } from '../net/order.ts';
import { eventTarget } from '../reasons/reasons.ts';
import {
  type AddressElection,
  announcementsOf,
  decideFor,
  type Entry,
  electionsOf,
  entryOf,
  eventsOf,
  handingOverOf,
  type Layer2Decision,
  merge,
  NOTHING,
} from './layer2-decision.ts';
import { factsOf, INCUMBENTS, type SpeakerOutput, type SpeakerState, slicesOf } from './state.ts';
import { describeDuplicate, describeRival } from './wire-texts.ts';

/** Who owns the addresses of the Services in `keys`; those whose owner may change besides are added to them. */
export function electOwners(state: SpeakerState, keys: Set<string>, sha256: Sha256): SpeakerState['owners'] {
  const addresses = new Set([...keys].flatMap((key) => enter(state, key)));
  const isDone = new Set<string>();
  for (const address of addresses) {
    if (isDone.has(address)) continue;
    const { services, addresses: touched } = sharingWith(state, address);
    for (const one of touched) {
      isDone.add(one);
      state.elections.delete(one);
    }
    electTogether(state, services, sha256);
    for (const service of services) keys.add(service);
  }
  return assignOwners(state, keys);
}

/** What this node announces, after a look at the Services in `keys`. */
export function decideAnnouncements(
  state: SpeakerState,
  keys: ReadonlySet<string>,
  sha256: Sha256,
  outputs: SpeakerOutput[],
): SpeakerState {
  let isMove = false;
  for (const key of keys) if (decideAnnouncement(state, key, sha256, outputs)) isMove = true;
  // Most changes concern other nodes: then thousands of announcements need not be gathered.
  if (!isMove) return state;
  const decisions = [...state.decisions.values()];
  const announced = {
    announcements: merge(decisions.flatMap(announcementsOf)),
    handingOver: merge(decisions.flatMap(handingOverOf)),
  };
  if (equal(announced, state.announced)) return state;
  outputs.push({ kind: 'announce', ...announced });
  return { ...state, announced };
}

/** Takes in what the Service is now; the addresses that it has or had. */
function enter(state: SpeakerState, key: string): string[] {
  const { entries, sharers } = state;
  const old = addressesOf(entries.get(key));
  const service = state.cache.get<Service>('services', key);
  const entry = service && entryOf(factsOf(state), service, slicesOf(state, service));
  const addresses = addressesOf(entry);
  for (const address of old) {
    const others = sharers.get(address);
    others?.delete(key);
    if (others?.size === 0) sharers.delete(address);
  }
  for (const address of addresses) {
    const others = sharers.get(address);
    if (others === undefined) sharers.set(address, new Set([key]));
    else others.add(key);
  }
  if (entry === undefined) entries.delete(key);
  else entries.set(key, entry);
  return [...old, ...addresses];
}

function addressesOf(entry: Entry | undefined): string[] {
  return (entry?.addresses ?? []).map(formatAddress);
}

/** All that one Service after the other has in common with an address, itself included. */
function sharingWith({ sharers, entries }: SpeakerState, address: string) {
  const addresses = new Set([address]);
  const services = new Set<string>();
  for (const one of addresses)
    for (const service of sharers.get(one) ?? []) {
      services.add(service);
      for (const other of addressesOf(entries.get(service))) addresses.add(other);
    }
  return { addresses, services };
}

function electTogether(state: SpeakerState, services: ReadonlySet<string>, sha256: Sha256): void {
  if (services.size === 0) return;
  const { entries, nodeAddresses, candidates, elections } = state;
  const sharers = [...services].map((service): Sharer => {
    const entry = entries.get(service)!;
    return { service, addresses: addressesOf(entry), contest: entry.contest };
  });
  for (const elected of electShared(sharers, (address) => nodeAddresses.get(address), candidates, sha256))
    for (const address of elected.addresses) elections.set(address, elected);
}

/** With rules that look at all addresses together, a change of one Service can move others. */
function assignOwners(state: SpeakerState, keys: Set<string>): SpeakerState['owners'] {
  const { rules } = state.settings;
  if (!rules.balanced && rules.preempt) return state.owners;
  const incumbents = incumbentsOf(state);
  const all = [...new Set(state.elections.values())];
  const contestants = all.map(({ lot, election, services }) => {
    const incumbent = services.map((service) => incumbents.get(service)).find((node) => node !== undefined);
    return { address: lot.address, election, incumbent };
  });
  const owners = assign(contestants, rules);
  for (const { lot, services } of all)
    if (owners.get(lot.address) !== state.owners.get(lot.address)) for (const service of services) keys.add(service);
  return owners;
}

interface L2Status extends KubernetesObject {
  readonly status?: { readonly node?: string; readonly serviceName?: string; readonly serviceNamespace?: string };
}

/** Of two speakers that both say that they announce a Service the later one does: the other has not said yet that it stopped. */
function incumbentsOf({ cache, settings }: SpeakerState): Map<string, string> {
  if (settings.rules.preempt) return new Map();
  const incumbents = cache.all<L2Status>(INCUMBENTS).flatMap(({ metadata, status = {} }) => {
    const { node, serviceName, serviceNamespace } = status;
    if (node === undefined) return [];
    return [{ node, key: `${serviceNamespace}/${serviceName}`, since: metadata.creationTimestamp ?? '' }];
  });
  incumbents.sort((a, b) => compareText(a.since, b.since) || compareText(a.node, b.node));
  return new Map(incumbents.map(({ key, node }) => [key, node]));
}

const UNKNOWN: Candidate = {
  name: '',
  labels: {},
  speaker: 'dead',
  drained: false,
  links: [],
  unheard: false,
  networkUnavailable: false,
};

/** True: something else is announced, or handed over, than before. */
function decideAnnouncement(state: SpeakerState, key: string, sha256: Sha256, outputs: SpeakerOutput[]): boolean {
  const service = state.cache.get<Service>('services', key);
  const before = state.decisions.get(key) ?? NOTHING;
  const decision = service === undefined ? NOTHING : decisionFor(state, key, before, sha256);
  if (service === undefined) state.decisions.delete(key);
  else state.decisions.set(key, decision);
  const isMove = !equal(announcementsOf(decision), announcementsOf(before));
  if (isMove || !equal(electionsOf(decision), electionsOf(before))) outputs.push(decided(state, key, decision));
  if (service !== undefined)
    for (const event of eventsOf(decision)) {
      const isTold = eventsOf(before).some((told) => equal(told, event));
      if (!isTold) outputs.push({ kind: 'emit-event', target: eventTarget('v1', 'Service', service), ...event });
    }
  return isMove || !equal(handingOverOf(decision), handingOverOf(before));
}

function decisionFor(state: SpeakerState, key: string, before: Layer2Decision, sha256: Sha256): Layer2Decision {
  const { settings, entries, candidates, links } = state;
  const entry = entries.get(key);
  if (entry === undefined) return NOTHING;
  const elections = electionsOfEntry(state, entry, sha256);
  // A speaker on a node that nobody knows announces nothing.
  const self = candidates.find(({ name }) => name === settings.node) ?? UNKNOWN;
  return decideFor(entry, elections, self, links.names, before);
}

function electionsOfEntry(
  { elections, owners, candidates }: SpeakerState,
  entry: Entry,
  sha256: Sha256,
): AddressElection[] {
  const byElected = Map.groupBy(addressesOf(entry), (address) => elections.get(address)!);
  return [...byElected].map(([elected, addresses]) => {
    const election = withOwner(elected.election, owners.get(elected.lot.address));
    const share = shareOf({ ...elected, election }, entry.contest, candidates, sha256);
    return { addresses, election: share, holder: election.owner };
  });
}

/** What is told of the decision. */
export function decided(
  { settings: { node }, duplicates, rivals }: SpeakerState,
  service: string,
  decision: Layer2Decision,
): Extract<SpeakerOutput, { kind: 'service-decided' }> {
  const ours = announcedBy(decision);
  const announced = ours.filter((address) => rivals.get(address)?.yielded !== true);
  return {
    kind: 'service-decided',
    service,
    announced,
    interfaces: announcementsOf(decision)[0]?.interfaces ?? [],
    election: electionsOf(decision)[0]?.election,
    isPartial: new Set(electionsOf(decision).map(({ holder }) => holder)).size > 1,
    duplicates: inWords(announced, duplicates, (address, duplicate) => describeDuplicate(node, address, duplicate)),
    disputes: inWords(ours, rivals, (address, rival) => describeRival(node, address, rival)),
  };
}

function inWords<T>(
  addresses: readonly string[],
  by: ReadonlyMap<string, T>,
  describe: (address: string, it: T) => string,
) {
  return addresses.flatMap((address) => {
    const it = by.get(address);
    return it === undefined ? [] : [describe(address, it)];
  });
}

/** The addresses, as texts. */
export function announcedBy(decision: Layer2Decision): string[] {
  return announcementsOf(decision).map(({ address }) => formatAddress(address));
}
