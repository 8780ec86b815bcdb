/**
 * Where we would differ from the load balancer that runs now: feeds our machines with the cluster as it is, and compares their decisions with
 * its Services and status objects. For shadow mode and `migrate`.
 * @module
 */
import { type KubernetesObject, objectKey, type Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import type { Sha256 } from '../election/election.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { isOurClass } from '../service/service-class.ts';
import { decideBgpFor, toldPeers } from '../speaker/bgp-decision.ts';
import { electionsFor, factsOf, type SpeakerResource, type SpeakerState, slicesOf } from '../speaker/state.ts';
import { OfflineController } from './offline-controller.ts';
import { offlineSpeaker } from './offline-speaker.ts';
import { type RoutersOf, routersByNode } from './routers.ts';

/** The resources that are compared. Upstream and we have the same status kinds. */
export type ComparedResource = SpeakerResource | 'servicel2statuses' | 'servicebgpstatuses';
export type ComparedObjects = Readonly<Partial<Record<ComparedResource, readonly KubernetesObject[]>>>;

export type Aspect = 'addresses' | 'layer2' | 'bgp';

export interface Difference {
  readonly aspect: Aspect;
  /** `namespace/name`. */
  readonly service: string;
  /** What there is now; empty: nothing. */
  readonly theirs: string;
  /** What there would be. */
  readonly ours: string;
  /** The texts of our Events; empty without any. */
  readonly why: string;
}

export interface Comparison {
  /** How many Services of type LoadBalancer are of our class. */
  readonly services: number;
  readonly differences: readonly Difference[];
  /** Configuration that we would set aside. */
  readonly problems: readonly Problem[];
}

/** Compares some aspects of all Services; `node`: only what this node announces; undefined: all nodes. */
export function compareWithCluster(
  objects: ComparedObjects,
  aspects: readonly Aspect[],
  loadBalancerClass: string,
  sha256: Sha256,
  node?: string,
): Comparison {
  const offline = new OfflineController(objects, { loadBalancerClass });
  offline.settle();
  const services = ((objects.services ?? []) as readonly Service[]).filter(
    (service) => service.spec?.type === 'LoadBalancer' && isOurClass(service, loadBalancerClass),
  );
  const speakers = aspects.some((aspect) => aspect !== 'addresses')
    ? offlineSpeaker(objects, loadBalancerClass, sha256)
    : undefined;
  const routers = routersByNode(objects, offline.config.peers);
  const [byLayer2, byBgp] = [objects.servicel2statuses, objects.servicebgpstatuses].map(byService);
  const differences = services.flatMap((service) => {
    const key = objectKey(service);
    return [
      ...(aspects.includes('addresses') ? addressDifference(service, offline) : []),
      ...(speakers !== undefined && aspects.includes('layer2')
        ? layer2Difference(key, byLayer2!.get(key) ?? [], speakers, node)
        : []),
      ...(speakers !== undefined && aspects.includes('bgp')
        ? bgpDifference(service, byBgp!.get(key) ?? [], speakers, routers, node)
        : []),
    ];
  });
  return { services: services.length, differences, problems: offline.problems };
}

function addressDifference(service: Service, offline: OfflineController): Difference[] {
  const key = objectKey(service);
  const theirs = currentAddresses(service).join(', ');
  const ours = currentAddresses(offline.service(key) ?? service).join(', ');
  const why = offline
    .eventsOf(key)
    .map(({ message }) => message)
    .join('; ');
  return theirs === ours ? [] : [{ aspect: 'addresses', service: key, theirs, ours, why }];
}

interface ServiceStatus extends KubernetesObject {
  readonly status?: {
    readonly node?: string;
    readonly serviceName?: string;
    readonly serviceNamespace?: string;
    readonly peers?: readonly string[];
  };
}

/** Groups speakers' status objects by the key of their Service. */
function byService(objects: readonly KubernetesObject[] = []): ReadonlyMap<string, ServiceStatus[]> {
  return Map.groupBy(
    objects as readonly ServiceStatus[],
    ({ status }) => `${status?.serviceNamespace}/${status?.serviceName}`,
  );
}

function layer2Difference(
  key: string,
  told: readonly ServiceStatus[],
  state: SpeakerState,
  node: string | undefined,
): Difference[] {
  const concerns = (name: string | undefined) => name !== undefined && (node === undefined || name === node);
  const theirs = told.flatMap(({ status }) => status?.node ?? []).filter(concerns);
  const owners = electionsFor(state, key).flatMap(({ election }) => election.owner ?? []);
  return difference('layer2', key, theirs, [...new Set(owners)].filter(concerns));
}

function bgpDifference(
  service: Service,
  told: readonly ServiceStatus[],
  state: SpeakerState,
  routersOf: RoutersOf,
  node: string | undefined,
): Difference[] {
  const theirs = told.flatMap(({ status }) =>
    node === undefined || status?.node === node
      ? (status?.peers ?? []).map((peer) => `${status?.node} to ${peer}`)
      : [],
  );
  const facts = factsOf(state);
  const ours = state.candidates
    .filter(({ name }) => node === undefined || name === node)
    .flatMap((candidate) => {
      const decision = decideBgpFor(facts, candidate, service, slicesOf(state, service), true);
      if (decision?.verdict !== 'announced') return [];
      return toldPeers(decision, routersOf(candidate.labels)).map((peer) => `${candidate.name} to ${peer}`);
    });
  return difference('bgp', objectKey(service), theirs, ours);
}

function difference(aspect: Aspect, service: string, theirs: readonly string[], ours: readonly string[]): Difference[] {
  const [a, b] = [theirs, ours].map((names) => [...new Set(names)].sort().join(', '));
  return a === b ? [] : [{ aspect, service, theirs: a!, ours: b!, why: '' }];
}

/** One line for a log or a terminal. */
export function describeDifference({ aspect, service, theirs, ours, why }: Difference): string {
  const nothing = aspect === 'addresses' ? 'no address' : 'nobody';
  const what = { addresses: 'address', layer2: 'announced by ARP and NDP from', bgp: 'announced by BGP from' }[aspect];
  return `${service}: ${what}: now ${theirs || nothing}, would be ${ours || nothing}${why === '' ? '' : ` (${why})`}`;
}
