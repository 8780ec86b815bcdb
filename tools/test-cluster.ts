/**
 * `npm run test:cluster`: the API suite and the controller suite on a real kube-apiserver. Says why when there is none.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinaries, startRealApi } from '../lab/real-api.ts';
import { type Counts, vitest } from './vitest.ts';

/** Starts the server, runs the suites, and takes everything away again. */
export async function testCluster(): Promise<Counts | string> {
  const binaries = findBinaries();
  if (typeof binaries === 'string') return binaries;
  const directory = mkdtempSync(join(tmpdir(), 'metallb-cluster-'));
  try {
    const api = await startRealApi(binaries, directory);
    process.env.METALLB_TEST_KUBECONFIG = api.kubeconfig;
    process.env.METALLB_TEST_AUDIT = api.auditLog;
    const counts = await vitest(
      ['system'],
      false,
      ['api', 'controller', 'allocation', 'webhooks', 'outage', 'frr-k8s', 'chart', 'manifests', 'install', 'swap'].map(
        (name) => `test/system/${name}.test.ts`,
      ),
    );
    delete process.env.METALLB_TEST_KUBECONFIG;
    await api.stop();
    return counts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const result = await testCluster();
  if (typeof result === 'string') console.log(`NOT RUN: ${result}`);
  const { passed, failed } = typeof result === 'string' ? { passed: 0, failed: 0 } : result;
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
