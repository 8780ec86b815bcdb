/**
 * What one Service means at layer 2: who may announce it, and on which interfaces its owner does (docs/behaviour/layer2.md).
 * @module
 */
import type { EndpointSlice, Service } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import type { L2Advertisement } from '../config/config.ts';
import { type Candidate, type ElectionResult, elect, type Sha256 } from '../election/election.ts';
import type { Announcement } from '../layer2/state.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import type { EventNote } from '../reasons/reasons.ts';
import { userAnnotation } from '../service/annotations.ts';
import { servingNodes } from '../service/endpoints.ts';
import { announceable, type ServiceFacts } from './service-facts.ts';

/** A Service that has an address and could be announced, with the result of its election. */
export interface Elected {
  readonly addresses: readonly IpAddress[];
  readonly advertisements: readonly L2Advertisement[];
  readonly election: ElectionResult;
}

/** What this node does with a Service at layer 2. */
export type Layer2Decision =
  /** There is nothing to announce, from any node. */
  | { readonly kind: 'nothing' }
  /** This node owns the addresses. Without announcements it cannot announce them, and the Event says why. */
  | {
      readonly kind: 'owner';
      readonly election: ElectionResult;
      readonly announcements: readonly Announcement[];
      readonly event: EventNote;
    }
  /** Another node owns the addresses, or none can. What was announced from here is answered until the owner claims it. */
  | {
      readonly kind: 'elsewhere';
      readonly election: ElectionResult;
      readonly handingOver: readonly Announcement[];
    };

export const NOTHING: Layer2Decision = { kind: 'nothing' };

export function announcementsOf(decision: Layer2Decision): readonly Announcement[] {
  return decision.kind === 'owner' ? decision.announcements : [];
}

export function handingOverOf(decision: Layer2Decision): readonly Announcement[] {
  return decision.kind === 'elsewhere' ? decision.handingOver : [];
}

export function electionOf(decision: Layer2Decision): ElectionResult | undefined {
  return decision.kind === 'nothing' ? undefined : decision.election;
}

/** Undefined: nothing of the Service is ours to announce. */
export function electFor(
  facts: ServiceFacts,
  service: Service,
  slices: readonly EndpointSlice[],
  sha256: Sha256,
): Elected | undefined {
  const found = announceable(facts, service);
  if (found === undefined) return undefined;
  const { config, pool, addresses } = found;
  const labels = service.metadata.labels ?? {};
  const advertisements = config.l2Advertisements.filter(
    (ad) => ad.pools.has(pool.name) && anySelectorMatches(ad.serviceSelectors, labels),
  );
  const nodes = servingNodes(slices, facts.dead);
  const election = elect(
    {
      advertisements,
      address: formatAddress(addresses[0]!),
      anyEndpoint: nodes.any,
      sharesAddress: userAnnotation(service, 'allow-shared-ip') !== undefined,
      ignoreExcludeLabel: facts.ignoreExcludeLabel,
      fenced: facts.fenced,
      ...(service.spec?.externalTrafficPolicy === 'Local' && { localNodes: nodes.named }),
    },
    facts.candidates,
    sha256,
  );
  return { addresses, advertisements, election };
}

/** What the owner does (docs/behaviour/layer2.md#on-which-interfaces). `links`: those that exist on the node. */
export function decideAsOwner(
  { addresses, advertisements }: Elected,
  election: ElectionResult,
  node: Candidate,
  links: readonly string[],
): Layer2Decision {
  const here = advertisements.filter((ad) => anySelectorMatches(ad.nodeSelectors, node.labels));
  const everywhere = here.some((ad) => ad.interfaces.length === 0);
  const wanted = [...new Set(here.flatMap((ad) => ad.interfaces))].sort();
  if (!everywhere && !wanted.some((name) => links.includes(name))) {
    const message = `${addresses.map(formatAddress).join(', ')} cannot be announced from node "${node.name}" with protocol "layer2": none of the interfaces ${wanted.join(', ')} exists there; correct spec.interfaces of the L2Advertisement`;
    return { kind: 'owner', election, announcements: [], event: { reason: 'announceFailed', message } };
  }
  return {
    kind: 'owner',
    election,
    announcements: addresses.map((address) => (everywhere ? { address } : { address, interfaces: wanted })),
    event: { reason: 'nodeAssigned', message: `announcing from node "${node.name}" with protocol "layer2"` },
  };
}

/** Make before break: what this node answered for until now it answers for until the new owner claims it. */
export function decideElsewhere(election: ElectionResult, before: Layer2Decision): Layer2Decision {
  if (election.owner === undefined) return { kind: 'elsewhere', election, handingOver: [] };
  const announced = announcementsOf(before);
  return { kind: 'elsewhere', election, handingOver: announced.length > 0 ? announced : handingOverOf(before) };
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
