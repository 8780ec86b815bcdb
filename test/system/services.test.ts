/**
 * The embedded API is as strict with Services as kube-apiserver, case by case: held to what a real one answered (`npm run record:services`).
 * With METALLB_TEST_KUBECONFIG that recording is held to the server there, too.
 */
import { describe, expect, it } from 'vitest';
import { KubernetesClient } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { startEmbedded } from './embedded.ts';
import { type Answer, askAll, recordedAnswers, SERVICE_CASES } from './service-cases.ts';

const recorded = recordedAnswers();
const namespace = `services-${Math.random().toString(36).slice(2, 8)}`;

/** Where kube-apiserver has an internal error for what a client did wrong, we say what it was. */
function ours(answer: Answer): Answer {
  return answer.code === 500 ? { code: 422, reason: 'Invalid' } : answer;
}

function withoutFaults({ code, reason }: Answer): Answer {
  return { code, ...(reason !== undefined && { reason }) };
}

it('every case has a name of its own and an answer', () => {
  expect(SERVICE_CASES.length).toBeGreaterThan(1900);
  expect([...recorded.keys()]).toEqual(SERVICE_CASES.map(({ name }) => name));
});

describe('Services of the embedded API', () => {
  it('are answered as a real API server answers', async () => {
    const api = await startEmbedded({ database: ':memory:' });
    const answers = await askAll(api.client, namespace);
    await api.close();
    for (const [name, answer] of recorded) {
      const given = answers.get(name)!;
      expect([name, answer.code === 500 ? withoutFaults(given) : given]).toEqual([name, ours(answer)]);
    }
  });
});

const kubeconfig = process.env.METALLB_TEST_KUBECONFIG;

describe.skipIf(kubeconfig === undefined)('the recording (needs METALLB_TEST_KUBECONFIG)', () => {
  it('is what the server answers today', async () => {
    const answers = await askAll(new KubernetesClient(Connection.open(kubeconfig!), 'services'), namespace);
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(recorded));
  });
});
