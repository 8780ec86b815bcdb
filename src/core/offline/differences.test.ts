import { describe, expect, it } from 'vitest';
import { sha256 } from '../../adapters/sha256.ts';
import { type ComparedObjects, compareWithCluster, describeDifference } from './differences.ts';

const meta = (name: string, more = {}) => ({ name, namespace: 'n', ...more });
const service = (name: string, ip: string) =>
  ({
    metadata: meta(name, { creationTimestamp: '2026-01-01T00:00:00Z' }),
    spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1', ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: ip === '' ? [] : [{ ip }] } },
  }) as never;
const slice = (name: string) =>
  ({
    metadata: meta(`${name}-1`, { labels: { 'kubernetes.io/service-name': name } }),
    endpoints: [{ addresses: ['10.1.0.1'], nodeName: 'a', conditions: { ready: true } }],
  }) as never;
const CLUSTER: ComparedObjects = {
  nodes: ['a', 'b'].map((name) => ({ metadata: { name } })),
  namespaces: [{ metadata: { name: 'n' } }],
  ipaddresspools: [{ kind: 'IPAddressPool', metadata: meta('p'), spec: { addresses: ['192.0.2.0/30'] } } as never],
  l2advertisements: [{ kind: 'L2Advertisement', metadata: meta('l') } as never],
  services: [service('kept', '192.0.2.2'), service('outside', '198.51.100.7'), service('new', '')],
  endpointslices: ['kept', 'outside', 'new'].map(slice),
};

describe('what would be different', () => {
  it('is told for addresses, with the reason', () => {
    const { services, differences } = compareWithCluster(CLUSTER, ['addresses'], '', sha256);
    expect(services).toBe(3);
    expect(differences.map(describeDifference)).toEqual([
      expect.stringMatching(
        /^n\/outside: address: now 198\.51\.100\.7, would be 192\.0\.2\.\d \(.*in no IPAddressPool/,
      ),
      expect.stringMatching(/^n\/new: address: now no address, would be 192\.0\.2\.\d/),
    ]);
  });

  it('is told for owners, of all nodes or of one', () => {
    const objects = { ...CLUSTER, services: [service('kept', '192.0.2.2')] };
    const { differences } = compareWithCluster(objects, ['layer2'], '', sha256);
    const owner = differences[0]!.ours;
    expect(['a', 'b']).toContain(owner);
    const status = (node: string) => ({
      metadata: meta(`l2-${node}`),
      status: { node, serviceName: 'kept', serviceNamespace: 'n' },
    });
    const compare = (node: string, only?: string) =>
      compareWithCluster({ ...objects, servicel2statuses: [status(node)] }, ['layer2'], '', sha256, only).differences;
    expect(compare(owner)).toEqual([]);
    const other = owner === 'a' ? 'b' : 'a';
    expect(compare(other).map(describeDifference)).toEqual([
      `n/kept: announced by ARP and NDP from: now ${other}, would be ${owner}`,
    ]);
    expect(compare(other, other)[0]).toMatchObject({ theirs: other, ours: '' });
  });

  it('is told too where a Service has lost its endpoints: Go writes an empty list as null', () => {
    const none = {
      metadata: meta('kept-1', { labels: { 'kubernetes.io/service-name': 'kept' } }),
      endpoints: null,
      ports: null,
    };
    const objects = { ...CLUSTER, services: [service('kept', '192.0.2.2')], endpointslices: [none as never] };
    expect(compareWithCluster(objects, ['layer2', 'bgp'], '', sha256).differences).toEqual([]);
  });

  it('is nothing where nothing is', () => {
    const objects = { ...CLUSTER, services: [service('kept', '192.0.2.2')] };
    expect(compareWithCluster(objects, ['addresses', 'bgp'], '', sha256).differences).toEqual([]);
  });
});
