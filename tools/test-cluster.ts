/**
 * `npm run test:cluster`: suites and cases of the lab on a real kube-apiserver. Says why when there is none.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTool, METALLB_CONTROLLER, METALLB_SPEAKER } from '../lab/kubernetes/go-tool.ts';
import { type Binaries, findBinaries, startRealApi } from '../lab/kubernetes/real-api.ts';
import { whyNoSandbox } from '../lab/net/sandbox.ts';
import { type Counts, sum, vitest } from './vitest.ts';

/** Suites that are run on a real API server, each on one of its own: what one leaves behind is nothing to the others. */
const SUITES = [
  'api',
  'services',
  'controller',
  'allocation',
  'webhooks',
  'outage',
  'frr-k8s',
  'chart',
  'manifests',
  'install',
  'swap',
].map((name) => `test/system/${name}.test.ts`);

/** Cases of the lab that are run on a real API server too, with the rights of the chart. */
const IN_LAB = ['seeds', 'swap', 'cluster', 'layer2', 'bgp'].map((name) => `test/lab/${name}.test.ts`);

/** Starts servers, runs the suites, and takes everything away again. */
export async function testCluster(): Promise<Counts | string> {
  const binaries = findBinaries();
  if (typeof binaries === 'string') return binaries;
  const counts: Counts[] = [];
  for (const suite of SUITES) counts.push(await onRealApi(binaries, suite));
  const obstacle = whyNoSandbox();
  if (obstacle === undefined) {
    // What they need has to be there before: a sandbox reaches nobody.
    for (const tool of [METALLB_CONTROLLER, METALLB_SPEAKER]) findTool(tool);
    process.env.METALLB_LAB_API = 'real';
    counts.push(await vitest(['lab'], true, IN_LAB));
    delete process.env.METALLB_LAB_API;
  } else console.log(`NOT RUN: the lab on a real API server: ${obstacle}`);
  return sum(counts);
}

async function onRealApi(binaries: Binaries, suite: string): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-cluster-'));
  const api = await startRealApi(binaries, directory);
  process.env.METALLB_TEST_KUBECONFIG = api.kubeconfig;
  process.env.METALLB_TEST_AUDIT = api.auditLog;
  try {
    return await vitest(['system'], false, [suite]);
  } finally {
    delete process.env.METALLB_TEST_KUBECONFIG;
    delete process.env.METALLB_TEST_AUDIT;
    await api.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const result = await testCluster();
  if (typeof result === 'string') console.log(`NOT RUN: ${result}`);
  const { passed, failed, failures } = typeof result === 'string' ? sum([]) : result;
  for (const failure of failures) console.log(`FAILED: ${failure}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
