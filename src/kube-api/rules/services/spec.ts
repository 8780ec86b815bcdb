/**
 * core/v1 ServiceSpec and ServiceStatus, as far as the API server itself decides about them, with their defaults.
 * @module
 */
import { type IpAddress, type IpFamily, parseAddress } from '../../../core/net/address.ts';

export interface ServicePort {
  name?: string;
  protocol?: string;
  appProtocol?: string;
  port: number;
  targetPort?: number | string;
  nodePort?: number;
}

export interface ServiceSpec {
  type: string;
  ports?: ServicePort[];
  selector?: Record<string, string>;
  clusterIP?: string;
  clusterIPs?: string[];
  ipFamilies?: string[];
  ipFamilyPolicy?: string;
  externalIPs?: string[];
  externalName?: string;
  externalTrafficPolicy?: string;
  internalTrafficPolicy?: string;
  healthCheckNodePort?: number;
  sessionAffinity?: string;
  sessionAffinityConfig?: { clientIP?: { timeoutSeconds?: number } };
  loadBalancerClass?: string;
  loadBalancerIP?: string;
  loadBalancerSourceRanges?: string[];
  allocateLoadBalancerNodePorts?: boolean;
  publishNotReadyAddresses?: boolean;
  trafficDistribution?: string;
}

export interface Ingress {
  readonly ip?: string;
  readonly ipMode?: string;
  readonly hostname?: string;
}

/** Seconds that a client stays with a Pod where nothing else is said. */
const AFFINITY_TIMEOUT = 10_800;

/** What each type of Service has. */
export const hasClusterIp = ({ type }: ServiceSpec) => type !== 'ExternalName';
export const hasNodePorts = ({ type }: ServiceSpec) => type === 'NodePort' || type === 'LoadBalancer';
export const isLoadBalancer = ({ type }: ServiceSpec) => type === 'LoadBalancer';
export const isHeadless = ({ clusterIPs }: ServiceSpec) => clusterIPs?.[0] === 'None';
export const isReachedFromOutside = (spec: ServiceSpec) =>
  hasNodePorts(spec) || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);
export const hasHealthCheckPort = (spec: ServiceSpec) => isLoadBalancer(spec) && spec.externalTrafficPolicy === 'Local';

/** Fields in which an empty value says something of its own. */
const KEPT_EMPTY: readonly string[] = [
  'loadBalancerClass',
  'ipFamilyPolicy',
  'internalTrafficPolicy',
  'trafficDistribution',
  'allocateLoadBalancerNodePorts',
  'timeoutSeconds',
  'port',
  'clusterIPs',
];

/** The spec with its defaults, and without what is empty: there is no difference to what is absent. */
export function withDefaults(given: object | undefined): ServiceSpec {
  const spec = withoutEmpty(given ?? {}) as ServiceSpec;
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP')
    spec.sessionAffinityConfig = {
      clientIP: { timeoutSeconds: AFFINITY_TIMEOUT, ...spec.sessionAffinityConfig?.clientIP },
    };
  if (spec.ports !== undefined)
    spec.ports = spec.ports.map((port) => ({
      ...port,
      port: port.port ?? 0,
      protocol: port.protocol ?? 'TCP',
      targetPort: port.targetPort ?? port.port ?? 0,
    }));
  if (isReachedFromOutside(spec)) spec.externalTrafficPolicy ??= 'Cluster';
  if (['ClusterIP', 'NodePort', 'LoadBalancer'].includes(spec.type)) spec.internalTrafficPolicy ??= 'Cluster';
  if (isLoadBalancer(spec)) spec.allocateLoadBalancerNodePorts ??= true;
  return spec;
}

/** Without empty texts, zeros, `false`, and empty lists and maps, as kube-apiserver stores an object. */
function withoutEmpty(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutEmpty(item));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name, child]) => {
    if (child === null || child === undefined) return false;
    if (KEPT_EMPTY.includes(name) && !(Array.isArray(child) && child.length === 0)) return true;
    if (Array.isArray(child)) return child.length > 0;
    if (key === 'selector') return true;
    if (name === 'selector') return Object.keys(child as object).length > 0;
    return child !== '' && child !== 0 && child !== false;
  });
  return Object.fromEntries(kept.map(([name, child]) => [name, withoutEmpty(child, name)]));
}

/** The status with its defaults: an address is one of the load balancer's unless its controller says otherwise. */
export function statusWithDefaults(given: unknown): { loadBalancer: { ingress?: Ingress[] } } {
  const { loadBalancer, conditions, ...rest } = withoutEmptyLists(given ?? {}) as {
    loadBalancer?: { ingress?: Ingress[] };
    conditions?: object[];
  };
  const said = conditions?.map((condition) => ({ lastTransitionTime: null, message: '', reason: '', ...condition }));
  const ingress = loadBalancer?.ingress?.map((entry) => {
    const { ip, ...others } = withoutEmpty(entry) as Ingress;
    return ip === undefined ? others : { ipMode: 'VIP', ...others, ip };
  });
  return {
    ...rest,
    ...(said !== undefined && { conditions: said }),
    loadBalancer: { ...(ingress !== undefined && ingress.length > 0 && { ingress }) },
  };
}

function withoutEmptyLists(given: object): object {
  return Object.fromEntries(
    Object.entries(given).filter(([, child]) => !(child === null || (Array.isArray(child) && child.length === 0))),
  );
}

/** An address as it may be written in fields that are older than the strict rules: octets with leading zeros are decimal. */
export function legacyAddress(text: string): IpAddress | undefined {
  return parseAddress(/^[\d.]+$/.test(text) ? text.replace(/(^|\.)0+(?=\d)/g, '$1') : text);
}

export function familyName(family: IpFamily): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6';
}
