/**
 * What a Service must not say: the rules of core/v1 as a table, by field.
 * @module
 */
import { own } from '../../../core/api/json.ts';
import { type IpAddress, isLinkLocal } from '../../../core/net/address.ts';
import { parsePrefix, prefixRange, rangeContains } from '../../../core/net/prefix.ts';
import { invalid, labelFault, qualifiedName, subdomain } from '../names.ts';
import { addressFaults } from './addresses.ts';
import {
  hasClusterIp,
  hasHealthCheckPort,
  hasNodePorts,
  isHeadless,
  isLoadBalancer,
  isReachedFromOutside,
  legacyAddress,
  type ServicePort,
  type ServiceSpec,
} from './spec.ts';

type Fault = (field: string, message: string) => void;
type Annotations = Readonly<Record<string, string>> | undefined;

/** A field, and what is wrong with it: undefined where nothing is. */
type Rule = (spec: ServiceSpec, annotations: Annotations) => string | undefined;

const ADDRESS = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const PORT = 'must be between 1 and 65535, inclusive';
const FOR_LOAD_BALANCERS = "Forbidden: may only be used when `type` is 'LoadBalancer'";
const NOT_FOR_NAMES = 'Forbidden: may not be set for ExternalName services';
const REQUIRED = 'Required value';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'";

const RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges';

const show = (value: unknown) => JSON.stringify(value ?? null);
const oneOf = (value: unknown, supported: readonly string[]) =>
  supported.includes(value as string)
    ? undefined
    : `Unsupported value: ${show(value)}: supported values: ${supported.map(show).join(', ')}`;

/** By field, as the answer names it (kube-apiserver spells one of them with a capital). */
const RULES: readonly (readonly [field: string, rule: Rule])[] = [
  ['spec.type', ({ type }) => oneOf(type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'])],
  [
    'spec.ports',
    (spec) => (spec.ports === undefined && !isHeadless(spec) && hasClusterIp(spec) ? REQUIRED : undefined),
  ],
  [
    'spec.clusterIPs[0]',
    (spec) =>
      isHeadless(spec) && hasNodePorts(spec)
        ? invalid('None', `may not be set to 'None' for ${spec.type} services`)
        : undefined,
  ],
  ['spec.clusterIPs', (spec) => (!hasClusterIp(spec) && spec.clusterIPs !== undefined ? NOT_FOR_NAMES : undefined)],
  ['spec.ipFamilies', (spec) => (!hasClusterIp(spec) && spec.ipFamilies !== undefined ? NOT_FOR_NAMES : undefined)],
  [
    'spec.ipFamilyPolicy',
    (spec) => (!hasClusterIp(spec) && spec.ipFamilyPolicy !== undefined ? NOT_FOR_NAMES : undefined),
  ],
  [
    'spec.externalName',
    (spec) =>
      hasClusterIp(spec)
        ? undefined
        : spec.externalName === undefined
          ? REQUIRED
          : subdomain(spec.externalName.replace(/\.$/, '')),
  ],
  ['spec.selector', ({ selector }) => labelFault(selector)],
  ['spec.sessionAffinity', ({ sessionAffinity }) => oneOf(sessionAffinity, ['ClientIP', 'None'])],
  [
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
    ({ sessionAffinity, sessionAffinityConfig }) => {
      const timeout = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 1;
      const isWrong = sessionAffinity === 'ClientIP' && (timeout <= 0 || timeout > 86_400);
      return isWrong ? invalid(timeout, 'must be greater than 0 and less than 86400') : undefined;
    },
  ],
  [
    'spec.LoadBalancerSourceRanges',
    (spec) => (spec.loadBalancerSourceRanges !== undefined && !isLoadBalancer(spec) ? FOR_LOAD_BALANCERS : undefined),
  ],
  [
    `metadata.annotations[${RANGES_ANNOTATION}]`,
    (spec, annotations) => {
      const text = own(annotations, RANGES_ANNOTATION);
      if (text === undefined || spec.loadBalancerSourceRanges !== undefined) return undefined;
      if (!isLoadBalancer(spec)) return FOR_LOAD_BALANCERS;
      const wrong = text.trim() === '' ? undefined : text.split(',').find((range) => !isCidr(range));
      return wrong === undefined ? undefined : invalid(text, CIDR);
    },
  ],
  [
    'spec.allocateLoadBalancerNodePorts',
    (spec) =>
      spec.allocateLoadBalancerNodePorts !== undefined && !isLoadBalancer(spec) ? FOR_LOAD_BALANCERS : undefined,
  ],
  [
    'spec.loadBalancerClass',
    (spec) => {
      if (spec.loadBalancerClass === undefined) return undefined;
      return isLoadBalancer(spec) ? qualifiedName(spec.loadBalancerClass) : FOR_LOAD_BALANCERS;
    },
  ],
  [
    'spec.externalTrafficPolicy',
    (spec) => {
      const policy = spec.externalTrafficPolicy;
      if (isReachedFromOutside(spec)) return oneOf(policy, ['Cluster', 'Local']);
      return policy === undefined ? undefined : invalid(policy, 'may only be set for externally-accessible services');
    },
  ],
  [
    'spec.internalTrafficPolicy',
    ({ internalTrafficPolicy: policy }) => (policy === undefined ? undefined : oneOf(policy, ['Cluster', 'Local'])),
  ],
  [
    'spec.healthCheckNodePort',
    (spec) =>
      spec.healthCheckNodePort === undefined
        ? undefined
        : hasHealthCheckPort(spec)
          ? isPort(spec.healthCheckNodePort)
            ? undefined
            : invalid(spec.healthCheckNodePort, PORT)
          : invalid(
              spec.healthCheckNodePort,
              "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ),
  ],
  [
    'spec.trafficDistribution',
    ({ trafficDistribution: wish }) =>
      wish === undefined ? undefined : oneOf(wish, ['PreferClose', 'PreferSameZone', 'PreferSameNode']),
  ],
];

/** Rules for each entry of a list. */
const ENTRY_RULES: readonly (readonly [
  field: string,
  list: (spec: ServiceSpec) => readonly string[] | undefined,
  rule: (text: string) => string | undefined,
])[] = [
  ['spec.externalIPs', (spec) => spec.externalIPs, externalIpFault],
  [
    'spec.LoadBalancerSourceRanges',
    (spec) => spec.loadBalancerSourceRanges,
    (text) => (isCidr(text) ? undefined : invalid(text, CIDR)),
  ],
];

/** Rules for each port, by field below it; the empty field is the port itself. */
const PORT_RULES: readonly (readonly [
  field: string,
  rule: (port: ServicePort, i: number, spec: ServiceSpec) => string | undefined,
])[] = [
  [
    '.name',
    ({ name }, i, { ports = [] }) => {
      if (name === undefined) return ports.length > 1 ? REQUIRED : undefined;
      if (name.length > 63) return invalid(name, 'must be no more than 63 characters');
      if (!LABEL.test(name)) return invalid(name, DNS_LABEL);
      return ports.findIndex((port) => port.name === name) < i ? `Duplicate value: ${show(name)}` : undefined;
    },
  ],
  ['.port', ({ port }) => (isPort(port) ? undefined : invalid(port, PORT))],
  ['.protocol', ({ protocol }) => oneOf(protocol, ['SCTP', 'TCP', 'UDP'])],
  ['.targetPort', ({ targetPort }) => targetFault(targetPort)],
  ['.appProtocol', ({ appProtocol }) => (appProtocol === undefined ? undefined : qualifiedName(appProtocol))],
  [
    '.nodePort',
    ({ nodePort }, _i, { type }) =>
      type === 'ClusterIP' && nodePort !== undefined
        ? "Forbidden: may not be used when `type` is 'ClusterIP'"
        : undefined,
  ],
  [
    '.nodePort',
    ({ nodePort, protocol }, i, { ports = [] }) => {
      const isTwin = (port: ServicePort) => port.nodePort === nodePort && port.protocol === protocol;
      return nodePort !== undefined && ports.findIndex(isTwin) < i ? `Duplicate value: ${nodePort}` : undefined;
    },
  ],
  [
    '',
    ({ port, protocol }, i, { ports = [] }) =>
      ports.findIndex((other) => other.port === port && other.protocol === protocol) < i
        ? `Duplicate value: ${show({ protocol, port })}`
        : undefined,
  ],
];

/** Reports everything that is wrong with a Service that has its defaults and allocations. */
export function serviceFaults(spec: ServiceSpec, annotations: Annotations, fault: Fault): void {
  const check = (field: string, message: string | undefined) => message !== undefined && fault(field, message);
  for (const [field, rule] of RULES) check(field, rule(spec, annotations));
  for (const [field, list, rule] of ENTRY_RULES)
    for (const [i, text] of (list(spec) ?? []).entries()) check(`${field}[${i}]`, rule(text));
  for (const [i, port] of (spec.ports ?? []).entries())
    for (const [field, rule] of PORT_RULES) check(`spec.ports[${i}]${field}`, rule(port, i, spec));
  addressFaults(spec, fault);
}

/** Special addresses, none of which leads to a Service from outside. */
const SPECIAL: readonly (readonly [prefix: string, why: string])[] = [
  ['0.0.0.0/32', 'may not be unspecified (0.0.0.0)'],
  ['::/128', 'may not be unspecified (::)'],
  ['127.0.0.0/8', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  ['::1/128', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  ['224.0.0.0/24', 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
  ['ff02::/16', 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
];

function externalIpFault(text: string): string | undefined {
  const address = legacyAddress(text);
  if (address === undefined) return invalid(text, ADDRESS);
  if (isLinkLocal(address)) return invalid(text, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  const special = SPECIAL.find(([prefix]) => contains(prefix, address));
  return special && invalid(text, special[1]);
}

function contains(prefix: string, address: IpAddress): boolean {
  return rangeContains(prefixRange(parsePrefix(prefix)!), address);
}

function isCidr(text: string): boolean {
  const [, address, length] = /^([^/]+)\/(\d{1,3})$/.exec(text.trim()) ?? [];
  const parsed = address === undefined ? undefined : legacyAddress(address);
  return parsed !== undefined && Number(length) <= (parsed.family === 'ipv4' ? 32 : 128);
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65535;
}

function targetFault(target: number | string | undefined): string | undefined {
  if (typeof target !== 'string') return isPort(target) ? undefined : invalid(target, PORT);
  if (target.length > 15) return invalid(target, 'must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(target))
    return invalid(target, 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(target)) return invalid(target, 'must contain at least one letter (a-z)');
  return /--|^-|-$/.test(target)
    ? invalid(target, 'must not contain consecutive hyphens, or begin or end with one')
    : undefined;
}

/** Reports everything that is wrong with what a load balancer says of itself. */
export function statusFaults(
  ingress: readonly { readonly ip?: string; readonly ipMode?: string; readonly hostname?: string }[],
  spec: ServiceSpec,
  fault: Fault,
): void {
  const at = 'status.loadBalancer.ingress';
  if (ingress.length > 0 && !isLoadBalancer(spec)) {
    fault(at, "Forbidden: may only be used when `spec.type` is 'LoadBalancer'");
    return;
  }
  for (const [i, { ip, ipMode, hostname }] of ingress.entries()) {
    const check = (field: string, message: string | undefined) =>
      message !== undefined && fault(`${at}[${i}].${field}`, message);
    if (ip !== undefined && legacyAddress(ip) === undefined) check('ip', invalid(ip, ADDRESS));
    if (ipMode !== undefined)
      check(
        'ipMode',
        ip === undefined ? 'Forbidden: may not be specified when `ip` is not set' : oneOf(ipMode, ['Proxy', 'VIP']),
      );
    if (hostname !== undefined)
      check(
        'hostname',
        legacyAddress(hostname) === undefined
          ? subdomain(hostname)
          : invalid(hostname, 'must be a DNS name, not an IP address'),
      );
  }
}
