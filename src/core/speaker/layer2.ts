/**
 * Layer 2's part of the speaker machine: who owns each Service, and what this node announces.
 * @module
 */
import type { KubernetesObject, Service } from '../api/kubernetes.ts';
import { assign, withOwner } from '../election/assignment.ts';
import type { Sha256 } from '../election/election.ts';
import { formatAddress } from '../net/address.ts';
import { equal } from '../net/equal.ts';
import { eventTarget } from '../reasons/reasons.ts';
import {
  announcementsOf,
  decideAsOwner,
  decideElsewhere,
  type Elected,
  electFor,
  electionOf,
  handingOverOf,
  type Layer2Decision,
  merge,
  NOTHING,
} from './layer2-decision.ts';
import { factsOf, INCUMBENTS, type SpeakerOutput, type SpeakerState, slicesOf } from './state.ts';
import { describeDuplicate, describeRival } from './wire-texts.ts';

/** Who owns the Services in `keys`; those whose owner changes besides are added to them. */
export function electOwners(state: SpeakerState, keys: Set<string>, sha256: Sha256): SpeakerState['owners'] {
  for (const key of keys) electService(state, key, sha256);
  return assignOwners(state, keys);
}

/** What this node announces, after a look at the Services in `keys`. */
export function decideAnnouncements(
  state: SpeakerState,
  keys: ReadonlySet<string>,
  outputs: SpeakerOutput[],
): SpeakerState {
  let isMove = false;
  for (const key of keys) if (decideAnnouncement(state, key, outputs)) isMove = true;
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

function electService(state: SpeakerState, key: string, sha256: Sha256): void {
  const service = state.cache.get<Service>('services', key);
  const elected = service && electFor(factsOf(state), service, slicesOf(state, service), sha256);
  if (elected === undefined) state.elections.delete(key);
  else state.elections.set(key, elected);
}

/** With rules that look at all addresses together, a change of one Service can move others. */
function assignOwners(state: SpeakerState, keys: Set<string>): SpeakerState['owners'] {
  const { rules } = state.settings;
  if (!rules.balanced && rules.preempt) return state.owners;
  const incumbents = incumbentsOf(state);
  const contestants = [...state.elections].map(([key, elected]) => ({
    service: key,
    address: addressOf(elected),
    election: elected.election,
    incumbent: incumbents.get(key),
  }));
  const owners = assign(contestants, rules);
  for (const [key, elected] of state.elections) {
    const address = addressOf(elected);
    if (owners.get(address) !== state.owners.get(address)) keys.add(key);
  }
  return owners;
}

function addressOf({ addresses: [first] }: Elected): string {
  return formatAddress(first!);
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
  incumbents.sort((a, b) => compare(a.since, b.since) || compare(a.node, b.node));
  return new Map(incumbents.map(({ key, node }) => [key, node]));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** True: something else is announced, or handed over, than before. */
function decideAnnouncement(state: SpeakerState, key: string, outputs: SpeakerOutput[]): boolean {
  const service = state.cache.get<Service>('services', key);
  const before = state.decisions.get(key) ?? NOTHING;
  const decision = service === undefined ? NOTHING : decisionFor(state, key, before);
  if (service === undefined) state.decisions.delete(key);
  else state.decisions.set(key, decision);
  const isMove = !equal(announcementsOf(decision), announcementsOf(before));
  if (isMove || !equal(checksOf(decision), checksOf(before))) outputs.push(decided(state, key, decision));
  if (service !== undefined && decision.kind === 'owner') {
    const { event } = decision;
    const isTold = before.kind === 'owner' && equal(before.event, event);
    if (!isTold) outputs.push({ kind: 'emit-event', target: eventTarget('v1', 'Service', service), ...event });
  }
  return isMove || !equal(handingOverOf(decision), handingOverOf(before));
}

function checksOf(decision: Layer2Decision) {
  return electionOf(decision)?.checks ?? [];
}

function decisionFor(
  { settings, elections, owners, candidates, links }: SpeakerState,
  key: string,
  before: Layer2Decision,
): Layer2Decision {
  const elected = elections.get(key);
  if (elected === undefined) return NOTHING;
  const election = withOwner(elected.election, owners.get(addressOf(elected)));
  const self = candidates.find(({ name }) => name === settings.node);
  return self !== undefined && election.owner === settings.node
    ? decideAsOwner(elected, election, self, links.names)
    : decideElsewhere(election, before);
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
    election: electionOf(decision),
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
