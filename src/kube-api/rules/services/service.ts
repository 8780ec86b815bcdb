/**
 * What the API server itself does with a Service that is written, in the order of kube-apiserver: defaults, what stays from before,
 * families, cluster IPs, node ports, what goes with the type, and last the rules. A step with faults ends it.
 * @module
 */
import { formatAddress } from '../../../core/net/address.ts';
import type { ApiObject, Store } from '../../storage/store.ts';
import type { AdmissionContext } from '../resource.ts';
import {
  addressFaults,
  allocateClusterIps,
  changedClusterIps,
  inferFamilies,
  isSame,
  synchronize,
} from './addresses.ts';
import { serviceFaults, statusFaults } from './faults.ts';
import { allocateNodePorts, keepNodePorts, nodePortsOf } from './node-ports.ts';
import {
  hasClusterIp,
  hasHealthCheckPort,
  hasNodePorts,
  isLoadBalancer,
  isReachedFromOutside,
  legacyAddress,
  type ServiceSpec,
  statusWithDefaults,
  withDefaults,
} from './spec.ts';

export function admitService(object: ApiObject, context: AdmissionContext): ApiObject {
  const { store, old } = context;
  const spec = withDefaults(object.spec);
  const before = old?.spec === undefined ? undefined : withDefaults(old.spec);
  let faults = 0;
  const fault: AdmissionContext['fault'] = (field, message) => {
    faults++;
    context.fault(field, message);
  };
  const others = otherServices(store, object);
  const steps: readonly (() => void)[] = [
    () => {
      if (before !== undefined) keepAllocated(spec, before);
      synchronize(spec, before);
      addressFaults(spec, fault);
    },
    () => inferFamilies(spec, before, fault),
    () => allocateClusterIps(spec, before, clusterIpsOf(others), fault),
    () => {
      const taken = new Set(others.flatMap(nodePortsOf));
      const { namespace, name } = object.metadata;
      allocateNodePorts(spec, before, taken, `${namespace}/${name}`, fault);
    },
    () => {
      if (before !== undefined) dropWithType(spec, before);
      if (before !== undefined) changes(spec, before, fault);
      serviceFaults(spec, object.metadata.annotations, fault);
    },
  ];
  for (const step of steps) if (faults === 0) step();
  const status = statusWithDefaults(object.status);
  return { ...object, spec, status: isLoadBalancer(spec) ? status : { ...status, loadBalancer: {} } };
}

/** A write to the status, by whoever gives addresses out. */
export function admitServiceStatus(object: ApiObject, { fault }: AdmissionContext): ApiObject {
  const status = statusWithDefaults(object.status);
  statusFaults(status.loadBalancer.ingress ?? [], object.spec, fault);
  return { ...object, status };
}

/** What the server once chose stays where an update does not mention it. */
function keepAllocated(spec: ServiceSpec, before: ServiceSpec): void {
  if (hasClusterIp(spec) && hasClusterIp(before)) {
    if (before.clusterIP !== undefined) spec.clusterIP ??= before.clusterIP;
    if (before.clusterIPs !== undefined && spec.clusterIP === before.clusterIP)
      spec.clusterIPs ??= [...before.clusterIPs];
  }
  keepNodePorts(spec, before);
}

/** What no longer means anything to the new type goes, unless this very update sets it. */
const WITH_TYPE: readonly (readonly [has: (spec: ServiceSpec) => boolean, fields: readonly (keyof ServiceSpec)[]])[] = [
  [hasClusterIp, ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy']],
  [hasHealthCheckPort, ['healthCheckNodePort']],
  [isLoadBalancer, ['allocateLoadBalancerNodePorts', 'loadBalancerClass']],
  [isReachedFromOutside, ['externalTrafficPolicy']],
];

function dropWithType(spec: ServiceSpec, before: ServiceSpec): void {
  for (const [has, fields] of WITH_TYPE)
    if (has(before) && !has(spec))
      for (const field of fields) if (isSame([spec[field]], [before[field]])) delete spec[field];
  const known = new Set(before.ports?.map(({ nodePort }) => nodePort));
  const isKnown = spec.ports?.every(({ nodePort }) => nodePort === undefined || known.has(nodePort));
  if (hasNodePorts(before) && !hasNodePorts(spec) && isKnown) for (const port of spec.ports ?? []) delete port.nodePort;
}

/** What stays once it is there. */
function changes(spec: ServiceSpec, before: ServiceSpec, fault: AdmissionContext['fault']): void {
  if (hasClusterIp(spec) && hasClusterIp(before)) changedClusterIps(spec, before, fault);
  if (isLoadBalancer(spec) && isLoadBalancer(before) && spec.loadBalancerClass !== before.loadBalancerClass)
    fault(
      'spec.loadBalancerClass',
      `Invalid value: ${JSON.stringify(spec.loadBalancerClass ?? null)}: may not change once set`,
    );
  if (hasHealthCheckPort(spec) && hasHealthCheckPort(before) && spec.healthCheckNodePort !== before.healthCheckNodePort)
    fault('spec.healthCheckNodePort', 'Forbidden: field is immutable');
}

function otherServices(store: Store, { metadata: own }: ApiObject): ServiceSpec[] {
  return store
    .list('services')
    .filter(({ metadata }) => metadata.name !== own.name || metadata.namespace !== own.namespace)
    .map(({ spec }) => spec as ServiceSpec);
}

function clusterIpsOf(services: readonly ServiceSpec[]): Set<string> {
  const addresses = services.flatMap(({ clusterIPs = [] }) => clusterIPs.map((text) => legacyAddress(text)));
  return new Set(addresses.flatMap((address) => (address === undefined ? [] : [formatAddress(address)])));
}
