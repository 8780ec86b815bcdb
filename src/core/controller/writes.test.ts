import { describe, expect, it } from 'vitest';
import { LAN, pool, service } from '../../../test/builders.ts';
import { POOL_ANNOTATION } from '../api/annotations.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { controllerMachine } from './fsm.ts';
import { SURROUNDINGS_DELAY } from './look-around.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  initialController,
  type WrittenResource,
} from './state.ts';

/** A leading controller whose writes are answered by the test. */
function controller(...objects: readonly [WrittenResource, KubernetesObject][]) {
  let state = initialController({ loadBalancerClass: '' });
  const outputs: ControllerOutput[] = [];
  let now = 0;
  const feed = (input: ControllerInput | { kind: 'tick' }) => {
    const result = controllerMachine.step(state, input, now);
    state = result.next;
    outputs.push(...result.outputs);
  };
  for (const resource of CONTROLLER_RESOURCES)
    feed({
      kind: 'replaced',
      resource,
      objects: [
        ...(resource === 'l2advertisements' ? [LAN] : []),
        ...objects.filter(([of]) => of === resource).map(([, object]) => object),
      ],
    });
  now = SURROUNDINGS_DELAY;
  feed({ kind: 'tick' });
  return {
    feed,
    /** What has been written since the last look. */
    writes: () => {
      const writes = outputs.filter(({ kind }) => kind === 'write-service' || kind === 'write-status');
      outputs.length = 0;
      return writes;
    },
    /** Fails the write that is under way, and gives back how long the controller waits before the next. */
    fail: (resource: WrittenResource, key: string, status: number) => {
      feed({ kind: 'write-failed', resource, key, status, message: '' });
      const due = controllerMachine.nextDeadline(state);
      const pause = due === undefined ? undefined : due.at - now;
      now = due?.at ?? now;
      feed({ kind: 'tick' });
      return pause;
    },
    wait: () => {
      now = controllerMachine.nextDeadline(state)?.at ?? now;
      feed({ kind: 'tick' });
    },
    get knows() {
      return { services: [...state.services.retries()].length, configuration: state.configRecords.size };
    },
  };
}

const shown = (name: string, ...addresses: string[]) =>
  service(name, {}, { resourceVersion: '7', annotations: { [POOL_ANNOTATION]: 'p' } }, addresses);
/** The pool with the counters that it has while Services hold so many of its addresses. */
const counted = (assigned: number, available: number) => ({
  ...pool('p', ['192.0.2.0/31']),
  status: { assignedIPv4: assigned, assignedIPv6: 0, availableIPv4: available, availableIPv6: 0 },
});

describe('a write that fails', () => {
  it('is tried again after ever longer pauses, ten seconds at most', () => {
    const c = controller(['ipaddresspools', counted(1, 1)], ['services', service('a')]);
    const pauses = Array.from({ length: 9 }, () => c.fail('services', 'default/a', 503));
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    expect(c.writes()).toHaveLength(10);
  });

  it('for a conflict is tried again after the first pause, however many have failed before', () => {
    const c = controller(['ipaddresspools', counted(1, 1)], ['services', service('a')]);
    const pauses = [503, 503, 503, 409, 409, 503].map((status) => c.fail('services', 'default/a', status));
    expect(pauses).toEqual([100, 200, 400, 100, 100, 200]);
  });

  it('because the object is gone is not tried again', () => {
    const c = controller(['ipaddresspools', counted(1, 1)], ['services', service('a')]);
    expect(c.writes()).toHaveLength(1);
    expect(c.fail('services', 'default/a', 404)).toBeUndefined();
    expect(c.writes()).toEqual([]);
  });

  it('of a Service that is deleted meanwhile leaves nothing behind', () => {
    const a = service('a');
    const c = controller(['ipaddresspools', counted(1, 1)], ['services', a]);
    c.writes();
    c.feed({ kind: 'deleted', resource: 'services', object: a });
    c.fail('services', 'default/a', 503);
    expect(c.writes().filter(({ kind }) => kind === 'write-service')).toEqual([]);
    expect(c.knows.services).toBe(0);
  });

  it('holds up a Service of the same name until it is answered', () => {
    const c = controller(['ipaddresspools', counted(1, 1)], ['services', service('a')]);
    c.writes();
    c.feed({ kind: 'deleted', resource: 'services', object: service('a') });
    c.feed({ kind: 'applied', resource: 'services', object: service('a') });
    expect(c.writes()).toEqual([]);
    c.fail('services', 'default/a', 404);
    c.feed({ kind: 'applied', resource: 'services', object: service('a', {}, { labels: { again: '' } }) });
    expect(c.writes()).toHaveLength(1);
  });
});

describe('the status of a pool', () => {
  it('is written once more when its counters change while it is being written', () => {
    const c = controller(['ipaddresspools', counted(0, 0)]);
    expect(c.writes()).toMatchObject([{ usage: { assignedIPv4: 0, availableIPv4: 2 } }]);
    c.feed({ kind: 'applied', resource: 'services', object: shown('a', '192.0.2.0') });
    c.wait();
    expect(c.writes()).toEqual([]);
    c.feed({ kind: 'written', resource: 'ipaddresspools', object: counted(0, 2) });
    expect(c.writes()).toMatchObject([{ usage: { assignedIPv4: 1, availableIPv4: 1 } }]);
    c.feed({ kind: 'written', resource: 'ipaddresspools', object: counted(1, 1) });
    expect(c.writes()).toEqual([]);
  });

  it('is written to a pool that takes the name of a deleted one', () => {
    const fresh = () => pool('p', ['192.0.2.0/31']);
    const c = controller(['ipaddresspools', fresh()]);
    c.feed({ kind: 'written', resource: 'ipaddresspools', object: counted(0, 2) });
    expect(c.writes()).toHaveLength(1);
    c.feed({ kind: 'deleted', resource: 'ipaddresspools', object: fresh() });
    expect(c.knows.configuration).toBe(0);
    c.feed({ kind: 'applied', resource: 'ipaddresspools', object: fresh() });
    expect(c.writes()).toMatchObject([{ key: 'metallb-system/p', usage: { availableIPv4: 2 } }]);
  });

  it('that a server prunes is not written again and again', () => {
    const c = controller(['ipaddresspools', pool('p', ['192.0.2.0/31'])]);
    expect(c.writes()).toHaveLength(1);
    c.feed({ kind: 'written', resource: 'ipaddresspools', object: pool('p', ['192.0.2.0/31']) });
    c.feed({ kind: 'applied', resource: 'communities', object: pool('c', []) });
    expect(c.writes().filter((write) => 'key' in write && write.key === 'metallb-system/p')).toEqual([]);
  });
});
