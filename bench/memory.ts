/**
 * Resident memory of controller and speaker, and the time from their start until they are ready.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { sleep, start, until } from '../lab/shell.ts';
import { openDataDirectory } from '../src/apps/standalone/data-directory.ts';
import { startEmbeddedApi } from '../src/apps/standalone/embedded-api.ts';
import { printTable, show } from './table.ts';

const METALLB = resolve(import.meta.dirname, '../bin/metallb');

export async function benchMemory(): Promise<void> {
  const rows: string[][] = [];
  for (const services of [0, 1000]) {
    const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-'));
    const data = await openDataDirectory(directory, '127.0.0.1', 17444);
    const api = await startEmbeddedApi({ ...data, database: ':memory:', host: '127.0.0.1', port: 17444 });
    const pool = {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'IPAddressPool',
      metadata: { name: 'p', namespace: 'metallb-system' },
      spec: { addresses: ['198.18.0.0/16'] },
    };
    api.store.put('ipaddresspools.metallb.io', pool);
    api.store.put('nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } });
    for (let i = 0; i < services; i++) {
      const spec = { type: 'LoadBalancer', clusterIP: '10.97.0.1', clusterIPs: ['10.97.0.1'], ports: [{ port: 80 }] };
      api.store.put('services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: `s${i}`, namespace: 'default', uid: `${i}` },
        spec,
        status: { loadBalancer: {} },
      });
    }
    for (const [name, flags, port] of [
      ['controller', [], 17500],
      ['speaker', ['--node-name', 'n'], 17501],
    ] as const) {
      const began = performance.now();
      const command = [
        METALLB,
        name,
        '--kubeconfig',
        data.kubeconfig,
        '--port',
        '0',
        '--health-probe-port',
        String(port),
        '--log-level',
        'error',
        ...flags,
      ];
      const running = start(name, command, join(directory, `${name}.log`));
      await until(
        `${name} is ready`,
        () =>
          fetch(`http://127.0.0.1:${port}/readyz`).then(
            (answer) => answer.ok,
            () => false,
          ),
        20_000,
        5,
      );
      const ready = performance.now() - began;
      await sleep(5000);
      const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${running.pid}/status`, 'utf8'))![1]) / 1024;
      await running.stop();
      rows.push([name, String(services), show(ready, 'ms'), show(resident, 'MiB')]);
    }
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  }
  printTable('Processes', ['process', 'Services', 'start until ready', 'resident after 5 s'], rows);
}
