/**
 * From the moment in which a Service is created until a client's first connection to its address is open: controller, speaker, network
 * and endpoints together. Has to run inside a sandbox; `main.ts` sees to that.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '../lab/kubernetes/cluster.ts';
import { probeWhile } from '../lab/net/lan.ts';
import { prepareInside } from '../lab/net/sandbox.ts';
import { sleep, until } from '../lab/net/waiting.ts';
import { collectionPath, objectPath } from '../src/adapters/kubernetes/resources.ts';
import type { Service } from '../src/core/api/kubernetes.ts';
import { printTable, quantile, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 10);
const ADDRESS = '192.168.1.65';

prepareInside();
const directory = mkdtempSync(join(tmpdir(), 'metallb-serve-'));
const cluster = new Cluster({ directory, nodes: 3 });
try {
  await cluster.startAll();
  cluster.applyManifests('raspberry-hello-deployment.yaml', 'raspberry-address-pool.yaml', 'l2-all-pools.yaml');
  await until('the Service', () => cluster.addressOf('default', 'echo-service'));
  const path = objectPath('services', 'default/echo-service');
  const { metadata, spec = {} } = (await cluster.kubernetes.request({ path })) as Service;
  const { ports, selector } = spec;
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: metadata.name, namespace: 'default' },
    spec: { type: 'LoadBalancer', ports, selector, loadBalancerIP: ADDRESS },
  };
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    cluster.kubectl(['delete', 'service', 'echo-service']);
    await sleep(1500);
    cluster.client.run(['ip', 'neighbour', 'flush', ADDRESS]);
    const { opened, at } = await probeWhile(cluster.client, ADDRESS, { interval: 2, duration: 3500 }, async () => {
      await cluster.kubernetes.request({ method: 'POST', path: collectionPath('services', 'default'), body: service });
    });
    const [first] = opened.map(([begun, took]) => begun + took).sort((a, b) => a - b);
    times.push(first! - at);
  }
  printTable(
    'A Service is created: until its first connection is open (a client that tries every 2 ms)',
    ['runs', 'median', 'longest'],
    [[String(RUNS), show(quantile(times, 0.5), 'ms'), show(Math.max(...times), 'ms')]],
  );
} finally {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}
process.exit();
