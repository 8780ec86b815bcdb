/**
 * `npm run test:cluster`: the API suite and the controller suite on a real kube-apiserver. Says why when there is none.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTool, METALLB_CONTROLLER, METALLB_SPEAKER } from '../lab/go-tool.ts';
import { findBinaries, startRealApi } from '../lab/real-api.ts';
import { whyNoSandbox } from '../lab/sandbox.ts';
import { type Counts, vitest } from './vitest.ts';

/** Cases of the lab that are run on a real API server too, with the rights of the chart. */
const IN_LAB = ['seeds', 'swap', 'cluster', 'layer2', 'bgp'].map((name) => `test/lab/${name}.test.ts`);

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
    const obstacle = whyNoSandbox();
    if (obstacle !== undefined) {
      console.log(`NOT RUN: the lab on a real API server: ${obstacle}`);
      return counts;
    }
    // What they need has to be there before: a sandbox reaches nobody.
    for (const tool of [METALLB_CONTROLLER, METALLB_SPEAKER]) findTool(tool);
    process.env.METALLB_LAB_API = 'real';
    const inLab = await vitest(['lab'], true, IN_LAB);
    delete process.env.METALLB_LAB_API;
    const sum = (key: keyof Counts) => counts[key] + inLab[key];
    return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
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
