import { describe } from 'vitest';
import { KubernetesClient } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { type ApiTarget, apiCases } from './api-cases.ts';
import { startEmbedded } from './embedded.ts';

async function elsewhere(kubeconfig: string): Promise<ApiTarget> {
  return {
    client: new KubernetesClient(Connection.open(kubeconfig), 'api-suite'),
    bookmarkWithin: 70_000,
    close: async () => {},
  };
}

const kubeconfig = process.env.METALLB_TEST_KUBECONFIG;

describe(kubeconfig === undefined ? 'the embedded API' : `the API of ${kubeconfig}`, () => {
  apiCases(kubeconfig === undefined ? startEmbedded : () => elsewhere(kubeconfig));
});
