import { afterEach, expect, it } from 'vitest';
import { VirtualClock } from '../../../sim/clock.ts';
import type { KubernetesClient } from '../../adapters/kubernetes/client.ts';
import type { ApiRequest } from '../../adapters/kubernetes/transport.ts';
import { createLog } from '../../adapters/log/log.ts';
import { WebhookServer } from './webhook-server.ts';

const DAY = 86_400_000;
let server: WebhookServer | undefined;
afterEach(() => server?.close());

/** An API server with one Secret, which is asked on a clock that the test moves; `rounds` are the times at which it was asked. */
async function keptBy(isDown: (now: number) => boolean) {
  const clock = new VirtualClock();
  const rounds: number[] = [];
  const authorities = new Set<string>();
  let data: Readonly<Record<string, string>> = {};
  let onIdle = () => {};
  const request = async ({ method = 'GET', path, body }: ApiRequest): Promise<unknown> => {
    // Nothing there has to trust us.
    if (!path.includes('/secrets')) return { metadata: {}, spec: {} };
    if (method !== 'GET') {
      data = (body as { data: typeof data }).data;
      return {};
    }
    rounds.push(clock.now());
    if (isDown(clock.now())) throw new Error('down');
    return { metadata: { name: 's', namespace: 'n', resourceVersion: '1' }, data };
  };
  const at = clock.at.bind(clock);
  clock.at = (moment, run) => {
    authorities.add(data['ca.crt'] ?? '');
    onIdle();
    return at(moment, run);
  };
  const idle = () => new Promise<void>((resolve) => (onIdle = resolve));
  const begun = idle();
  server = await WebhookServer.start({
    client: { request } as unknown as KubernetesClient,
    namespace: 'n',
    services: () => [],
    log: createLog('none', {}),
    port: 0,
    minVersion: 'TLSv1.3',
    certificates: { secret: 's', service: 'w' },
    clock,
    wallClock: () => Date.now() + clock.now(),
  });
  await begun;
  return {
    rounds,
    authorities,
    pass: async (milliseconds: number) => {
      const done = idle();
      clock.runUntil(clock.now() + milliseconds, () => {});
      await done;
    },
  };
}

it('looks after the certificates every minute, and after trouble sooner', async () => {
  const { rounds, pass } = await keptBy((now) => now === 60_000);
  await pass(60_000);
  await pass(5000);
  await pass(60_000);
  expect(rounds).toEqual([0, 60_000, 65_000, 125_000]);
});

it('makes another authority before this one ends, by the time of the day', async () => {
  const { authorities, pass } = await keptBy(() => false);
  await pass(3500 * DAY);
  expect(authorities.size).toBe(1);
  await pass(100 * DAY);
  expect(authorities.size).toBe(2);
});
