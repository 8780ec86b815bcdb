/**
 * Why a Service has the address that it has, or none, and who announces it: everything that is known, as data.
 * @module
 */
import {
  type EndpointSlice,
  type KubernetesObject,
  type Node,
  objectKey,
  SERVICE_NAME_LABEL,
  type Service,
} from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import type { ElectionResult, Sha256 } from '../election/election.ts';
import type { PoolCheck } from '../ipam/request.ts';
import { OfflineController } from './offline.ts';
import type { EventNote } from './reasons.ts';
import { isOurClass } from './service-class.ts';
import { currentAddresses, requestOfService, withSetAside } from './service-decision.ts';
import {
  initialSpeaker,
  SPEAKER_RESOURCES,
  type SpeakerOutput,
  type SpeakerResource,
  speakerMachine,
  UPSTREAM_RULES,
} from './speaker.ts';

export type ExplainObjects = Readonly<Partial<Record<SpeakerResource, readonly KubernetesObject[]>>>;

export interface Explanation {
  readonly service: string;
  readonly addresses: readonly string[];
  /** What the controller would tell about the Service if it looked at it now. */
  readonly told: readonly EventNote[];
  /** Every pool with its verdict for this Service. */
  readonly pools: readonly PoolCheck[];
  /** Undefined when there is nothing to announce. Speakers are taken to be alive: only they themselves know. */
  readonly election: ElectionResult | undefined;
  /** What the speakers themselves say: who announces it, on which interfaces (none: all), since when (RFC 3339). */
  readonly announcers: readonly Announcer[];
  readonly problems: readonly Problem[];
}

export interface Announcer {
  readonly node: string;
  readonly interfaces: readonly string[];
  readonly since: string;
}

/** Explains one Service; undefined when there is none of that key. */
export function explainService(
  objects: ExplainObjects,
  key: string,
  loadBalancerClass: string,
  sha256: Sha256,
): Explanation | undefined {
  const service = (objects.services ?? []).find((object) => objectKey(object) === key) as Service | undefined;
  if (service === undefined) return undefined;
  const offline = new OfflineController(objects, loadBalancerClass);
  const ours = isOurClass(service, loadBalancerClass) && service.spec?.type === 'LoadBalancer';
  const request = ours ? requestOfService(service) : undefined;
  return {
    service: key,
    addresses: currentAddresses(service),
    told: offline.eventsOf(key),
    pools: request === undefined ? [] : withSetAside(offline.allocator.examine(request), request, offline.setAside),
    election: electionFor(objects, key, loadBalancerClass, sha256),
    announcers: announcersOf(objects, key),
    problems: offline.problems,
  };
}

interface L2Status extends KubernetesObject {
  readonly status?: {
    readonly node?: string;
    readonly serviceName?: string;
    readonly serviceNamespace?: string;
    readonly interfaces?: readonly { readonly name?: string }[];
  };
}

function announcersOf(objects: ExplainObjects, key: string): Announcer[] {
  return ((objects.servicel2statuses ?? []) as readonly L2Status[])
    .filter(({ status }) => `${status?.serviceNamespace}/${status?.serviceName}` === key)
    .map(({ metadata, status }) => ({
      node: status?.node ?? '',
      interfaces: (status?.interfaces ?? []).flatMap(({ name }) => name ?? []),
      since: metadata.creationTimestamp ?? '',
    }));
}

/** Asks the speaker machine itself: any node computes the same. */
function electionFor(
  objects: ExplainObjects,
  key: string,
  loadBalancerClass: string,
  sha256: Sha256,
): ElectionResult | undefined {
  const machine = speakerMachine(sha256);
  const [name = ''] = (objects.nodes ?? []).map((node) => (node as Node).metadata.name);
  let state = initialSpeaker({
    node: name,
    loadBalancerClass,
    ignoreExcludeLabel: false,
    drainOnCordon: false,
    liveness: false,
    fenced: false,
    rules: UPSTREAM_RULES,
  });
  let election: ElectionResult | undefined;
  for (const resource of SPEAKER_RESOURCES) {
    const { next, outputs } = machine.step(state, { kind: 'replaced', resource, objects: objects[resource] ?? [] }, 0);
    state = next;
    for (const output of outputs as readonly SpeakerOutput[]) {
      if (output.kind === 'service-decided' && output.service === key) election = output.election;
    }
  }
  return election;
}

/** How many endpoints of the Service can be seen at all; 0 is the commonest reason for silence. */
export function endpointCount(objects: ExplainObjects, key: string): number {
  const [namespace, name] = key.split('/');
  const slices = (objects.endpointslices ?? []) as readonly EndpointSlice[];
  return slices
    .filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[SERVICE_NAME_LABEL] === name)
    .reduce((count, { endpoints = [] }) => count + endpoints.length, 0);
}
