import { describe, expect, it } from 'vitest';
import type { ApiObject } from '../storage/store.ts';
import { age, COLUMNS, customColumn } from './columns.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const object = (rest: object): ApiObject => ({ apiVersion: 'v1', kind: 'X', metadata: { name: 'x' }, ...rest });
const cell = (resource: string, column: string, rest: object) =>
  COLUMNS[resource]!.find(({ name }) => name === column)!.value(object(rest), 0);

describe('an age', () => {
  it.each([
    [-5, '0s'],
    [119, '119s'],
    [120, '2m'],
    [121, '2m1s'],
    [10 * MINUTE - 1, '9m59s'],
    [10 * MINUTE + 1, '10m'],
    [3 * HOUR - 1, '179m'],
    [3 * HOUR, '3h'],
    [3 * HOUR + MINUTE, '3h1m'],
    [8 * HOUR + MINUTE, '8h'],
    [2 * DAY - 1, '47h'],
    [2 * DAY, '2d'],
    [2 * DAY + HOUR, '2d1h'],
    [8 * DAY + HOUR, '8d'],
    [730 * DAY - 1, '729d'],
    [730 * DAY, '2y'],
  ])('of %d seconds shows as %s', (seconds, text) => {
    expect(age('2026-01-01T00:00:00Z', Date.UTC(2026, 0, 1) + seconds * 1000)).toBe(text);
  });

  it('of no moment is unknown', () => {
    expect(age(undefined, 0)).toBe('<unknown>');
  });
});

describe('a column', () => {
  const ingress = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'h' }] } };
  const ready = (status: string) => ({ status: { conditions: [{ type: 'Ready', status }] } });

  it.each<[string, string, string, object, string | number]>([
    ['services', 'External-IP', 'pending before it has an address', { spec: { type: 'LoadBalancer' } }, '<pending>'],
    [
      'services',
      'External-IP',
      'addresses from the status, then those of the spec',
      { spec: { type: 'LoadBalancer', externalIPs: ['e'] }, status: ingress },
      '192.0.2.1,h,e',
    ],
    ['services', 'External-IP', 'none without a load balancer', { spec: { type: 'ClusterIP' } }, '<none>'],
    ['services', 'External-IP', 'an external name', { spec: { type: 'ExternalName', externalName: 'n' } }, 'n'],
    [
      'services',
      'Port(s)',
      'node ports after their ports',
      {
        spec: {
          ports: [
            { port: 80, nodePort: 30080 },
            { port: 53, protocol: 'UDP' },
          ],
        },
      },
      '80:30080/TCP,53/UDP',
    ],
    ['services', 'Selector', 'labels', { spec: { selector: { a: '1', b: '2' } } }, 'a=1,b=2'],
    ['services', 'Selector', 'none for an empty selector', { spec: { selector: {} } }, '<none>'],
    ['nodes', 'Status', 'a ready node', ready('True'), 'Ready'],
    ['nodes', 'Status', 'a node that is not ready', ready('False'), 'NotReady'],
    ['nodes', 'Status', 'a node that said nothing yet', {}, 'Unknown'],
    [
      'nodes',
      'Status',
      'a cordoned node',
      { ...ready('True'), spec: { unschedulable: true } },
      'Ready,SchedulingDisabled',
    ],
    [
      'nodes',
      'Roles',
      'roles from labels',
      { metadata: { name: 'x', labels: { 'node-role.kubernetes.io/worker': '', other: '' } } },
      'worker',
    ],
    [
      'pods',
      'Ready',
      'ready containers of all',
      {
        spec: { containers: [{ name: 'a' }, { name: 'b' }] },
        status: { containerStatuses: [{ ready: true }, { ready: false }] },
      },
      '1/2',
    ],
    ['pods', 'Status', 'a pod that ends', { metadata: { name: 'x', deletionTimestamp: 't' } }, 'Terminating'],
    ['pods', 'Status', 'a pod of which nothing is known', {}, 'Pending'],
    ['configmaps', 'Data', 'both kinds of data', { data: { a: '' }, binaryData: { b: '' } }, 2],
    ['deployments.apps', 'Ready', 'one replica by default', {}, '0/1'],
  ])('of %s, %s, shows %s', (resource, column, _, rest, text) => {
    expect(cell(resource, column, rest)).toBe(text);
  });
});

describe('a printer column', () => {
  const value = (type: string, jsonPath: string) =>
    customColumn({ name: 'C', type, jsonPath }).value(
      object({ spec: { n: 0, list: [1], at: '1970-01-01T00:00:00Z' } }),
      5000,
    );

  it.each([
    ['follows its path', 'integer', '.spec.n', 0],
    ['is empty where the path ends early', 'string', '.spec.a.b', ''],
    ['shows a date as an age', 'date', '.spec.at', '5s'],
    ['shows a list as JSON', 'string', '.spec.list', '[1]'],
  ])('%s', (_, type, path, text) => {
    expect(value(type, path)).toBe(text);
  });
});
