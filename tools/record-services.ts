/**
 * `npm run record:services`: asks a real kube-apiserver everything of test/system/service-cases.ts, and writes down what it answers.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinaries, startRealApi } from '../lab/kubernetes/real-api.ts';
import { KubernetesClient } from '../src/adapters/kubernetes/client.ts';
import { Connection } from '../src/adapters/kubernetes/connection.ts';
import { askAll, recordAnswers } from '../test/system/service-cases.ts';

const binaries = findBinaries();
if (typeof binaries === 'string') throw new Error(binaries);
const directory = mkdtempSync(join(tmpdir(), 'metallb-record-'));
const api = await startRealApi(binaries, directory);
try {
  const answers = await askAll(new KubernetesClient(Connection.open(api.kubeconfig), 'record'), 'recorded');
  recordAnswers(answers);
  console.log(`recorded ${answers.size} answers; now read the difference`);
} finally {
  await api.stop();
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
