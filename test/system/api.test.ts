import { describe } from 'vitest';
import { freePort } from '../../lab/net/shell.ts';
import { KubernetesClient } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { openDataDirectory } from '../../src/apps/standalone/data-directory.ts';
import { startEmbeddedApi } from '../../src/kube-api/embedded-api.ts';
import { type ApiTarget, apiCases } from './api-cases.ts';
import { scratch } from './processes.ts';

async function embedded(): Promise<ApiTarget> {
  const directory = scratch();
  const port = await freePort();
  const data = await openDataDirectory(directory.path, '127.0.0.1', port);
  const options = { ...data, host: '127.0.0.1', port, bookmarkInterval: 200 };
  let api = await startEmbeddedApi(options);
  return {
    client: new KubernetesClient(Connection.open(data.kubeconfig), 'api-suite'),
    compact: () => api.store.compact(),
    reset: async () => {
      await api.close();
      api = await startEmbeddedApi(options);
    },
    bookmarkWithin: 5000,
    close: async () => {
      await api.close();
      directory.remove();
    },
  };
}

async function elsewhere(kubeconfig: string): Promise<ApiTarget> {
  return {
    client: new KubernetesClient(Connection.open(kubeconfig), 'api-suite'),
    bookmarkWithin: 70_000,
    close: async () => {},
  };
}

const kubeconfig = process.env.METALLB_TEST_KUBECONFIG;

describe(kubeconfig === undefined ? 'the embedded API' : `the API of ${kubeconfig}`, () => {
  apiCases(kubeconfig === undefined ? embedded : () => elsewhere(kubeconfig));
});
