import { describe, expect, it } from 'vitest';
import type { Clock } from '../../adapters/driver/clock.ts';
import type { ApiAnswer, ApiRequest, ApiTransport, WatchHandlers } from '../../adapters/kubernetes/transport.ts';
import { createLog } from '../../adapters/log/log.ts';
import { Metrics } from '../../adapters/metrics/metrics.ts';
import { ControllerApp } from './controller-app.ts';

/** A process that can sleep: time passes without its timers, and what wakes first when it wakes is the test's choice. */
function sleepyClock() {
  let now = 0;
  const timers = new Map<object, { readonly at: number; readonly run: () => void }>();
  const clock: Clock = {
    now: () => now,
    at: (at, run) => {
      const key = {};
      timers.set(key, { at, run });
      return () => timers.delete(key);
    },
  };
  const runDue = () => {
    for (const [key, { at, run }] of [...timers].sort(([, a], [, b]) => a.at - b.at))
      if (at <= now && timers.delete(key)) run();
  };
  return {
    clock,
    sleep: (milliseconds: number) => {
      now += milliseconds;
    },
    pass: (milliseconds: number) => {
      for (let i = 0; i < milliseconds; i += 10) {
        now += 10;
        runDue();
      }
    },
  };
}

interface Sent {
  readonly request: ApiRequest;
  readonly answer: (body: unknown) => void;
}

/** An API server whose answers the test writes. */
class HandWrittenApi implements ApiTransport {
  readonly sent: Sent[] = [];
  readonly watches = new Map<string, WatchHandlers>();

  send<T>(request: ApiRequest, onAnswer: (answer: ApiAnswer<T>) => void): () => void {
    this.sent.push({ request, answer: (body) => onAnswer({ ok: true, body: body as T }) });
    return () => {};
  }

  open({ path }: ApiRequest, handlers: WatchHandlers): () => void {
    this.watches.set(path.split('/').at(-1)!, handlers);
    handlers.onOpen();
    return () => {};
  }

  /** The oldest request of this kind that has no answer yet. */
  take(method: string, end: string): Sent | undefined {
    const i = this.sent.findIndex(
      ({ request }) => (request.method ?? 'GET') === method && request.path.split('?')[0]!.endsWith(end),
    );
    return i < 0 ? undefined : this.sent.splice(i, 1)[0];
  }
}

const POOL = {
  metadata: { name: 'pool', namespace: 'metallb-system', resourceVersion: '1' },
  spec: { addresses: ['198.51.100.1-198.51.100.9'] },
};
const SERVICE = {
  metadata: { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '7' },
  spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port: 80 }] },
};
const LEASE = '/leases/metallb-controller';
const lease = (version: number) => ({
  metadata: { name: 'metallb-controller', namespace: 'metallb-system', resourceVersion: String(version) },
  spec: { holderIdentity: 'me', leaseTransitions: 0 },
});

/** A controller that leads, has listed everything, and has a renewal of its Lease under way. */
function leading() {
  const api = new HandWrittenApi();
  const time = sleepyClock();
  const app = new ControllerApp({
    client: api,
    namespace: 'metallb-system',
    loadBalancerClass: '',
    poolChangeGrace: 5000,
    log: createLog('none', {}),
    metrics: new Metrics(),
    clock: time.clock,
    wallClock: () => 0,
    random: () => 0.5,
    host: 'me',
    leaderElection: { namespace: 'metallb-system', identity: 'me', onStepDown: () => {} },
  });
  app.start();
  const list = () => {
    for (const { request, answer } of api.sent.splice(0)) {
      const name = request.path.split('/').at(-1)!;
      if (request.path.includes('/leases')) answer(request.method === undefined ? lease(1) : lease(2));
      else answer({ metadata: { resourceVersion: '5' }, items: name === 'ipaddresspools' ? [POOL] : [] });
    }
  };
  // Lists, the Lease, and the lists of one that has begun to lead.
  for (let i = 0; i < 6; i++) list();
  expect(app.readiness.state).toBe('leading');
  return { api, app, ...time };
}

describe('a controller whose watches come back one by one', () => {
  it('gives no address of a pool as it was before', () => {
    const { api, app, pass } = leading();
    const failure = { status: 0, reason: '', message: 'ECONNRESET' };
    for (const name of ['ipaddresspools', 'services']) api.watches.get(name)!.onClose(failure);
    // The watch of Services opens again, the list of pools has no answer yet.
    pass(300);
    api.watches.get('services')!.onEvent('ADDED', SERVICE);
    expect(api.take('PATCH', '/services/web/status')).toBeUndefined();
    expect(app.readiness.state).toBe('leading, waiting for the API server to list ipaddresspools again');
    const moved = {
      ...POOL,
      metadata: { ...POOL.metadata, resourceVersion: '9' },
      spec: { addresses: ['203.0.113.0/30'] },
    };
    api.take('GET', '/ipaddresspools')!.answer({ metadata: { resourceVersion: '9' }, items: [moved] });
    expect(api.take('PATCH', '/services/web/status')?.request.body).toMatchObject({
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.0' }] } },
    });
  });
});

describe('a controller that has slept', () => {
  it('writes what it decided before it read the answer to its last renewal', () => {
    const { api, pass, sleep } = leading();
    pass(2000);
    api.take('GET', LEASE)!.answer(lease(2));
    const renewal = api.take('PUT', LEASE)!;
    sleep(8500);
    // It wakes up, and the first socket that it turns to is that of the watch: whether it still leads it cannot know.
    api.watches.get('services')!.onEvent('ADDED', SERVICE);
    expect(api.take('PATCH', '/services/web/status')).toBeUndefined();
    renewal.answer(lease(3));
    pass(500);
    expect(api.take('PATCH', '/services/web/status')?.request.body).toMatchObject({
      status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } },
    });
  });
});
