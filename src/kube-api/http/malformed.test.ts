import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HttpResponse } from '../../adapters/http/server.ts';
import { toCustomResourceDefinition } from '../../core/api/kind.ts';
import { KINDS } from '../../core/api/kinds.ts';
import { CONFIGURATION } from '../rules/configuration-admission.ts';
import { Registry } from '../rules/registry.ts';
import { type ApiObject, Store } from '../storage/store.ts';
import { KubernetesApi } from './handler.ts';

let store: Store;
let api: KubernetesApi;

beforeEach(() => {
  store = new Store(':memory:');
  api = new KubernetesApi({
    store,
    registry: new Registry(store, new Map([['metallb.io', CONFIGURATION]])),
    token: 't',
  });
  for (const kind of KINDS) send('POST', DEFINITIONS, toCustomResourceDefinition(kind));
  send('POST', '/api/v1/namespaces', { metadata: { name: 'a' } });
});
afterEach(() => store.close());

function send(method: string, path: string, body: unknown, type = 'application/json'): HttpResponse {
  const headers = { authorization: 'Bearer t', 'content-type': type };
  const query = new URLSearchParams('fieldValidation=Ignore&fieldManager=m');
  return api.handle({ method, path, query, headers, body: Buffer.from(JSON.stringify(body) ?? '') });
}

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const metadata = { name: 'n' };
const fullMetadata = {
  name: 'n',
  labels: { l: 'v' },
  annotations: { 'metallb.io/x': 'v' },
  finalizers: ['a.b/c'],
  ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u' }],
};
const selector = { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] };

/** One of each kind that has rules of its own, where clients write it. */
const VALID: readonly (readonly [path: string, object: object])[] = [
  ['/api/v1/namespaces', { metadata: fullMetadata }],
  [
    '/api/v1/namespaces/a/services',
    {
      metadata,
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.9',
        clusterIPs: ['10.96.0.9'],
        ipFamilies: ['IPv4'],
        selector: { a: 'b' },
        ports: [{ name: 'p', port: 1, targetPort: 2, nodePort: 30001, protocol: 'TCP' }],
        externalIPs: ['192.0.2.1'],
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } },
        loadBalancerSourceRanges: ['192.0.2.0/24'],
      },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] }, conditions: [{ type: 'T', status: 'True' }] },
    },
  ],
  ['/api/v1/namespaces/a/pods', { metadata, spec: { containers: [{ name: 'c' }] } }],
  ['/api/v1/namespaces/a/secrets', { metadata, stringData: { a: 'b' }, data: { c: 'ZA==' } }],
  [
    '/apis/apps/v1/namespaces/a/deployments',
    {
      metadata,
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c' }] } },
      },
    },
  ],
  [
    '/apis/metallb.io/v1beta1/namespaces/a/ipaddresspools',
    {
      metadata,
      spec: {
        addresses: ['192.0.2.0/24'],
        serviceAllocation: { namespaces: ['a'], namespaceSelectors: [selector], serviceSelectors: [selector] },
      },
    },
  ],
  [
    '/apis/metallb.io/v1beta1/namespaces/a/bgpadvertisements',
    { metadata, spec: { ipAddressPools: ['p'], communities: ['1:2'], peers: ['p'], nodeSelectors: [selector] } },
  ],
  [
    '/apis/metallb.io/v1beta1/namespaces/a/l2advertisements',
    { metadata, spec: { interfaces: ['e'], preferredNodeSelectors: [{ weight: 1, preference: selector }] } },
  ],
  [
    '/apis/metallb.io/v1beta2/namespaces/a/bgppeers',
    {
      metadata,
      spec: { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1', passwordSecret: { name: 's' }, bfdProfile: 'b' },
    },
  ],
  [
    '/apis/metallb.io/v1beta1/namespaces/a/bgppeers',
    { metadata, spec: { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1', nodeSelectors: [selector] } },
  ],
  [
    '/apis/metallb.io/v1beta1/namespaces/a/communities',
    { metadata, spec: { communities: [{ name: 'a', value: '1:2' }] } },
  ],
  ['/apis/metallb.io/v1beta1/namespaces/a/bfdprofiles', { metadata: fullMetadata, spec: { receiveInterval: 50 } }],
  [
    DEFINITIONS,
    {
      metadata: { ...metadata, name: 'things.x.io' },
      spec: {
        group: 'x.io',
        scope: 'Namespaced',
        names: { kind: 'Thing', plural: 'things', singular: 'thing', shortNames: ['t'], categories: ['c'] },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: { spec: { type: 'array', items: { type: 'string', pattern: 'a' } } },
                'x-kubernetes-validations': [{ rule: 'true' }],
              },
            },
            subresources: { status: {} },
            additionalPrinterColumns: [{ name: 'A', jsonPath: '.spec', type: 'string' }],
          },
        ],
      },
    },
  ],
];

const WRONG: readonly unknown[] = [null, 5, 'x', [null], ['x'], { x: null }];

/** The value with one place in it replaced, for every place and every wrong value. */
function* spoiled(value: unknown): Generator<unknown> {
  yield* WRONG;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value))
    for (const wrong of spoiled(child))
      yield Array.isArray(value) ? value.with(Number(key), wrong) : { ...value, [key]: wrong };
}

const DIRECTIVES: readonly object[] = [
  { metadata: { '$deleteFromPrimitiveList/finalizers': null } },
  { metadata: { '$deleteFromPrimitiveList/name': ['x'] } },
  { metadata: { ownerReferences: [], '$setElementOrder/ownerReferences': [null] } },
  { metadata: { ownerReferences: [null, { $patch: 'replace' }] } },
  { metadata: { name: [null], $patch: 7, $retainKeys: 5 } },
];

it.each(DIRECTIVES)('a malformed directive is no internal error: %j', (patch) => {
  send('POST', '/api/v1/namespaces', { metadata: fullMetadata });
  const { status } = send('PATCH', '/api/v1/namespaces/n', patch, 'application/strategic-merge-patch+json');
  expect(status).toBeLessThan(500);
});

describe('a malformed object is never an internal error', () => {
  it.each(VALID)('%s', (path, valid) => {
    const one = `${path}/${(valid as ApiObject).metadata.name}`;
    expect(send('POST', path, valid)).toMatchObject({ status: 201 });
    for (const body of spoiled(valid)) {
      const answers = [
        send('PUT', one, body),
        send('PATCH', one, body, 'application/merge-patch+json'),
        send('PATCH', one, body, 'application/strategic-merge-patch+json'),
        send('PATCH', one, body, 'application/apply-patch+yaml'),
        send('PATCH', one, [body], 'application/json-patch+json'),
        send('PUT', `${one}/status`, body),
        send('GET', path, undefined),
        send('DELETE', one, body),
        send('POST', path, body),
      ];
      const broken = answers.filter(({ status }) => status >= 500).map(({ body: text }) => String(text));
      expect({ body, broken }).toEqual({ body, broken: [] });
      send('DELETE', one, undefined);
      send('POST', path, valid);
    }
  });
});
