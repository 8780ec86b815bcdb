import { expect, it } from 'vitest';
import { EventRecorder } from './events.ts';
import type { ApiRequest, ApiTransport } from './transport.ts';

it('lets nothing into an Event that moves a cursor, nor more than Kubernetes’ own recorder', () => {
  const sent: ApiRequest[] = [];
  const client = { send: (request: ApiRequest) => void sent.push(request) } as unknown as ApiTransport;
  const recorder = new EventRecorder({ client, component: 'c', host: 'h', onTrouble: () => {} });
  const target = { apiVersion: 'v1', kind: 'Service', namespace: 'default', name: 's' };
  recorder.record(target, { reason: 'AllocationFailed', message: `\u001b]0;x\u0007${'y'.repeat(5000)}` });
  const { message } = sent[0]!.body as { message: string };
  expect(message).toHaveLength(1024);
  expect(message).toMatch(/^\\u001b\]0;x\\u0007y+ … \(5016 characters\)$/);
});
