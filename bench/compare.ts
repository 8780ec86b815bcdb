/**
 * What one comparison of the shadow mode takes: every Service decided again, by address, layer 2 and BGP, and held against what speakers tell.
 * @module
 */
import { sha256 } from '../src/adapters/sha256.ts';
import { type ComparedObjects, compareWithCluster } from '../src/core/offline/differences.ts';
import { median, printTable, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 5);
const metadata = (name: string, labels = {}) => ({ name, namespace: 'n', labels });

function cluster(services: number): ComparedObjects {
  const each = <T>(make: (i: number) => T) => Array.from({ length: services }, (_, i) => make(i));
  const objects = {
    nodes: ['a', 'b', 'c'].map((name) => ({ metadata: { name } })),
    namespaces: [{ metadata: { name: 'n' } }],
    ipaddresspools: [{ kind: 'IPAddressPool', metadata: metadata('p'), spec: { addresses: ['198.18.0.0/16'] } }],
    l2advertisements: [{ kind: 'L2Advertisement', metadata: metadata('l') }],
    services: each((i) => ({
      metadata: metadata(`s${i}`),
      spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1', ports: [{ port: 80 }] },
      status: { loadBalancer: { ingress: [{ ip: `198.18.${i >> 8}.${i & 255}` }] } },
    })),
    endpointslices: each((i) => ({
      metadata: metadata(`e${i}`, { 'kubernetes.io/service-name': `s${i}` }),
      endpoints: [{ addresses: ['10.1.0.1'], nodeName: 'a', conditions: { ready: true } }],
    })),
    servicel2statuses: each((i) => ({
      metadata: metadata(`l2-${i}`),
      status: { node: 'a', serviceName: `s${i}`, serviceNamespace: 'n' },
    })),
  };
  return objects as unknown as ComparedObjects;
}

export async function benchCompare(): Promise<void> {
  const rows = [1000, 10_000].map((services) => {
    const objects = cluster(services);
    const times = Array.from({ length: RUNS }, () => {
      const began = performance.now();
      compareWithCluster(objects, ['addresses', 'layer2', 'bgp'], '', sha256);
      return performance.now() - began;
    });
    return [services.toLocaleString('en'), show(median(times), 'ms')];
  });
  printTable(`A comparison of the shadow mode, medians of ${RUNS}`, ['Services', 'took'], rows);
}
