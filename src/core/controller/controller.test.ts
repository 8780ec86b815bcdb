import { describe, expect, it } from 'vitest';
import { configured, pool, service } from '../../../test/builders.ts';
import { controller } from '../../../test/controller.ts';
import { OLD_PREFIX, POOL_ANNOTATION } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';
import { ADVERTISED_CONDITION, ALLOCATED_CONDITION } from '../reasons/conditions.ts';
import { controllerMachine } from './fsm.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  initialController,
  NEEDED_RESOURCES,
} from './state.ts';

describe('the controller', () => {
  it('gives a Service the lowest free address, names the pool, and tells it once', () => {
    const c = controller({ services: [service('web')] });
    expect([c.address('web'), c.annotation('web')]).toEqual(['192.0.2.0', 'p']);
    expect(c.events).toEqual(['web IPAllocated: Assigned IP ["192.0.2.0"] of pool "p"']);
    c.annotate('web', { other: 'thing' });
    expect(c.events).toHaveLength(1);
    expect(c.writes.filter((w) => w.startsWith('default/web'))).toHaveLength(1);
  });

  it('does nothing before it has seen everything', () => {
    const state = initialController({ loadBalancerClass: '' });
    const { outputs } = controllerMachine.step(
      state,
      { kind: 'replaced', resource: 'services', objects: [service('web')] },
      0,
    );
    expect(outputs).toEqual([]);
  });

  it('adopts the addresses that Services have before it gives any new one', () => {
    const c = controller({ services: [service('a-new'), service('b-old', {}, {}, ['192.0.2.0'])] });
    expect([c.address('a-new'), c.address('b-old')]).toEqual(['192.0.2.1', '192.0.2.0']);
  });

  it('lets the older of two Services keep an address that both claim', () => {
    const old = service('z-old', {}, { creationTimestamp: '2025-01-01T00:00:00Z' }, ['192.0.2.0']);
    const c = controller({ services: [service('a-young', {}, {}, ['192.0.2.0']), old] });
    expect([c.address('z-old'), c.address('a-young')]).toEqual(['192.0.2.0', '192.0.2.1']);
    expect(c.events[0]).toBe(
      'a-young ClearAssignment: default/a-young loses 192.0.2.0: address 192.0.2.0 is in use by Service default/z-old; request another address, or release it there',
    );
  });

  it('says once why a Service has to wait, and gives it the address that becomes free', () => {
    const c = controller({
      pools: [pool('p', ['192.0.2.0/32'])],
      services: [service('a', {}, {}, ['192.0.2.0']), service('b')],
    });
    const reason =
      'b AllocationFailed: default/b gets no address: pool "p" is exhausted; add addresses to a pool, or delete a Service that holds one';
    expect(c.events).toEqual([reason]);
    c.annotate('b', { x: 'y' });
    expect(c.events).toEqual([reason]);
    c.remove('a');
    expect(c.address('b')).toBe('192.0.2.0');
  });

  it('wakes those who wait when the holder of an address lets others share it', () => {
    const sharing = { annotations: { 'metallb.io/allow-shared-ip': 'key' } };
    const c = controller({
      pools: [pool('p', ['192.0.2.0/32'])],
      services: [service('a', {}, {}, ['192.0.2.0']), service('b', { ports: [{ port: 443 }] }, sharing)],
    });
    expect(c.address('b')).toBe('');
    c.annotate('a', sharing.annotations);
    expect(c.address('b')).toBe('192.0.2.0');
  });

  it('says on the Service whether it has its address, and why not, and leaves the conditions of others alone', () => {
    const foreign = {
      type: 'other.io/Thing',
      status: 'True',
      reason: 'X',
      message: '',
      lastTransitionTime: '2020-01-01T00:00:00Z',
    };
    const waiting = service('a');
    const c = controller({
      pools: [pool('p', ['192.0.2.0/32'])],
      services: [service('b', {}, {}, ['192.0.2.0']), { ...waiting, status: { conditions: [foreign] } }],
    });
    expect(c.condition('a')).toMatchObject({
      status: 'False',
      reason: 'AllocationFailed',
      message: expect.stringContaining('pool "p" is exhausted'),
    });
    expect(c.condition('b')).toMatchObject({ status: 'True' });
    c.remove('b');
    expect(c.condition('a')).toMatchObject({
      status: 'True',
      reason: 'Allocated',
      message: 'the address is from pool "p"',
    });
    c.change('a', { type: 'ClusterIP' });
    expect(c.condition('a')).toBeUndefined();
    expect(c.conditions('a')).toEqual([foreign]);
  });

  it('serves those who wait as soon as a pool appears', () => {
    const c = controller({ pools: [], services: [service('a')] });
    expect(c.events).toEqual(['a AllocationFailed: default/a gets no address: there is no IPAddressPool; create one']);
    c.pools(pool('p', ['192.0.2.0/30']));
    expect(c.address('a')).toBe('192.0.2.0');
  });

  it.each<[string, object, Record<string, string>, string, string]>([
    ['spec.loadBalancerIP', { loadBalancerIP: '192.0.2.2' }, {}, '192.0.2.2', 'IPAllocated'],
    ['the annotation', {}, { 'metallb.io/loadBalancerIPs': '192.0.2.3' }, '192.0.2.3', 'IPAllocated'],
    [
      'the annotation under its old prefix',
      {},
      { [`${OLD_PREFIX}loadBalancerIPs`]: '192.0.2.3' },
      '192.0.2.3',
      'IPAllocated',
    ],
    [
      'both at once',
      { loadBalancerIP: '192.0.2.2' },
      { 'metallb.io/loadBalancerIPs': '192.0.2.3' },
      '',
      'LoadBalancerFailed',
    ],
    ['something that is no address', { loadBalancerIP: 'web.example' }, {}, '', 'LoadBalancerFailed'],
    ['two of one family', {}, { 'metallb.io/loadBalancerIPs': '192.0.2.2, 192.0.2.3' }, '', 'LoadBalancerFailed'],
    ['an address outside the pools', { loadBalancerIP: '198.51.100.1' }, {}, '', 'AllocationFailed'],
    ['an address of the other family', { loadBalancerIP: '2001:db8::1' }, {}, '', 'AllocationFailed'],
    ['a pool that does not exist', {}, { 'metallb.io/address-pool': 'none' }, '', 'AllocationFailed'],
    ['a pool with autoAssign off', {}, { 'metallb.io/address-pool': 'manual' }, '198.51.100.8', 'IPAllocated'],
  ])('honours a request by %s', (_, spec, annotations, address, reason) => {
    const pools = [pool('p', ['192.0.2.0/30']), pool('manual', ['198.51.100.8/30'], { autoAssign: false })];
    const c = controller({ pools, services: [service('a', spec, { annotations })] });
    expect(c.address('a')).toBe(address);
    expect(c.events[0]).toContain(`a ${reason}: `);
  });

  it('moves a Service when its wish changes, and keeps its address when the wish goes', () => {
    const c = controller({ services: [service('a', { loadBalancerIP: '192.0.2.2' })] });
    c.change('a', { loadBalancerIP: '192.0.2.1' });
    expect(c.address('a')).toBe('192.0.2.1');
    c.change('a', { loadBalancerIP: undefined });
    expect(c.address('a')).toBe('192.0.2.1');
    c.change('a', { loadBalancerIP: 'nonsense' });
    expect(c.address('a')).toBe('192.0.2.1');
    expect(c.events.at(-1)).toContain('LoadBalancerFailed');
  });

  it('takes the address back when the type changes', () => {
    const c = controller({ services: [service('a')] });
    c.change('a', { type: 'ClusterIP' });
    expect([c.address('a'), c.annotation('a')]).toEqual(['', undefined]);
  });

  it('leaves Services of another class alone', () => {
    const services = [
      service('other', { loadBalancerClass: 'x' }),
      service('none'),
      service('mine', { loadBalancerClass: 'mine' }),
    ];
    const c = controller({ loadBalancerClass: 'mine', services });
    expect([c.address('other'), c.address('none'), c.address('mine')]).toEqual(['', '', '192.0.2.0']);
  });

  const CLASS = 'example.com/mine';
  const marks = (message: string, type: string = ALLOCATED_CONDITION) => ({
    conditions: [
      { type, status: 'False', reason: 'AllocationFailed', message, lastTransitionTime: '' },
      { type: 'other.io/Thing', status: 'True', reason: 'X', message: '', lastTransitionTime: '' },
    ],
  });

  it('takes back what it said of a Service of its class that waited and is no LoadBalancer any more', () => {
    const c = controller({
      loadBalancerClass: CLASS,
      pools: [],
      services: [service('a', { loadBalancerClass: CLASS })],
    });
    expect(c.condition('a')).toMatchObject({ status: 'False' });
    c.change('a', { type: 'ClusterIP', loadBalancerClass: undefined });
    expect(c.conditions('a')).toEqual([]);
  });

  it.each<[string, object, object]>([
    ['the annotation', { annotations: { [POOL_ANNOTATION]: 'p', theirs: 'x' } }, {}],
    ['the condition', { annotations: { theirs: 'x' } }, marks('x')],
    ['its other condition', { annotations: { theirs: 'x' } }, marks('x', ADVERTISED_CONDITION)],
  ])('knows by %s what it wrote before it was away', (_, meta, status) => {
    const flipped: Service = { ...service('a', { type: 'ClusterIP' }, meta), status };
    const c = controller({ loadBalancerClass: CLASS, services: [flipped, service('b', { type: 'ClusterIP' })] });
    expect(c.writes.filter((text) => text.startsWith('default/'))).toEqual(['default/a ']);
    expect([c.annotation('a'), c.condition('a')]).toEqual([undefined, undefined]);
    expect(c.conditions('a')).toHaveLength('conditions' in status ? 1 : 0);
  });

  it('frees the address of a Service that it sees next with the class of another controller, and writes nothing there', () => {
    const pools = [pool('p', ['192.0.2.0/32'])];
    const mine = { loadBalancerClass: CLASS };
    const c = controller({ ...mine, pools, services: [service('a', mine), service('b', mine)] });
    expect([c.address('a'), c.address('b')]).toEqual(['192.0.2.0', '']);
    const written = c.writes.filter((text) => text.startsWith('default/a')).length;
    c.put({ ...service('a', { loadBalancerClass: 'example.com/theirs' }), status: marks('theirs') });
    expect(c.address('b')).toBe('192.0.2.0');
    expect(c.writes.filter((text) => text.startsWith('default/a'))).toHaveLength(written);
  });

  it('warns about annotations under the old prefix once', () => {
    const c = controller({ services: [service('a', {}, { annotations: { [`${OLD_PREFIX}address-pool`]: 'p' } })] });
    expect(c.events.filter((text) => text.includes('deprecatedAnnotation'))).toEqual([
      'a deprecatedAnnotation: annotation metallb.universe.tf/address-pool still works, but is deprecated; use metallb.io/address-pool',
    ]);
  });

  describe('says of annotations that do nothing', () => {
    const misspelt = { 'metallb.io/loadbalancerIPs': '192.0.2.1' };
    const meant =
      'a unknownAnnotation: annotation metallb.io/loadbalancerIPs is no annotation of ours; did you mean metallb.io/loadBalancerIPs?';

    it('what was meant, with the address that was given instead', () => {
      const c = controller({ services: [service('a', {}, { annotations: misspelt })] });
      expect(c.events).toEqual(['a IPAllocated: Assigned IP ["192.0.2.0"] of pool "p"', meant]);
    });

    it('when they come later and nothing else changes', () => {
      const c = controller({ services: [service('a')] });
      c.annotate('a', misspelt);
      c.annotate('a', { 'example.com/else': 'x' });
      expect(c.events.slice(1)).toEqual([meant]);
    });

    it('nothing after a restart', () => {
      const c = controller({
        services: [service('a', {}, { annotations: { ...misspelt, [POOL_ANNOTATION]: 'p' } }, ['192.0.2.0'])],
      });
      c.pools(pool('p', ['192.0.2.0/29']));
      expect(c.events).toEqual([]);
    });
  });

  it('moves Services off addresses that leave the pools, and says so', () => {
    const c = controller({ services: [service('a', {}, {}, ['192.0.2.0'])] });
    c.pools(pool('q', ['192.0.2.2/31']));
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.2', 'q']);
    expect(c.events[0]).toContain(
      'a ClearAssignment: default/a loses 192.0.2.0: address 192.0.2.0 is in no IPAddressPool',
    );
  });

  it('gives no address outside the pool to one that shares an address which is avoided from now on', () => {
    const sharing = service('a', {}, { annotations: { 'metallb.io/allow-shared-ip': 'key' } });
    const c = controller({ pools: [pool('p', ['192.0.2.0/24'])], services: [sharing] });
    expect(c.address('a')).toBe('192.0.2.0');
    c.pools(pool('p', ['192.0.2.0/24'], { avoidBuggyIPs: true }));
    const moves = c.writes.filter((write) => write.startsWith('default/a '));
    expect(moves.filter((write) => !write.startsWith('default/a 192.0.2.'))).toEqual([]);
  });

  it('keeps the address and moves the annotation when a pool is renamed', () => {
    const c = controller({ services: [service('a')] });
    c.pools(pool('renamed', ['192.0.2.0/30']));
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.0', 'renamed']);
  });

  it('names the fault of a bad pool on the pool, and goes on with its last good version', () => {
    const c = controller({ services: [service('a')] });
    c.pools(pool('p', ['192.0.2.9-192.0.2.1']));
    c.put(service('b'));
    expect([c.address('a'), c.address('b')]).toEqual(['192.0.2.0', '192.0.2.1']);
    expect(c.events).toContain(
      'p InvalidConfiguration: spec.addresses[0]: "192.0.2.9-192.0.2.1": the range begins after its end; swap the two: 192.0.2.1-192.0.2.9 (until then the last good version stays in force)',
    );
  });

  it('does not touch addresses of a pool that it has only ever seen broken', () => {
    const held = service('a', {}, { annotations: { [POOL_ANNOTATION]: 'p' } }, ['192.0.2.0']);
    const c = controller({ pools: [pool('p', ['nonsense'])], services: [held] });
    expect(c.address('a')).toBe('192.0.2.0');
    expect(c.writes).toEqual([
      'metallb-system/p {"assignedIPv4":0,"assignedIPv6":0,"availableIPv4":0,"availableIPv6":0} False spec.addresses[0]: "nonsense": this is neither a CIDR nor a range; write ADDRESS/LENGTH, for example 192.0.2.0/28, or FIRST-LAST (until then the object is set aside)',
    ]);
  });

  it('says on a configuration object of any kind that it is bad, and later that it is mended', () => {
    const c = controller();
    const bad = configured('bad', { myASN: 0, peerASN: 2, peerAddress: '192.0.2.254' });
    c.configure('bgppeers', bad);
    expect(c.events.at(-1)).toContain('bad InvalidConfiguration: spec.myASN: "0": AS number 0 is reserved');
    expect(c.writes.at(-1)).toContain('metallb-system/bad {} False spec.myASN');
    const before = c.writes.length;
    c.configure('communities', configured('other'));
    expect(c.writes).toHaveLength(before);
    const condition = { type: 'Accepted', status: 'False', reason: 'InvalidConfiguration', message: 'x' };
    const mended = configured('bad', { myASN: 1, peerASN: 2, peerAddress: '192.0.2.254' });
    const withStatus = { ...mended, status: { conditions: [{ ...condition, lastTransitionTime: '' }] } };
    c.configure('bgppeers', withStatus);
    expect(c.writes.at(-1)).toBe('metallb-system/bad {} True the object is in force');
  });

  it('tries a failed write again, and loses nothing meanwhile', () => {
    const c = controller();
    c.fail(500);
    c.put(service('a'));
    c.put(service('b'));
    c.wait(3000);
    expect([c.address('a'), c.address('b')]).toEqual(['', '']);
    c.fail(undefined);
    c.wait(10_000);
    expect([c.address('a'), c.address('b')]).toEqual(['192.0.2.0', '192.0.2.1']);
    expect(c.events.filter((text) => text.startsWith('a IPAllocated'))).toHaveLength(1);
  });

  it('adds the missing family under PreferDualStack when a pool grows, and only for dual-stack cluster IPs', () => {
    const dual = { clusterIPs: ['10.96.0.10', 'fd00::10'], ipFamilyPolicy: 'PreferDualStack' };
    const single = { ipFamilyPolicy: 'PreferDualStack' };
    const c = controller({ services: [service('dual', dual), service('single', single)] });
    c.pools(pool('p', ['192.0.2.0/30', '2001:db8::/126']));
    expect([c.address('dual'), c.address('single')]).toEqual(['192.0.2.0,2001:db8::', '192.0.2.1']);
    c.annotate('single', { again: 'yes' });
    expect(c.address('single')).toBe('192.0.2.1');
  });

  it('refuses RequireDualStack on a single-stack cluster, with the cure', () => {
    const c = controller({ services: [service('a', { ipFamilyPolicy: 'RequireDualStack' })] });
    expect(c.events).toEqual([
      'a not enough clusterips: ipFamilyPolicy RequireDualStack needs two cluster IPs, the Service has [10.96.0.10]; change the policy or the cluster',
    ]);
  });

  it('writes the counters of the pools, gathered', () => {
    const c = controller({ services: [service('a'), service('b')] });
    c.wait(1000);
    const usage = { assignedIPv4: 2, assignedIPv6: 0, availableIPv4: 2, availableIPv6: 0 };
    expect(c.writes.filter((text) => text.startsWith('metallb-system/p')).at(-1)).toBe(
      `metallb-system/p ${JSON.stringify(usage)}`,
    );
  });
});

describe('an address on its way from one Service to another', () => {
  it('is given to nobody before the status of its last holder is written', () => {
    const c = controller({ pools: [pool('p', ['192.0.2.0/31'])], services: [service('a')] });
    c.fail(503);
    c.change('a', { loadBalancerIP: '192.0.2.1' });
    c.fail(undefined);
    c.put(service('b'));
    expect(c.address('a')).toBe('192.0.2.0');
    expect(c.address('b')).toBe('');
    c.wait(1000);
    expect([c.address('a'), c.address('b')]).toEqual(['192.0.2.1', '192.0.2.0']);
  });

  it('cannot be had by a wish at the start, however old the one who wishes', () => {
    const old = service('old', { loadBalancerIP: '192.0.2.1' }, { creationTimestamp: '2025-01-01T00:00:00Z' }, [
      '192.0.2.0',
    ]);
    const c = controller({ services: [old, service('holder', {}, {}, ['192.0.2.1'])] });
    expect(c.address('holder')).toBe('192.0.2.1');
    expect(c.address('old')).toBe('');
    expect(c.events.at(-1)).toContain('address 192.0.2.1 is in use by Service default/holder');
  });

  it('does not take a late answer to a write for news', () => {
    let state = initialController({ loadBalancerClass: '' });
    const outputs: ControllerOutput[] = [];
    const feed = (input: ControllerInput) => {
      const result = controllerMachine.step(state, input, 0);
      state = result.next;
      outputs.push(...result.outputs);
    };
    const first = service('a', {}, { resourceVersion: '10' });
    for (const resource of CONTROLLER_RESOURCES) feed({ kind: 'replaced', resource, objects: [] });
    feed({ kind: 'replaced', resource: 'ipaddresspools', objects: [pool('p', ['192.0.2.0/30'])] });
    feed({ kind: 'replaced', resource: 'services', objects: [first] });
    const written = service('a', {}, { resourceVersion: '11', annotations: { [POOL_ANNOTATION]: 'p' } }, ['192.0.2.0']);
    const edited = {
      ...written,
      metadata: { ...written.metadata, resourceVersion: '12' },
      spec: { ...written.spec, type: 'ClusterIP' },
    };
    feed({ kind: 'applied', resource: 'services', object: edited });
    feed({ kind: 'written', resource: 'services', object: written });
    expect(state.cache.get('services', 'default/a')).toBe(edited);
    expect(outputs.filter(({ kind }) => kind === 'write-service').at(-1)).toMatchObject({
      addresses: [],
      resourceVersion: '12',
    });
  });
});

describe('a configuration that is being listed again', () => {
  const OLD = pool('p', ['192.0.2.0/30']);
  const NEW = pool('p', ['198.51.100.0/30']);

  it.each(NEEDED_RESOURCES)('gives nothing and takes nothing, whichever kind it is: %s', (resource) => {
    const c = controller({ pools: [OLD], services: [service('old')] });
    c.wait(1000);
    const before = c.writes.length;
    c.feed({ kind: 'interrupted', resource });
    c.put(service('new'));
    c.change('old', { type: 'ClusterIP' });
    c.wait(60_000);
    expect(c.writes).toHaveLength(before);
    c.listAgain(resource);
    expect([c.address('new'), c.address('old')]).toEqual(['192.0.2.1', '']);
  });

  it('gives what the pools are then, and not before all kinds are there', () => {
    const c = controller({ pools: [OLD] });
    for (const resource of ['ipaddresspools', 'namespaces'] as const) c.feed({ kind: 'interrupted', resource });
    c.put(service('a'));
    c.pools(NEW);
    expect(c.address('a')).toBe('');
    c.listAgain('namespaces');
    expect(c.address('a')).toBe('198.51.100.0');
    expect(c.writes.filter((text) => text.startsWith('default/'))).toEqual(['default/a 198.51.100.0']);
  });

  it('ends no grace', () => {
    const c = controller({ pools: [OLD], services: [service('a')], poolChangeGrace: 5000 });
    c.pools(NEW);
    c.feed({ kind: 'interrupted', resource: 'ipaddresspools' });
    c.wait(60_000);
    expect(c.address('a')).toBe('192.0.2.0');
    c.pools(OLD, pool('q', ['198.51.100.0/30']));
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.0', 'p']);
  });
});

describe('a standby', () => {
  it('sees everything, does nothing, and adopts what is there when it is told to lead', () => {
    let state = initialController({ loadBalancerClass: '', standby: true });
    const outputs: ControllerOutput[] = [];
    const feed = (input: ControllerInput) => {
      const result = controllerMachine.step(state, input, 0);
      state = result.next;
      outputs.push(...result.outputs);
    };
    for (const resource of CONTROLLER_RESOURCES) feed({ kind: 'replaced', resource, objects: [] });
    feed({ kind: 'replaced', resource: 'ipaddresspools', objects: [pool('p', ['192.0.2.0/30'])] });
    feed({ kind: 'replaced', resource: 'services', objects: [service('new')] });
    // What the leader does meanwhile:
    feed({
      kind: 'applied',
      resource: 'services',
      object: service('old', {}, { annotations: { [POOL_ANNOTATION]: 'p' } }, ['192.0.2.0']),
    });
    expect(outputs).toEqual([]);
    feed({ kind: 'lead' });
    expect(outputs).toEqual(NEEDED_RESOURCES.map((resource) => ({ kind: 'relist', resource })));
    // The watch was behind: the list has one more.
    const late = service('late', {}, { annotations: { [POOL_ANNOTATION]: 'p' } }, ['192.0.2.1']);
    feed({ kind: 'replaced', resource: 'services', objects: [...state.cache.all('services'), late] });
    for (const resource of NEEDED_RESOURCES.filter((name) => name !== 'services')) {
      expect(outputs.filter(({ kind }) => kind === 'write-service')).toEqual([]);
      feed({ kind: 'replaced', resource, objects: state.cache.all(resource) });
    }
    expect(outputs.filter(({ kind }) => kind === 'write-service')).toMatchObject([
      { key: 'default/new', addresses: ['192.0.2.2'] },
    ]);
  });
});
