/**
 * The embedded API in this process, for tests that ask it themselves.
 * @module
 */
import { freePort } from '../../lab/net/shell.ts';
import { KubernetesClient } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { openDataDirectory } from '../../src/apps/standalone/data-directory.ts';
import { startEmbeddedApi } from '../../src/kube-api/embedded-api.ts';
import type { ApiTarget } from './api-cases.ts';
import { scratch } from './processes.ts';

export async function startEmbedded(changes: { readonly database?: string } = {}): Promise<Required<ApiTarget>> {
  const directory = scratch();
  const port = await freePort();
  const open = () => openDataDirectory(directory.path, '127.0.0.1', changes.database);
  const data = await open();
  const options = { host: '127.0.0.1', port, bookmarkInterval: 200 };
  let api = await startEmbeddedApi({ ...data, ...options });
  data.publish(port);
  return {
    client: new KubernetesClient(Connection.open(data.kubeconfig), 'api-suite'),
    compact: () => api.store.compact(),
    reset: async () => {
      await api.close();
      api = await startEmbeddedApi({ ...(await open()), ...options });
    },
    bookmarkWithin: 5000,
    close: async () => {
      await api.close();
      directory.remove();
    },
  };
}
