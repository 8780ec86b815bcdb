import { expect, it } from 'vitest';
import type { Clock } from '../driver/clock.ts';
import { apply } from './apply.ts';
import type { KubernetesClient } from './client.ts';

const CRD = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'x.y' } };

/** Applies the CustomResourceDefinition to a server that serves it after so many milliseconds; gives the time that has passed then. */
async function applyTo(servedAfter: number): Promise<number> {
  let now = 0;
  // Time passes when somebody waits for it, and only then.
  const clock: Clock = {
    now: () => now,
    at: (moment, run) => {
      now = moment;
      queueMicrotask(run);
      return () => {};
    },
  };
  const request = async () => ({
    status: { conditions: [{ type: 'Established', status: now < servedAfter ? 'False' : 'True' }] },
  });
  await apply({ request } as unknown as KubernetesClient, CRD, 'test', clock);
  return now;
}

it('waits until a new kind is served, and gives up after 30 s', async () => {
  expect(await applyTo(0)).toBe(0);
  expect(await applyTo(250)).toBe(300);
  await expect(applyTo(30_000)).rejects.toThrow('x.y was not served within 30 s');
});
