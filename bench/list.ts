/**
 * 10,000 Services listed: how long the event loop stalls and how much memory it takes, by our reflector and by the
 * list of @kubernetes/client-node, each in a process of its own, against the same embedded API in a third.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAsync } from '../lab/net/shell.ts';
import { openDataDirectory } from '../src/apps/standalone/data-directory.ts';
import { startEmbeddedApi } from '../src/kube-api/embedded-api.ts';
import { median, printTable, show } from './table.ts';

const SERVICES = 10_000;
const ROUNDS = 5;

interface Measured {
  readonly stall: number;
  readonly total: number;
  readonly peak: number;
}

export async function benchList(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-'));
  const data = await openDataDirectory(directory, '127.0.0.1', ':memory:');
  const api = await startEmbeddedApi({ ...data, host: '127.0.0.1', port: 17443 });
  data.publish(17443);
  for (let i = 0; i < SERVICES; i++) {
    // Straight into the store: admission of ten thousand Services is not what is measured.
    const metadata = {
      name: `service-${i}`,
      namespace: 'default',
      uid: `uid-${i}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: `app-${i}` },
      annotations: { 'metallb.io/ip-allocated-from-pool': 'pool' },
    };
    const spec = {
      type: 'LoadBalancer',
      clusterIP: `10.97.${i >> 8}.${i & 255}`,
      clusterIPs: [`10.97.${i >> 8}.${i & 255}`],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
      selector: { app: `app-${i}` },
    };
    api.store.put('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec,
      status: { loadBalancer: { ingress: [{ ip: `198.18.${i >> 8}.${i & 255}` }] } },
    });
  }
  const rows: string[][] = [];
  for (const who of ['ours', 'client-node'] as const) {
    const results: Measured[] = [];
    for (let round = 0; round < ROUNDS; round++) results.push(await measure(who, data.kubeconfig));
    const column = (key: keyof Measured) => median(results.map((result) => result[key]));
    rows.push([who, show(column('stall'), 'ms'), show(column('total'), 'ms'), show(column('peak'), 'MB')]);
  }
  await api.close();
  rmSync(directory, { recursive: true, force: true });
  printTable(
    `${SERVICES.toLocaleString('en')} Services listed, medians of ${ROUNDS}`,
    ['who', 'longest stall', 'until all are there', 'memory above the start'],
    rows,
  );
}

async function measure(who: string, kubeconfig: string): Promise<Measured> {
  const script = join(import.meta.dirname, 'list-client.ts');
  const { stdout, stderr } = await runAsync([
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    script,
    who,
    kubeconfig,
  ]);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Measured;
}
