/**
 * What one Service means at layer 2: who may announce it, and on which interfaces its owner does (docs/behaviour/layer2.md).
 * @module
 */
import type { EndpointSlice, Service } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import type { L2Advertisement } from '../config/config.ts';
import type { Candidate, Contest, ElectionResult } from '../election/election.ts';
import type { Announcement } from '../layer2/state.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { type EventNote, NODE_VERDICTS } from '../reasons/reasons.ts';
import { userAnnotation } from '../service/annotations.ts';
import { servingNodes } from '../service/endpoints.ts';
import { announceable, type ServiceFacts } from './service-facts.ts';

/** A Service that has addresses and could be announced. */
export interface Entry {
  readonly addresses: readonly IpAddress[];
  readonly advertisements: readonly L2Advertisement[];
  readonly contest: Contest;
}

/** What was elected for some of the addresses of a Service. `holder`: the node that announces them, be it for others that share them. */
export interface AddressElection {
  readonly addresses: readonly string[];
  readonly election: ElectionResult;
  readonly holder: string | undefined;
}

/** What this node does with a Service at layer 2. */
export type Layer2Decision =
  /** There is nothing to announce, from any node. */
  | { readonly kind: 'nothing' }
  | {
      readonly kind: 'elected';
      /** One for all addresses, unless no node can serve all Services that share them. */
      readonly elections: readonly AddressElection[];
      readonly announcements: readonly Announcement[];
      /** What another node owns from now on, and is answered until that one has it. */
      readonly handingOver: readonly Announcement[];
      /** What this node has to say as the owner; it may be that it cannot announce. */
      readonly events: readonly EventNote[];
    };

export const NOTHING: Layer2Decision = { kind: 'nothing' };

export function announcementsOf(decision: Layer2Decision): readonly Announcement[] {
  return decision.kind === 'nothing' ? [] : decision.announcements;
}

export function handingOverOf(decision: Layer2Decision): readonly Announcement[] {
  return decision.kind === 'nothing' ? [] : decision.handingOver;
}

export function electionsOf(decision: Layer2Decision): readonly AddressElection[] {
  return decision.kind === 'nothing' ? [] : decision.elections;
}

export function eventsOf(decision: Layer2Decision): readonly EventNote[] {
  return decision.kind === 'nothing' ? [] : decision.events;
}

/** Undefined: nothing of the Service is ours to announce. */
export function entryOf(facts: ServiceFacts, service: Service, slices: readonly EndpointSlice[]): Entry | undefined {
  const found = announceable(facts, service);
  if (found === undefined) return undefined;
  const { config, pool, addresses } = found;
  const labels = service.metadata.labels ?? {};
  const advertisements = config.l2Advertisements.filter(
    (ad) => ad.pools.has(pool.name) && anySelectorMatches(ad.serviceSelectors, labels),
  );
  const nodes = servingNodes(slices, facts.dead);
  const contest = {
    advertisements,
    anyEndpoint: nodes.any,
    sharesAddress: userAnnotation(service, 'allow-shared-ip') !== undefined,
    ignoreExcludeLabel: facts.ignoreExcludeLabel,
    fenced: facts.fenced,
    ...(service.spec?.externalTrafficPolicy === 'Local' && { localNodes: nodes.named }),
  };
  return { addresses, advertisements, contest };
}

/** What this node makes of the elections. `links`: those that exist here; `before`: what it did until now. */
export function decideFor(
  { addresses, advertisements }: Entry,
  elections: readonly AddressElection[],
  node: Candidate,
  links: readonly string[],
  before: Layer2Decision,
): Layer2Decision {
  const here = elections.filter(({ holder }) => holder === node.name);
  const ownedBy = (some: readonly AddressElection[]) =>
    addresses.filter((address) => some.some((each) => each.addresses.includes(formatAddress(address))));
  const owned = ownedBy(here.filter(({ election }) => election.owner === node.name));
  const others = ownedBy(here.filter(({ election }) => election.owner !== node.name));
  const { announcements, event } = announce(owned, owned.length === addresses.length, advertisements, node, links);
  const unserved = others.map((address) => unservedNote(address, node.name, elections));
  return {
    kind: 'elected',
    elections,
    announcements,
    handingOver: handedOver(elections, node.name, before),
    events: [...(event === undefined ? [] : [event]), ...unserved],
  };
}

/** What the owner does (docs/behaviour/layer2.md#on-which-interfaces). */
function announce(
  addresses: readonly IpAddress[],
  isAll: boolean,
  advertisements: readonly L2Advertisement[],
  node: Candidate,
  links: readonly string[],
): { readonly announcements: readonly Announcement[]; readonly event: EventNote | undefined } {
  if (addresses.length === 0) return { announcements: [], event: undefined };
  const texts = addresses.map(formatAddress).join(', ');
  const here = advertisements.filter((ad) => anySelectorMatches(ad.nodeSelectors, node.labels));
  const everywhere = here.some((ad) => ad.interfaces.length === 0);
  const wanted = [...new Set(here.flatMap((ad) => ad.interfaces))].sort();
  if (!everywhere && !wanted.some((name) => links.includes(name))) {
    const message = `${texts} cannot be announced from node "${node.name}" with protocol "layer2": none of the interfaces ${wanted.join(', ')} exists there; correct spec.interfaces of the L2Advertisement`;
    return { announcements: [], event: { reason: 'announceFailed', message } };
  }
  const what = isAll ? 'announcing' : `announcing ${texts}`;
  return {
    announcements: addresses.map((address) => (everywhere ? { address } : { address, interfaces: wanted })),
    event: { reason: 'nodeAssigned', message: `${what} from node "${node.name}" with protocol "layer2"` },
  };
}

/** The node announces the address for other Services that share it. */
function unservedNote(address: IpAddress, node: string, elections: readonly AddressElection[]): EventNote {
  const text = formatAddress(address);
  const election = elections.find(({ addresses }) => addresses.includes(text))?.election;
  const verdict = election?.checks.find((check) => check.node === node)?.verdict;
  const why = verdict === undefined ? '' : ` (${NODE_VERDICTS[verdict]})`;
  const message = `${text} is announced from node "${node}" for other Services that share it, and that node cannot serve this one${why}: no node can serve all of them; give this Service an address of its own, or endpoints and advertisements on the nodes of the others`;
  return { reason: 'announceFailed', message };
}

/** Make before break: what this node answered for until now it answers for until the new owner has it. */
function handedOver(elections: readonly AddressElection[], node: string, before: Layer2Decision): Announcement[] {
  const left = new Set(
    elections.flatMap(({ addresses, holder }) => (holder === undefined || holder === node ? [] : addresses)),
  );
  const old = [...announcementsOf(before), ...handingOverOf(before)];
  return merge(old.filter(({ address }) => left.has(formatAddress(address))));
}

/** Services that share an address announce it once, on the union of their interfaces; in a fixed order. */
export function merge(announcements: readonly Announcement[]): Announcement[] {
  const merged = new Map<string, Announcement>();
  for (const announcement of announcements) {
    const key = formatAddress(announcement.address);
    const old = merged.get(key);
    if (old === undefined) merged.set(key, announcement);
    else if (old.interfaces === undefined || announcement.interfaces === undefined)
      merged.set(key, { address: old.address });
    else
      merged.set(key, {
        address: old.address,
        interfaces: [...new Set([...old.interfaces, ...announcement.interfaces])].sort(),
      });
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, announcement]) => announcement);
}
