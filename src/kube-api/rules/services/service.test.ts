import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ApiObject, Store } from '../../storage/store.ts';
import { admitService } from './service.ts';

let store: Store;
beforeEach(() => {
  store = new Store(':memory:');
});
afterEach(() => store.close());

const service = (spec: object, name = 'x'): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { ports: [{ port: 80 }], ...spec },
});

function admit(object: ApiObject, old?: ApiObject) {
  const faults: string[] = [];
  const fault = (field: string, message: string) => void faults.push(`${field}: ${message}`);
  const admitted = admitService(object, { store, old, fault, warn: () => {} });
  return { spec: admitted.spec, status: admitted.status, faults };
}

/** Stores what the server made of it. */
const stored = (spec: object, name?: string) => {
  const object = service(spec, name);
  return store.put('services', { ...object, spec: admit(object).spec });
};

describe('defaults', () => {
  it.each<[string, object, object]>([
    ['a Service is a ClusterIP', {}, { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' }],
    ['a LoadBalancer has node ports', { type: 'LoadBalancer' }, { allocateLoadBalancerNodePorts: true }],
    ['a LoadBalancer sends traffic everywhere', { type: 'LoadBalancer' }, { externalTrafficPolicy: 'Cluster' }],
    ['a port speaks TCP to the same port', {}, { ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }] }],
    ['a Service has one family', {}, { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'] }],
    ['a headless one has no address', { clusterIP: 'None' }, { clusterIP: 'None', clusterIPs: ['None'] }],
    ['two families come in order', { ipFamilyPolicy: 'PreferDualStack' }, { ipFamilies: ['IPv4', 'IPv6'] }],
    [
      'the first family is the one asked for',
      { ipFamilies: ['IPv6'], ipFamilyPolicy: 'RequireDualStack' },
      { ipFamilies: ['IPv6', 'IPv4'] },
    ],
  ])('%s', (_, spec, expected) => {
    const { spec: admitted, faults } = admit(service(spec));
    expect(faults).toEqual([]);
    expect(admitted).toMatchObject(expected);
  });

  it('a ClusterIP has neither node ports nor an external policy', () => {
    const old = stored({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
    const { spec, faults } = admit({ ...old, spec: { ...old.spec, type: 'ClusterIP' } }, old);
    expect(faults).toEqual([]);
    expect(spec).not.toHaveProperty('healthCheckNodePort');
    expect(spec).not.toHaveProperty('externalTrafficPolicy');
    expect(spec).not.toHaveProperty('allocateLoadBalancerNodePorts');
    expect(spec.ports[0]).not.toHaveProperty('nodePort');
  });

  it('an ExternalName has no cluster IP', () => {
    const { spec, faults } = admit(service({ type: 'ExternalName', externalName: 'h' }));
    expect(faults).toEqual([]);
    expect(spec).not.toHaveProperty('clusterIP');
  });
});

describe('faults', () => {
  it.each<[string, object, string]>([
    ['an unknown type', { type: 'Other' }, 'spec.type: Unsupported value: "Other"'],
    ['an ExternalName without a name', { type: 'ExternalName' }, 'spec.externalName: Required value'],
    ['no ports', { ports: [] }, 'spec.ports: Required value'],
    ['port 0', { ports: [{ port: 0, targetPort: 1 }] }, 'spec.ports[0].port: Invalid value: 0'],
    ['port 65536', { ports: [{ port: 65536, targetPort: 1 }] }, 'spec.ports[0].port: Invalid value: 65536'],
    ['an unknown protocol', { ports: [{ port: 1, protocol: 'X' }] }, 'spec.ports[0].protocol: Unsupported value: "X"'],
    [
      'two ports of which one has no name',
      { ports: [{ port: 1, name: 'a' }, { port: 2 }] },
      'spec.ports[1].name: Required',
    ],
    [
      'one name for two ports',
      {
        ports: [
          { port: 1, name: 'a' },
          { port: 2, name: 'a' },
        ],
      },
      'spec.ports[1].name: Duplicate value: "a"',
    ],
    [
      'one port twice',
      {
        ports: [
          { port: 1, name: 'a' },
          { port: 1, name: 'b' },
        ],
      },
      'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}',
    ],
    ['a node port of a ClusterIP', { ports: [{ port: 1, nodePort: 30000 }] }, 'spec.ports[0].nodePort: Forbidden'],
    [
      'a node port below the range',
      { type: 'NodePort', ports: [{ port: 1, nodePort: 29999 }] },
      'spec.ports[0].nodePort: Invalid value: 29999: provided port is not in the valid range',
    ],
    [
      'a node port above the range',
      { type: 'NodePort', ports: [{ port: 1, nodePort: 32768 }] },
      'spec.ports[0].nodePort: Invalid value: 32768: provided port is not in the valid range',
    ],
    ['a cluster IP that is none', { clusterIP: 'x' }, 'spec.clusterIPs[0]: Invalid value: "x"'],
    ['a cluster IP out of range', { clusterIP: '192.0.2.1' }, 'spec.clusterIPs: Invalid value: ["192.0.2.1"]'],
  ])('%s', (_, spec, text) => {
    const { faults } = admit(service(spec));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(text);
  });

  it('a cluster IP and a node port that another Service has', () => {
    const spec = { type: 'NodePort', clusterIP: '10.96.0.9', ports: [{ port: 80, nodePort: 30080 }] };
    stored(spec, 'other');
    expect(admit(service(spec)).faults).toEqual([
      expect.stringContaining('10.96.0.9: provided IP is already allocated'),
    ]);
    expect(admit(service({ ...spec, clusterIP: '10.96.0.10' })).faults).toEqual([
      expect.stringContaining('30080: provided port is already allocated'),
    ]);
  });

  it('one node port for two ports', () => {
    const ports = ['a', 'b'].map((name, i) => ({ name, port: 80 + i, nodePort: 30080 }));
    expect(admit(service({ type: 'NodePort', ports })).faults).toEqual([
      'spec.ports[1].nodePort: Invalid value: 30080: provided port is already allocated',
    ]);
  });

  it('a cluster IP or a load balancer class that changes', () => {
    const old = stored({ type: 'LoadBalancer', clusterIP: '10.96.0.9', loadBalancerClass: 'a' });
    const change = { type: 'LoadBalancer', clusterIP: '10.96.0.10', loadBalancerClass: 'b' };
    expect(admit(service(change), old).faults).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set',
      'spec.loadBalancerClass: Invalid value: "b": may not change once set',
    ]);
  });
});

describe('what the server chooses', () => {
  it('leaves the first 256 addresses of the range to those who ask, and takes none twice', () => {
    expect(stored({}, 'a').spec.clusterIPs).toEqual(['10.96.1.0']);
    expect(stored({}, 'b').spec.clusterIPs).toEqual(['10.96.1.1']);
  });

  it('stays over an update that does not mention it', () => {
    const old = stored({ type: 'LoadBalancer' });
    stored({}, 'later');
    const { spec } = admit(service({ type: 'LoadBalancer' }), old);
    expect(spec.clusterIP).toBe(old.spec.clusterIP);
    expect(spec.ports).toEqual(old.spec.ports);
  });

  it('is another node port for each port, in the range', () => {
    const { spec } = admit(
      service({
        type: 'NodePort',
        ports: [
          { port: 1, name: 'a' },
          { port: 2, name: 'b' },
        ],
      }),
    );
    const [a, b] = spec.ports.map(({ nodePort }: { nodePort: number }) => nodePort);
    expect(a).not.toBe(b);
    for (const port of [a, b]) expect(port >= 30000 && port <= 32767).toBe(true);
  });

  it('keeps the node port that somebody once asked for', () => {
    const old = stored({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] });
    expect(admit(service({ type: 'NodePort' }), old).spec.ports[0].nodePort).toBe(30080);
  });

  it('is no node port for a LoadBalancer that wants none', () => {
    const { spec } = admit(service({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }));
    expect(spec.ports[0]).not.toHaveProperty('nodePort');
  });
});

it('a Service that is no LoadBalancer any more loses its addresses, its class and its node ports', () => {
  const old = stored({ type: 'LoadBalancer', loadBalancerClass: 'a' });
  const { spec, status, faults } = admit(
    { ...old, spec: { ...old.spec, type: 'ClusterIP' }, status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } },
    old,
  );
  expect(faults).toEqual([]);
  expect(status).toEqual({ loadBalancer: {} });
  expect(spec).not.toHaveProperty('loadBalancerClass');
  expect(spec.ports[0]).not.toHaveProperty('nodePort');
});
