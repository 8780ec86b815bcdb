/**
 * What the API server decides about Services: defaults, cluster IPs, node ports, and the validation of core/v1.
 * @module
 */
import { formatAddress, type IpFamily, parseAddress } from '../../core/net/address.ts';
import { parsePrefix, prefixRange, rangeContains } from '../../core/net/prefix.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import type { Admission } from './resource.ts';

/** The ranges of cluster IPs (kubeadm's default for IPv4). */
const CLUSTER_RANGES: Readonly<Record<IpFamily, ReturnType<typeof prefixRange>>> = {
  ipv4: prefixRange(parsePrefix('10.96.0.0/12')!),
  ipv6: prefixRange(parsePrefix('fd00:10:96::/112')!),
};
/** The range of node ports (Kubernetes' default). */
const NODE_PORTS = { first: 30000, last: 32767 };
/** The first addresses of a range are reserved for Services that ask for a specific one. */
const STATIC_ADDRESSES = 256n;

const TYPES: readonly string[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];
const PROTOCOLS: readonly string[] = ['TCP', 'UDP', 'SCTP'];

interface Port {
  name?: string;
  protocol?: string;
  port: number;
  targetPort?: number | string;
  nodePort?: number;
}

export function admitService(object: ApiObject, admission: Admission): ApiObject {
  const { old, store, fault } = admission;
  const spec = { ...object.spec };
  if (object.spec === undefined) fault('spec', 'Required value');
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (!TYPES.includes(spec.type))
    fault('spec.type', `Unsupported value: "${spec.type}": supported values: ${TYPES.join(', ')}`);
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (spec.type === 'ExternalName') {
    if (!spec.externalName) fault('spec.externalName', 'Required value');
    for (const key of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[key];
    return { ...object, spec, status: object.status ?? { loadBalancer: {} } };
  }
  spec.internalTrafficPolicy ??= 'Cluster';
  if (external) spec.externalTrafficPolicy ??= 'Cluster';
  else delete spec.externalTrafficPolicy;
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  else {
    delete spec.allocateLoadBalancerNodePorts;
    if (spec.loadBalancerClass !== undefined && old?.spec?.type === 'LoadBalancer') delete spec.loadBalancerClass;
  }
  if (
    old?.spec?.type === 'LoadBalancer' &&
    spec.type === 'LoadBalancer' &&
    old.spec.loadBalancerClass !== spec.loadBalancerClass
  ) {
    fault('spec.loadBalancerClass', `Invalid value: "${spec.loadBalancerClass ?? ''}": may not change once set`);
  }
  const named = { ...object, spec };
  assignClusterIps(named, admission);
  spec.ports = admitPorts(named, external && spec.allocateLoadBalancerNodePorts !== false, store, old, fault);
  const status =
    old?.spec?.type === 'LoadBalancer' && spec.type !== 'LoadBalancer'
      ? { loadBalancer: {} }
      : (object.status ?? { loadBalancer: {} });
  return { ...named, status };
}

function admitPorts(
  service: ApiObject,
  needsNodePorts: boolean,
  store: Store,
  old: ApiObject | undefined,
  fault: Admission['fault'],
): Port[] | undefined {
  const ports = service.spec.ports as Port[] | undefined;
  if (ports === undefined || ports.length === 0) {
    if (service.spec.clusterIP !== 'None') fault('spec.ports', 'Required value');
    return ports;
  }
  const takenNodePorts = usedNodePorts(store, service);
  const seen = new Set<string>();
  const external = service.spec.type === 'NodePort' || service.spec.type === 'LoadBalancer';
  return ports.map((given, i) => {
    const at = `spec.ports[${i}]`;
    const port: Port = { ...given, protocol: given.protocol ?? 'TCP', targetPort: given.targetPort ?? given.port };
    if (!isPort(port.port))
      fault(`${at}.port`, `Invalid value: ${JSON.stringify(port.port) ?? ''}: must be between 1 and 65535, inclusive`);
    if (!PROTOCOLS.includes(port.protocol!))
      fault(`${at}.protocol`, `Unsupported value: "${port.protocol}": supported values: ${PROTOCOLS.join(', ')}`);
    if (ports.length > 1 && !port.name) fault(`${at}.name`, 'Required value');
    const identity = `${port.protocol}/${port.port}`;
    if (seen.has(identity)) fault(at, `Duplicate value: {"protocol":"${port.protocol}","port":${port.port}}`);
    seen.add(identity);
    if (port.name && ports.findIndex((other) => other.name === port.name) < i)
      fault(`${at}.name`, `Duplicate value: "${port.name}"`);
    if (!external) {
      if (old !== undefined && old.spec?.type !== service.spec.type) delete port.nodePort;
      else if (port.nodePort)
        fault(`${at}.nodePort`, `Forbidden: may not be used when \`type\` is '${service.spec.type}'`);
      return port;
    }
    if (port.nodePort) {
      if (port.nodePort < NODE_PORTS.first || port.nodePort > NODE_PORTS.last) {
        fault(
          `${at}.nodePort`,
          `Invalid value: ${port.nodePort}: provided port is not in the valid range. The range of valid ports is ${NODE_PORTS.first}-${NODE_PORTS.last}`,
        );
      } else if (takenNodePorts.has(port.nodePort)) {
        fault(`${at}.nodePort`, `Invalid value: ${port.nodePort}: provided port is already allocated`);
      }
    } else if (needsNodePorts) {
      const before = (old?.spec?.ports as Port[] | undefined)?.find(
        (p) => p.port === port.port && p.protocol === port.protocol,
      );
      const chosen =
        before?.nodePort ??
        freeNodePort(takenNodePorts, `${service.metadata.namespace}/${service.metadata.name}:${identity}`);
      if (chosen === undefined) fault(`${at}.nodePort`, 'Internal error: all node ports are taken');
      else port.nodePort = chosen;
    }
    if (port.nodePort) takenNodePorts.add(port.nodePort);
    return port;
  });
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65535;
}

function usedNodePorts(store: Store, service: ApiObject): Set<number> {
  const { namespace, name } = service.metadata;
  const others = store
    .list('services')
    .filter(({ metadata }) => metadata.name !== name || metadata.namespace !== namespace);
  return new Set(
    others.flatMap(({ spec }) =>
      ((spec?.ports ?? []) as Port[]).flatMap(({ nodePort }) => (nodePort ? [nodePort] : [])),
    ),
  );
}

/** Starts at a hash of the name, so that a Service that is recreated tends to get its old port. */
function freeNodePort(taken: ReadonlySet<number>, seed: string): number | undefined {
  const size = NODE_PORTS.last - NODE_PORTS.first + 1;
  let hash = 5381;
  for (const character of seed) hash = (hash * 33 + character.charCodeAt(0)) % 4294967296;
  for (let i = 0; i < size; i++) {
    const port = NODE_PORTS.first + ((hash + i) % size);
    if (!taken.has(port)) return port;
  }
  return undefined;
}

function assignClusterIps(service: ApiObject, { old, store, fault }: Admission): void {
  const { spec } = service;
  const families = wantedFamilies(spec);
  spec.ipFamilyPolicy ??= 'SingleStack';
  if (spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None') {
    Object.assign(spec, { clusterIP: 'None', clusterIPs: ['None'], ipFamilies: families.map(familyName) });
    return;
  }
  const previous = (old?.spec?.type === 'ExternalName' ? undefined : old?.spec?.clusterIPs) as string[] | undefined;
  const given = (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : undefined) ?? previous ?? []) as string[];
  if (previous?.[0] && given[0] !== previous[0]) {
    fault('spec.clusterIPs[0]', `Invalid value: ${JSON.stringify(given)}: may not change once set`);
    return;
  }
  const taken = new Set(
    store
      .list('services')
      .filter(
        ({ metadata }) => metadata.name !== service.metadata.name || metadata.namespace !== service.metadata.namespace,
      )
      .flatMap(({ spec: other }) => (other?.clusterIPs ?? []) as string[]),
  );
  const chosen: string[] = [];
  for (const [i, family] of families.entries()) {
    const asked =
      given.find((text) => parseAddress(text)?.family === family) ??
      (i === 0 && spec.ipFamilies === undefined ? given[0] : undefined);
    const text = asked ?? freeClusterIp(family, taken);
    const address = parseAddress(text);
    if (address === undefined) fault(`spec.clusterIPs[${i}]`, `Invalid value: "${text}": must be a valid IP address`);
    else if (!rangeContains(CLUSTER_RANGES[address.family], address)) {
      fault(
        'spec.clusterIPs',
        `Invalid value: ${JSON.stringify([text])}: failed to allocate IP ${text}: the provided IP is not in the valid range`,
      );
    } else if (taken.has(text)) {
      fault(
        'spec.clusterIPs',
        `Invalid value: ${JSON.stringify([text])}: failed to allocate IP ${text}: provided IP is already allocated`,
      );
    }
    chosen.push(text);
  }
  spec.clusterIP = chosen[0];
  spec.clusterIPs = chosen;
  spec.ipFamilies = chosen.map((text, i) => familyName(parseAddress(text)?.family ?? families[i]!));
}

function wantedFamilies(spec: ApiObject['spec']): IpFamily[] {
  const asked = ((spec.ipFamilies ?? []) as string[]).map((name): IpFamily => (name === 'IPv6' ? 'ipv6' : 'ipv4'));
  const fromAddress = parseAddress(spec.clusterIPs?.[0] ?? spec.clusterIP ?? '')?.family;
  const first = asked[0] ?? fromAddress ?? 'ipv4';
  const dual = spec.ipFamilyPolicy === 'PreferDualStack' || spec.ipFamilyPolicy === 'RequireDualStack';
  return dual ? [first, first === 'ipv4' ? 'ipv6' : 'ipv4'] : [first];
}

function familyName(family: IpFamily): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6';
}

function freeClusterIp(family: IpFamily, taken: ReadonlySet<string>): string {
  const range = CLUSTER_RANGES[family];
  for (let value = range.first + STATIC_ADDRESSES; value <= range.last; value++) {
    const text = formatAddress({ family, value });
    if (!taken.has(text)) return text;
  }
  return '';
}
