/**
 * Many pending Services at once: how long until each has its address, on a real kube-apiserver where it can be had, else on
 * the embedded API; and how long a new controller takes to adopt them all.
 * @module
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findBinaries, startRealApi } from '../lab/real-api.ts';
import { sleep, start, until } from '../lab/shell.ts';
import { KubernetesClient } from '../src/adapters/kubernetes/client.ts';
import { Connection } from '../src/adapters/kubernetes/connection.ts';
import { collectionPath } from '../src/adapters/kubernetes/resources.ts';
import { openDataDirectory } from '../src/apps/standalone/data-directory.ts';
import { startEmbeddedApi } from '../src/apps/standalone/embedded-api.ts';
import { printTable, show } from './table.ts';

const SIZES = [1000, 5000, 10_000];
const METALLB = resolve(import.meta.dirname, '../bin/metallb');

export async function benchAllocate(): Promise<void> {
  const rows: string[][] = [];
  let server = '';
  for (const size of SIZES) {
    const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-'));
    mkdirSync(directory, { recursive: true });
    const api = await open(directory);
    server = api.name;
    const client = new KubernetesClient(Connection.open(api.kubeconfig), 'bench');
    const pool = {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'IPAddressPool',
      metadata: { name: 'p' },
      spec: { addresses: ['198.18.0.0/15'] },
    };
    await client.request({ method: 'POST', path: collectionPath('ipaddresspools', 'metallb-system'), body: pool });
    await inParallel(size, 24, (i) => {
      const spec = { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] };
      return client.request({
        method: 'POST',
        path: collectionPath('services', 'default'),
        body: { apiVersion: 'v1', kind: 'Service', metadata: { name: `s${i}` }, spec },
      });
    });
    const allocated = await runController(api.kubeconfig, directory, () => waitForAll(client, size));
    const adopted = await runController(api.kubeconfig, directory, async () => {
      // One more Service gets its address only after all others have been looked at.
      const spec = { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] };
      await client.request({
        method: 'POST',
        path: collectionPath('services', 'default'),
        body: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'last' }, spec },
      });
      await waitForAll(client, size + 1);
    });
    await api.stop();
    rmSync(directory, { recursive: true, force: true });
    rows.push([
      size.toLocaleString('en'),
      show(allocated.seconds, 's'),
      `${Math.round(size / allocated.seconds)}/s`,
      show(allocated.peak, 'MiB'),
      show(adopted.seconds, 's'),
    ]);
  }
  printTable(
    `Pending Services to addresses, on ${server}; one run each`,
    ['Services', 'start until all have one', 'rate', 'peak memory', 'adoption by a new controller, and one more'],
    rows,
  );
}

async function open(directory: string): Promise<{ kubeconfig: string; name: string; stop: () => Promise<void> }> {
  const binaries = findBinaries();
  if (typeof binaries !== 'string') return { ...(await startRealApi(binaries, directory)), name: 'kube-apiserver' };
  const data = await openDataDirectory(directory, '127.0.0.1', 17445);
  const api = await startEmbeddedApi({ ...data, database: ':memory:', host: '127.0.0.1', port: 17445 });
  return { kubeconfig: data.kubeconfig, name: `the embedded API (${binaries})`, stop: () => api.close() };
}

async function inParallel(count: number, lanes: number, act: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let i = next++; i < count; i = next++) await act(i);
    }),
  );
}

async function runController(
  kubeconfig: string,
  directory: string,
  work: () => Promise<void>,
): Promise<{ seconds: number; peak: number }> {
  const flags = [
    '--kubeconfig',
    kubeconfig,
    '--port',
    '0',
    '--health-probe-port',
    '0',
    '--log-level',
    'error',
    '--webhook-mode',
    'disabled',
  ];
  const began = performance.now();
  const controller = start('controller', [METALLB, 'controller', ...flags], join(directory, 'controller.log'));
  await work();
  const seconds = (performance.now() - began) / 1000;
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${controller.pid}/status`, 'utf8'))![1]) / 1024;
  await controller.stop();
  return { seconds, peak };
}

/** Looks seldom, so that the looking does not become the load. */
async function waitForAll(client: KubernetesClient, count: number): Promise<void> {
  await until(
    'every Service has its address',
    async () => {
      const { items } = await client.request<{ items: { status?: { loadBalancer?: { ingress?: unknown[] } } }[] }>({
        path: collectionPath('services', 'default'),
      });
      const served = items.filter(({ status }) => status?.loadBalancer?.ingress?.length).length;
      if (served < count) await sleep(200);
      return served >= count;
    },
    300_000,
  );
}
