/**
 * Services as people write and edit them, rightly and wrongly, for any API server: every field with good and bad values, every change of
 * type, whole and partial writes, and the status. What a real one answers is recorded in service-answers.jsonl (tools/record-services.ts).
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiError, type KubernetesClient, MERGE_PATCH } from '../../src/adapters/kubernetes/client.ts';

// biome-ignore lint/suspicious/noExplicitAny: Services that are wrong in every field
type Json = any;

export interface ServiceCase {
  readonly name: string;
  /** The Service that is created first; the case is about this alone where nothing follows. */
  readonly spec: Json;
  readonly metadata?: Json;
  readonly edit?: Edit;
}

interface Edit {
  /** A merge patch, a PUT of nothing but this, or the same of the status. */
  readonly how: 'patch' | 'replace' | 'patch-status' | 'replace-status';
  readonly body: Json;
}

/** What the server said. */
export interface Answer {
  readonly code: number;
  readonly reason?: string;
  /** Field and kind of fault, sorted. */
  readonly faults?: readonly string[];
  /** Difference to the Service before the write, to what was sent where it was created; null is gone. */
  readonly spec?: Json;
  readonly status?: Json;
}

/** Taken by another Service: addresses and ports that nobody else can have. */
export const NEIGHBOUR = {
  type: 'LoadBalancer',
  clusterIP: '10.96.0.77',
  externalTrafficPolicy: 'Local',
  healthCheckNodePort: 30078,
  ports: [{ port: 80, nodePort: 30077 }],
};

const PORTS = [{ port: 80 }];
const DUAL = ['10.96.0.50', 'fd00:10:96::50'];

/** Good and bad values of each field; some need a second field. */
const VALUES: Readonly<Record<string, readonly Json[]>> = {
  type: ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName', 'Balancer', '', null],
  externalTrafficPolicy: ['Local', 'Cluster', 'Sometimes', '', null],
  internalTrafficPolicy: ['Local', 'Cluster', 'Never', '', null],
  sessionAffinity: ['None', 'ClientIP', 'Cookie', '', null],
  sessionAffinityConfig: [{ clientIP: { timeoutSeconds: 60 } }, { clientIP: { timeoutSeconds: 0 } }, {}],
  loadBalancerSourceRanges: [
    ['10.0.0.0/8'],
    ['10.0.0.0/33'],
    ['10.0.0.1/8'],
    ['10.0.0.0'],
    [' 10.0.0.0/8 '],
    ['010.0.0.0/8'],
    ['fd00::/8', '10.0.0.0/8'],
    [''],
    [],
  ],
  loadBalancerIP: ['192.0.2.1', 'nonsense', ''],
  loadBalancerClass: ['example.com/a', 'internal', 'Bad Class!', '', null],
  allocateLoadBalancerNodePorts: [true, false, null],
  healthCheckNodePort: [30050, 30078, 80, 0, -1],
  externalIPs: [
    ['192.0.2.1'],
    ['x'],
    ['127.0.0.1'],
    ['0.0.0.0'],
    ['224.0.0.1'],
    ['169.254.1.1'],
    ['fe80::1'],
    ['010.0.0.1'],
    ['fd00::1', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    [],
  ],
  externalName: ['a.example', 'Not_A_Name', '192.0.2.1', 'a.example.', ''],
  clusterIP: [
    '10.96.0.50',
    '10.96.0.77',
    '10.96.0.1',
    'None',
    'none',
    '',
    '192.0.2.1',
    'x',
    'fd00:10:96::50',
    '010.96.0.50',
    null,
  ],
  clusterIPs: [
    ['10.96.0.50'],
    DUAL,
    DUAL.toReversed(),
    ['10.96.0.50', '10.96.0.51'],
    ['10.96.0.50', '10.96.0.50'],
    ['None'],
    ['None', '10.96.0.50'],
    [''],
    ['x'],
    [],
    [...DUAL, '10.96.0.51'],
    null,
  ],
  ipFamilies: [
    ['IPv4'],
    ['IPv6'],
    ['IPv4', 'IPv6'],
    ['IPv6', 'IPv4'],
    ['IPv4', 'IPv4'],
    ['IPv5'],
    ['IPv4', 'IPv6', 'IPv4'],
    [],
    null,
  ],
  ipFamilyPolicy: ['SingleStack', 'PreferDualStack', 'RequireDualStack', 'Whatever', '', null],
  publishNotReadyAddresses: [true, false],
  selector: [{ app: 'x' }, { 'bad key!': 'x' }, { app: 'bad value!' }, { app: '' }, {}, null],
  trafficDistribution: ['PreferClose', 'PreferSameZone', 'PreferSameNode', 'Anything', '', null],
  ports: [
    [],
    null,
    [{ port: 0 }],
    [{ port: 65535 }],
    [{ port: 65536 }],
    [{ port: -1 }],
    [{ port: 80 }, { port: 81 }],
    [
      { name: 'a', port: 80 },
      { name: 'a', port: 81 },
    ],
    [
      { name: 'a', port: 80 },
      { name: 'b', port: 80 },
    ],
    [
      { name: 'a', port: 53 },
      { name: 'b', port: 53, protocol: 'UDP' },
    ],
    [
      { name: 'a', port: 53, nodePort: 30053 },
      { name: 'b', port: 53, nodePort: 30053, protocol: 'UDP' },
    ],
    [
      { name: 'a', port: 80, nodePort: 30053 },
      { name: 'b', port: 81, nodePort: 30053 },
    ],
    [{ port: 80, protocol: 'SCTP' }],
    [{ port: 80, protocol: 'ICMP' }],
    [{ port: 80, protocol: '' }],
    [{ port: 80, targetPort: 8080 }],
    [{ port: 80, targetPort: 0 }],
    [{ port: 80, targetPort: 70_000 }],
    [{ port: 80, targetPort: 'http' }],
    [{ port: 80, targetPort: 'Too_Bad' }],
    [{ port: 80, targetPort: '' }],
    [{ name: 'Bad_Name', port: 80 }],
    [{ name: 'a'.repeat(64), port: 80 }],
    [{ port: 80, nodePort: 30053 }],
    [{ port: 80, nodePort: 30077 }],
    [{ port: 80, nodePort: 30078 }],
    [{ port: 80, nodePort: 29_999 }],
    [{ port: 80, nodePort: 32_768 }],
    [{ port: 80, nodePort: 0 }],
    [{ port: 80, nodePort: -1 }],
    [{ port: 80, appProtocol: 'kubernetes.io/h2c' }],
    [{ port: 80, appProtocol: 'bad protocol!' }],
    [
      { name: 'a', port: 80 },
      { name: 'b', port: 443 },
    ],
  ],
};

/** Fields that only mean something together. */
const TOGETHER: readonly Json[] = [
  { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
  { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } },
  { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } } },
  { sessionAffinity: 'ClientIP', sessionAffinityConfig: {} },
  { clusterIP: '10.96.0.50', clusterIPs: ['10.96.0.51'] },
  { clusterIP: 'None', clusterIPs: ['10.96.0.51'] },
  { clusterIP: '10.96.0.50', ipFamilies: ['IPv6'] },
  { clusterIP: 'None', ports: [] },
  { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' },
  { clusterIP: 'None', ipFamilies: ['IPv6'] },
  { clusterIP: 'None', ports: [{ port: 80, nodePort: 30053 }] },
  { clusterIP: 'None', externalTrafficPolicy: 'Local' },
  { clusterIPs: DUAL, ipFamilyPolicy: 'RequireDualStack' },
  { clusterIPs: DUAL, ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] },
  { clusterIPs: DUAL, ipFamilyPolicy: 'SingleStack' },
  { ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'RequireDualStack' },
  { ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'PreferDualStack' },
  { ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'SingleStack' },
  { ipFamilies: ['IPv6'], ipFamilyPolicy: 'PreferDualStack' },
  { ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' },
  { externalTrafficPolicy: 'Local', healthCheckNodePort: 30050 },
  { externalTrafficPolicy: 'Local', healthCheckNodePort: 30078 },
  { externalTrafficPolicy: 'Local', healthCheckNodePort: 80 },
  { externalTrafficPolicy: 'Local', healthCheckNodePort: -1 },
  { externalTrafficPolicy: 'Local', healthCheckNodePort: 30053, ports: [{ port: 80, nodePort: 30053 }] },
  { externalTrafficPolicy: 'Cluster', healthCheckNodePort: 30050 },
  { allocateLoadBalancerNodePorts: false, externalTrafficPolicy: 'Local' },
  { allocateLoadBalancerNodePorts: false, ports: [{ port: 80, nodePort: 30053 }] },
  { type: 'ExternalName', externalName: 'a.example' },
  { type: 'ExternalName', externalName: 'a.example', clusterIP: '10.96.0.50' },
  { type: 'ExternalName', externalName: 'a.example', clusterIP: 'None' },
  { type: 'ExternalName', externalName: 'a.example', ports: [] },
  { type: 'ExternalName', externalName: 'a.example', ipFamilyPolicy: 'SingleStack' },
  { type: 'ExternalName', externalName: 'a.example', externalTrafficPolicy: 'Local' },
  { type: 'ExternalName', externalName: 'a.example', ports: [{ port: 80, nodePort: 30053 }] },
];

const METADATA: readonly Json[] = [
  { name: 'a.b' },
  { name: '1a' },
  { name: 'A' },
  { name: 'a'.repeat(63) },
  { name: 'a'.repeat(64) },
  { labels: { 'bad key!': 'x' } },
  { labels: { app: 'bad value!' } },
  { labels: { constructor: 'x' } },
  { annotations: { 'bad key!': 'x' } },
  { annotations: { 'Capital.example/Key': 'any value!' } },
  { finalizers: ['no-slash'] },
  { finalizers: ['bad finalizer!/x'] },
  { annotations: { 'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/8, 10.1.0.0/16' } },
  { annotations: { 'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/33' } },
];

/** What Services are when somebody edits them. */
const BASES: Readonly<Record<string, Json>> = {
  'a ClusterIP': { type: 'ClusterIP', ports: PORTS },
  'a NodePort': { type: 'NodePort', ports: [{ port: 80, nodePort: 30060 }] },
  'a LoadBalancer': { type: 'LoadBalancer', ports: PORTS },
  'a local LoadBalancer': { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: PORTS },
  'a LoadBalancer of a class': {
    type: 'LoadBalancer',
    loadBalancerClass: 'example.com/old',
    allocateLoadBalancerNodePorts: false,
    loadBalancerSourceRanges: ['10.0.0.0/8'],
    loadBalancerIP: '192.0.2.1',
    ports: PORTS,
  },
  'a headless Service': { clusterIP: 'None', ports: PORTS },
  'a dual-stack LoadBalancer': { type: 'LoadBalancer', ipFamilyPolicy: 'RequireDualStack', ports: PORTS },
  'a dual-stack ClusterIP': { ipFamilyPolicy: 'PreferDualStack', ports: PORTS },
  'an IPv6 LoadBalancer': { type: 'LoadBalancer', ipFamilies: ['IPv6'], ports: PORTS },
  'an ExternalName': { type: 'ExternalName', externalName: 'old.example', ports: PORTS },
  'a sticky LoadBalancer': { type: 'LoadBalancer', sessionAffinity: 'ClientIP', ports: PORTS },
  'a LoadBalancer of two ports': {
    type: 'LoadBalancer',
    ports: [
      { name: 'a', port: 80, nodePort: 30061 },
      { name: 'b', port: 443 },
    ],
  },
};

/** Which fields of VALUES are worth trying on which Service. */
const ALL = Object.keys(VALUES);
const ADDRESSES = ['type', 'clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'];
const OUTSIDE = [
  'externalTrafficPolicy',
  'allocateLoadBalancerNodePorts',
  'loadBalancerClass',
  'healthCheckNodePort',
  'ports',
];
const PATCHED: Readonly<Record<string, readonly string[]>> = {
  'a ClusterIP': ALL,
  'a NodePort': ['type', ...OUTSIDE],
  'a LoadBalancer': ['type', ...OUTSIDE],
  'a local LoadBalancer': ALL,
  'a LoadBalancer of a class': [
    'type',
    'loadBalancerClass',
    'allocateLoadBalancerNodePorts',
    'loadBalancerSourceRanges',
  ],
  'a headless Service': [...ADDRESSES, 'externalTrafficPolicy'],
  'a dual-stack LoadBalancer': ADDRESSES,
  'a dual-stack ClusterIP': ADDRESSES,
  'an IPv6 LoadBalancer': ADDRESSES,
  'an ExternalName': [...ADDRESSES, ...OUTSIDE, 'externalName'],
  'a sticky LoadBalancer': ['sessionAffinity', 'sessionAffinityConfig'],
  'a LoadBalancer of two ports': ['ports', 'type'],
};

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];
const withName = (type: string) => (type === 'ExternalName' ? { externalName: 'a.example' } : {});

const STATUSES: readonly Json[] = [
  { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9' }, { ip: 'fd00::9' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', ipMode: 'VIP' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', ipMode: 'Proxy' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', ipMode: 'Magic' }] } },
  { loadBalancer: { ingress: [{ hostname: 'a.example', ipMode: 'VIP' }] } },
  { loadBalancer: { ingress: [{ ip: 'not-an-ip' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.300' }] } },
  { loadBalancer: { ingress: [{ ip: '192.000.2.9' }] } },
  { loadBalancer: { ingress: [{ ip: '' }] } },
  { loadBalancer: { ingress: [{}] } },
  { loadBalancer: { ingress: [{ hostname: 'a.example' }] } },
  { loadBalancer: { ingress: [{ hostname: 'Not_A_Name' }] } },
  { loadBalancer: { ingress: [{ hostname: '192.0.2.9' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', hostname: 'a.example' }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', ports: [{ port: 80, protocol: 'TCP' }] }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', ports: [{ port: 80, protocol: 'TCP', error: 'bad error!' }] }] } },
  { loadBalancer: { ingress: [{ ip: '192.0.2.9', ports: [{ port: 0, protocol: 'X' }] }] } },
  { loadBalancer: { ingress: [] } },
  { loadBalancer: {} },
  { conditions: [{ type: 'A', status: 'True', reason: 'R', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }] },
  {
    conditions: [
      { type: 'A', status: 'Perhaps', reason: 'R', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' },
    ],
  },
  {
    conditions: [
      {
        type: 'bad type!',
        status: 'True',
        reason: 'no reason',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
  },
  { conditions: [{ type: 'A', status: 'True', reason: '', message: '' }] },
  {},
];

/** Statuses that are there when the type changes. */
const FULL_STATUS = { ...STATUSES[20], ...STATUSES[0] };

export const SERVICE_CASES: readonly ServiceCase[] = [...creations(), ...edits(), ...flips(), ...statuses()];

function* creations(): Iterable<ServiceCase> {
  for (const type of ['ClusterIP', 'NodePort', 'LoadBalancer']) {
    const spec = { type, ports: PORTS };
    for (const [field, values] of Object.entries(VALUES))
      for (const value of values)
        if (type !== 'NodePort' || OUTSIDE.includes(field))
          yield { name: `${type} with ${show({ [field]: value })}`, spec: { ...spec, [field]: value } };
    for (const fields of TOGETHER) yield { name: `${type} with ${show(fields)}`, spec: { ...spec, ...fields } };
  }
  for (const metadata of METADATA)
    yield { name: `metadata ${show(metadata)}`, metadata, spec: { type: 'LoadBalancer', ports: PORTS } };
  yield { name: 'nothing at all', spec: undefined };
  yield { name: 'an empty spec', spec: {} };
}

function* edits(): Iterable<ServiceCase> {
  for (const [base, spec] of Object.entries(BASES)) {
    for (const field of PATCHED[base]!)
      for (const value of VALUES[field]!) {
        // Such a Service gets a port that it does not need from a real server, and takes it from its neighbour when it goes.
        if (base === 'an ExternalName' && /3007[78]/.test(JSON.stringify(value))) continue;
        const body = { spec: { [field]: value } };
        yield { name: `${base}, patched with ${show(body.spec)}`, spec, edit: { how: 'patch', body } };
      }
    for (const fields of TOGETHER)
      yield { name: `${base}, patched with ${show(fields)}`, spec, edit: { how: 'patch', body: { spec: fields } } };
    yield { name: `${base}, replaced by itself`, spec, edit: { how: 'replace', body: { spec } } };
    yield {
      name: `${base}, replaced by itself with a label`,
      spec,
      edit: { how: 'replace', body: { metadata: { labels: { a: 'b' } }, spec } },
    };
    yield { name: `${base}, replaced by nothing`, spec, edit: { how: 'replace', body: {} } };
    for (const change of [{ ipFamilies: ['IPv6'] }, { clusterIP: '10.96.0.51' }, { ipFamilyPolicy: 'PreferDualStack' }])
      yield {
        name: `${base}, replaced with ${show(change)}`,
        spec,
        edit: { how: 'replace', body: { spec: { ...spec, ...change } } },
      };
  }
  for (const metadata of METADATA.filter(({ name }) => name === undefined))
    yield {
      name: `a LoadBalancer, patched with metadata ${show(metadata)}`,
      spec: BASES['a LoadBalancer'],
      edit: { how: 'patch', body: { metadata } },
    };
}

function* flips(): Iterable<ServiceCase> {
  for (const [base, spec] of Object.entries(BASES))
    for (const type of TYPES) {
      const change = { type, ...withName(type) };
      yield { name: `${base} becomes ${type}`, spec, edit: { how: 'patch', body: { spec: change } } };
      const bare = { ...change, ports: spec.ports };
      yield { name: `${base} is replaced by a bare ${type}`, spec, edit: { how: 'replace', body: { spec: bare } } };
    }
}

function* statuses(): Iterable<ServiceCase> {
  for (const base of ['a ClusterIP', 'a LoadBalancer', 'an ExternalName']) {
    const spec = BASES[base];
    for (const status of STATUSES) {
      yield {
        name: `${base}, its status patched with ${show(status)}`,
        spec,
        edit: { how: 'patch-status', body: { status } },
      };
      if (base === 'a LoadBalancer')
        yield {
          name: `${base}, its status replaced by ${show(status)}`,
          spec,
          edit: { how: 'replace-status', body: { status } },
        };
    }
  }
}

function show(value: Json): string {
  const text = JSON.stringify(value);
  return text.length < 160 ? text : `${text.slice(0, 160)}…`;
}

/** Asks a server for everything, one case after the other; each leaves nothing behind. Needs a namespace of its own. */
export async function askAll(client: KubernetesClient, namespace: string): Promise<ReadonlyMap<string, Answer>> {
  const answers = new Map<string, Answer>();
  const api = '/api/v1/namespaces';
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await client.request({ method: 'POST', path: api, body });
  const services = `${api}/${namespace}/services`;
  const neighbour = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'neighbour' }, spec: NEIGHBOUR };
  await client.request({ method: 'POST', path: services, body: neighbour });
  for (const [i, given] of SERVICE_CASES.entries())
    answers.set(given.name, await ask(client, services, `s${i}`, given));
  await client.request({ method: 'DELETE', path: `${services}/neighbour` });
  await client.request({ method: 'DELETE', path: `${api}/${namespace}` });
  return answers;
}

/**
 * Node ports that the cases ask for by these numbers; each asking has others, which the server says are free, and a port that is taken after
 * all is asked for again: a real API server looks through all allocations from time to time, and may then think for minutes that a port
 * is taken whose Service has just gone.
 */
const ASKED_PORTS = ['30050', '30053'];
const TRIES = 3;

async function ask(client: KubernetesClient, services: string, plain: string, given: ServiceCase): Promise<Answer> {
  if (!ASKED_PORTS.some((port) => JSON.stringify(given).includes(port))) return askOnce(client, services, plain, given);
  for (let left = TRIES; ; left--) {
    const own = await freePorts(client, services);
    const answer = await askOnce(client, services, plain, rename(given, ASKED_PORTS, own));
    const isForPorts = answer.code === 500 || answer.faults?.some((text) => text.endsWith('odePort Invalid value'));
    if (!isForPorts || left === 1) return rename(answer, own, ASKED_PORTS);
  }
}

/** As many as the cases ask for. */
async function freePorts(client: KubernetesClient, services: string): Promise<readonly string[]> {
  const ports = ASKED_PORTS.map((name, i) => ({ name: `p-${name}`, port: i + 1 }));
  const body = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'scout' }, spec: { type: 'NodePort', ports } };
  const { spec }: Json = await client.request({ method: 'POST', path: services, body });
  await client.request({ method: 'DELETE', path: `${services}/scout` });
  return spec.ports.map(({ nodePort }: { nodePort: number }) => String(nodePort));
}

function rename<T>(value: T, from: readonly string[], to: readonly string[]): T {
  return JSON.parse(JSON.stringify(value).replace(/3\d{4}/g, (port) => to[from.indexOf(port)] ?? port)) as T;
}

async function askOnce(client: KubernetesClient, services: string, plain: string, given: ServiceCase): Promise<Answer> {
  const name = given.metadata?.name ?? plain;
  const sent = { apiVersion: 'v1', kind: 'Service', metadata: { name, ...given.metadata }, spec: given.spec };
  const words = new Words(JSON.stringify([given, NEIGHBOUR]));
  let created: Json;
  try {
    created = await client.request({ method: 'POST', path: services, body: sent });
  } catch (error) {
    return refusal(error);
  }
  const path = `${services}/${name}`;
  const before = words.of(created);
  try {
    if (given.edit === undefined) return { code: 201, ...change({ spec: given.spec }, before) };
    let current = created;
    // A Service whose type changes has a status that may be lost.
    if (!given.edit.how.endsWith('status')) {
      const body = { status: FULL_STATUS };
      current = await client
        .request({ method: 'PATCH', path: `${path}/status`, body, contentType: MERGE_PATCH })
        .catch(() => created);
    }
    const after = await client.request(request(path, given.edit, { ...sent, status: undefined }));
    return { code: 200, ...change(words.of(current), words.of(after)) };
  } catch (error) {
    return refusal(error);
  } finally {
    await client.request({ method: 'PATCH', path, body: { metadata: { finalizers: null } }, contentType: MERGE_PATCH });
    await client.request({ method: 'DELETE', path });
  }
}

function request(path: string, { how, body }: Edit, sent: Json): Parameters<KubernetesClient['request']>[0] {
  const target = how.endsWith('-status') ? `${path}/status` : path;
  if (how.startsWith('patch')) return { method: 'PATCH', path: target, body, contentType: MERGE_PATCH };
  const whole = how === 'replace' ? { ...sent, spec: undefined, ...body } : { ...sent, ...body };
  return { method: 'PUT', path: target, body: { ...whole, metadata: { ...sent.metadata, ...body.metadata } } };
}

const KINDS =
  'Invalid value|Required value|Forbidden|Unsupported value|Duplicate value|Too long|Too many|Internal error';

function refusal(error: unknown): Answer {
  if (!(error instanceof ApiError)) throw error;
  const found = error.message.matchAll(new RegExp(`((?:metadata|spec|status)(?:\\.[\\w.\\[\\]]+)?): (${KINDS})`, 'g'));
  const faults = [...new Set([...found].map(([, field, kind]) => `${field} ${kind}`))].sort();
  return { code: error.status, reason: error.reason, ...(faults.length > 0 && { faults }) };
}

/** Calls what the server chose by the order in which it came up: other servers choose otherwise. */
class Words {
  readonly #asked: string;
  readonly #names = new Map<unknown, string>();

  constructor(asked: string) {
    this.#asked = asked;
  }

  of({ spec, status }: Json): Json {
    return { spec: this.#rename(sorted(spec)), status: this.#rename(status) };
  }

  #rename(value: Json, key = ''): Json {
    if (Array.isArray(value)) return value.map((item) => this.#rename(item, key));
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, this.#rename(child, name)]));
    const kind =
      /^(10\.(9[6-9]|1[01]\d)\.|fd00:10:96:)/.test(value) && key.startsWith('clusterIP')
        ? 'address'
        : /odePort$/.test(key)
          ? 'port'
          : '';
    if (kind === '' || value === 0 || this.#asked.includes(JSON.stringify(value))) return value;
    const known = [...this.#names.values()].filter((name) => name.startsWith(`<${kind}`)).length;
    const name = this.#names.get(value) ?? `<${kind} ${known + 1}>`;
    this.#names.set(value, name);
    return name;
  }
}

/** The difference of spec and status as merge patches; absent where there is none. */
function change(before: Json, after: Json): Pick<Answer, 'spec' | 'status'> {
  const [spec, status] = (['spec', 'status'] as const).map((part) => difference(before[part] ?? {}, after[part] ?? {}));
  return { ...(spec !== undefined && { spec }), ...(status !== undefined && { status }) };
}

function difference(before: Json, after: Json): Json {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const changed = keys.flatMap((key) => {
    if (JSON.stringify(sorted(before[key])) === JSON.stringify(sorted(after[key]))) return [];
    return [[key, key in after ? sorted(after[key]) : null]];
  });
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
}

const RECORDING = join(import.meta.dirname, 'service-answers.jsonl');

/** What a real kube-apiserver answered, by the name of the case. */
export function recordedAnswers(): ReadonlyMap<string, Answer> {
  const lines = readFileSync(RECORDING, 'utf8').trim().split('\n');
  return new Map(
    lines.map((line) => {
      const { name, ...answer } = JSON.parse(line) as Answer & { name: string };
      return [name, answer];
    }),
  );
}

export function recordAnswers(answers: ReadonlyMap<string, Answer>): void {
  const lines = [...answers].map(([name, answer]) => `${JSON.stringify({ name, ...answer })}\n`);
  writeFileSync(RECORDING, lines.join(''));
}
