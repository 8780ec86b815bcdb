/**
 * Many pending Services at once: how long until each has its address, on a real kube-apiserver where it can be had, else on
 * the embedded API; and how long a new controller takes to adopt them all.
 * @module
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findBinaries, startRealApi } from '../lab/kubernetes/real-api.ts';
import { freePort, run, start } from '../lab/net/shell.ts';
import { sleep, until } from '../lab/net/waiting.ts';
import { KubernetesClient } from '../src/adapters/kubernetes/client.ts';
import { Connection } from '../src/adapters/kubernetes/connection.ts';
import { collectionPath } from '../src/adapters/kubernetes/resources.ts';
import { openDataDirectory } from '../src/apps/standalone/data-directory.ts';
import { startEmbeddedApi } from '../src/kube-api/embedded-api.ts';
import { printTable, show } from './table.ts';

const SIZES = (process.env.BENCH_SIZES ?? '1000,5000,10000,20000').split(',').map(Number);
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
      allocated.requests === undefined ? '–' : (allocated.requests / size).toFixed(2),
      allocated.stall === undefined ? '–' : show(allocated.stall, 'ms'),
      show(allocated.peak, 'MiB'),
      show(adopted.seconds, 's'),
      adopted.requests === undefined ? '–' : String(adopted.requests),
    ]);
  }
  printTable(
    `Pending Services to addresses, on ${server}; one run each`,
    [
      'Services',
      'start until all have one',
      'rate',
      'API requests for each',
      'longest stall',
      'peak memory',
      'adoption by a new controller, and one more',
      'API requests of the adoption',
    ],
    rows,
  );
}

async function open(directory: string): Promise<{ kubeconfig: string; name: string; stop: () => Promise<void> }> {
  const binaries = findBinaries();
  if (typeof binaries !== 'string') return { ...(await startRealApi(binaries, directory)), name: 'kube-apiserver' };
  const data = await openDataDirectory(directory, '127.0.0.1', ':memory:');
  const api = await startEmbeddedApi({ ...data, host: '127.0.0.1', port: 17445 });
  data.publish(17445);
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

interface Measured {
  readonly seconds: number;
  /** MiB. */
  readonly peak: number;
  /** Milliseconds; undefined where tokens cannot be reviewed, and so metrics not be read. */
  readonly stall: number | undefined;
  /** Requests that the controller made, long-running ones included. */
  readonly requests: number | undefined;
}

async function runController(kubeconfig: string, directory: string, work: () => Promise<void>): Promise<Measured> {
  const port = await freePort();
  const flags = ['--kubeconfig', kubeconfig, '--port', String(port), '--health-probe-port', '0'];
  const quiet = ['--log-level', 'error', '--webhook-mode', 'disabled'];
  const began = performance.now();
  const controller = start(
    'controller',
    [METALLB, 'controller', ...flags, ...quiet],
    join(directory, 'controller.log'),
  );
  await work();
  const seconds = (performance.now() - began) / 1000;
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${controller.pid}/status`, 'utf8'))![1]) / 1024;
  const token = /token: (\S+)/.exec(readFileSync(kubeconfig, 'utf8'))?.[1];
  const scrape = ['curl', '-sk', '-H', `Authorization: Bearer ${token}`, `https://127.0.0.1:${port}/metrics`];
  const metrics = run(scrape).stdout;
  const value = (name: string) => {
    const lines = [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
    return lines.length === 0 ? undefined : lines.reduce((sum, [, number]) => sum + Number(number), 0);
  };
  await controller.stop();
  const lag = value('nodejs_eventloop_lag_max_seconds');
  return { seconds, peak, stall: lag && lag * 1000, requests: value('metallb_k8s_client_requests_total') };
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
    { patience: 300_000 },
  );
}
