/**
 * What one Service means at layer 2: who may announce it (behaviour reference §4.1-§4.3), and on which interfaces its owner does (§4.4).
 * @module
 */
import type { EndpointSlice, Service } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import type { Config, L2Advertisement } from '../config/config.ts';
import { type Candidate, type ElectionResult, elect, type Sha256 } from '../election/election.ts';
import type { Announcement } from '../layer2/state.ts';
import { formatAddress, type IpAddress, parseAddress } from '../net/address.ts';
import type { EventNote } from '../reasons/reasons.ts';
import { userAnnotation } from '../service/annotations.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { servingNodes } from '../service/endpoints.ts';
import { poolOf } from '../service/pool.ts';
import { isOurClass } from '../service/service-class.ts';

/** What the election of a Service depends on besides the Service. */
export interface Layer2Facts {
  readonly loadBalancerClass: string;
  readonly ignoreExcludeLabel: boolean;
  readonly fenced: boolean;
  readonly config: Config;
  readonly candidates: readonly Candidate[];
  /** What runs there cannot serve, whatever its EndpointSlice still says. */
  readonly dead: ReadonlySet<string>;
}

/** A Service that has an address and could be announced, with the outcome of its election. */
export interface Elected {
  readonly addresses: readonly IpAddress[];
  readonly advertisements: readonly L2Advertisement[];
  readonly election: ElectionResult;
}

/** Undefined: nothing of the Service is ours to announce. */
export function electFor(
  facts: Layer2Facts,
  service: Service,
  slices: readonly EndpointSlice[],
  sha256: Sha256,
): Elected | undefined {
  if (!isOurClass(service, facts.loadBalancerClass) || service.spec?.type !== 'LoadBalancer') return undefined;
  const addresses = currentAddresses(service).map(parseAddress);
  if (addresses.length === 0 || addresses.includes(undefined)) return undefined;
  const valid = addresses as IpAddress[];
  const pool = poolOf(facts.config, valid);
  if (pool === undefined) return undefined;
  const labels = service.metadata.labels ?? {};
  const advertisements = facts.config.l2Advertisements.filter(
    (ad) => ad.pools.has(pool.name) && anySelectorMatches(ad.serviceSelectors, labels),
  );
  const nodes = servingNodes(slices, facts.dead);
  const election = elect(
    {
      advertisements,
      address: formatAddress(valid[0]!),
      anyEndpoint: nodes.any,
      sharesAddress: userAnnotation(service, 'allow-shared-ip') !== undefined,
      ignoreExcludeLabel: facts.ignoreExcludeLabel,
      fenced: facts.fenced,
      ...(service.spec.externalTrafficPolicy === 'Local' && { localNodes: nodes.named }),
    },
    facts.candidates,
    sha256,
  );
  return { addresses: valid, advertisements, election };
}

/** What the owner announces, and what it tells about it (behaviour reference §4.4). `links`: those that exist there. */
export function announcementsOf(
  { addresses, advertisements }: Elected,
  node: Candidate,
  links: readonly string[],
): { readonly announcements: readonly Announcement[]; readonly event: EventNote } {
  const here = advertisements.filter((ad) => anySelectorMatches(ad.nodeSelectors, node.labels));
  const everywhere = here.some((ad) => ad.interfaces.length === 0);
  const wanted = [...new Set(here.flatMap((ad) => ad.interfaces))].sort();
  if (!everywhere && !wanted.some((name) => links.includes(name))) {
    const message = `${addresses.map(formatAddress).join(', ')} cannot be announced from node "${node.name}" with protocol "layer2": none of the interfaces ${wanted.join(', ')} exists there; correct spec.interfaces of the L2Advertisement`;
    return { announcements: [], event: { reason: 'announceFailed', message } };
  }
  return {
    announcements: addresses.map((address) => (everywhere ? { address } : { address, interfaces: wanted })),
    event: { reason: 'nodeAssigned', message: `announcing from node "${node.name}" with protocol "layer2"` },
  };
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
