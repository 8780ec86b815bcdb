import { describe, expect, it } from 'vitest';
import { namespace, pool, service } from '../../../test/builders.ts';
import type { Service } from '../api/kubernetes.ts';
import { OfflineController } from './offline-controller.ts';

const SETTINGS = { loadBalancerClass: '', poolChangeGrace: 5000 };
const OWNED = { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } };

function offline(services: readonly Service[], settings: object = {}) {
  const ipaddresspools = [pool('p', ['192.0.2.0/29', 'fd00:77::/125'])];
  const made = new OfflineController(
    { services, ipaddresspools, namespaces: [namespace('default')] },
    { ...SETTINGS, ...settings },
  );
  made.settle();
  return made;
}

/** As it stands in a manifest. */
const manifest = (name: string, spec: object = {}, annotations: Record<string, string> = {}): Service => ({
  metadata: { name, namespace: 'default', annotations },
  spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
});

describe('the controller offline', () => {
  it('leaves addresses where they are while one pool is applied after the other', () => {
    const plan = offline([service('a', {}, OWNED, ['192.0.2.5'])]);
    plan.apply('ipaddresspools', pool('p', ['192.0.2.0/30']));
    plan.apply('ipaddresspools', pool('q', ['192.0.2.4/30']));
    plan.settle();
    expect(plan.addresses().get('default/a')).toBe('192.0.2.5');
    expect(plan.service('default/a')?.metadata.annotations).toMatchObject({ 'metallb.io/ip-allocated-from-pool': 'q' });
  });

  it('moves them in the end when no pool has them', () => {
    const plan = offline([service('a', {}, OWNED, ['192.0.2.5'])]);
    plan.apply('ipaddresspools', pool('p', ['192.0.2.0/30']));
    expect(plan.addresses().get('default/a')).toBe('192.0.2.5');
    plan.settle();
    expect(plan.addresses().get('default/a')).toBe('192.0.2.0');
  });

  it('has settled what is not the doing of what is applied', () => {
    const plan = offline([service('a', {}, OWNED, ['198.51.100.1'])]);
    expect(plan.addresses().get('default/a')).toBe('192.0.2.0');
  });

  it('says what becomes of the address when a manifest asks for one that cannot be had', () => {
    const ask = { 'metallb.io/loadBalancerIPs': '203.0.113.9' };
    const plan = offline([service('a', {}, OWNED, ['192.0.2.5'])]);
    plan.apply('services', manifest('a', {}, ask));
    expect(plan.addresses().get('default/a')).toBeUndefined();
    expect(plan.eventsOf('default/a').at(-1)?.message).toContain('(it has lost 192.0.2.5: it requests 203.0.113.9)');
    const keeping = offline([service('a', {}, OWNED, ['192.0.2.5'])], { keepUntilServed: true });
    keeping.apply('services', manifest('a', {}, ask));
    expect(keeping.addresses().get('default/a')).toBe('192.0.2.5');
    expect(keeping.eventsOf('default/a').at(-1)?.message).toContain(
      'keeps 192.0.2.5 until it can have what it asks for',
    );
  });

  const V4 = { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'] };
  const V6 = { clusterIP: 'fd00::1', clusterIPs: ['fd00::1'] };
  const BOTH = { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'] };

  it.each<[string, object, object, string]>([
    ['IPv4, like the others', V4, {}, '192.0.2.0'],
    ['IPv6, like the others', V6, {}, 'fd00:77::'],
    ['the family that it names', V4, { ipFamilies: ['IPv6'] }, 'fd00:77::'],
    ['both families', V4, { ipFamilyPolicy: 'RequireDualStack' }, '192.0.2.0, fd00:77::'],
    ['both families if the cluster has them', BOTH, { ipFamilyPolicy: 'PreferDualStack' }, '192.0.2.0, fd00:77::'],
    ['one family if the cluster has one', V6, { ipFamilyPolicy: 'PreferDualStack' }, 'fd00:77::'],
  ])('gives a Service without cluster IPs %s', (_, others, spec, addresses) => {
    const plan = offline([
      { metadata: { name: 'kubernetes', namespace: 'default' }, spec: { type: 'ClusterIP', ...others } },
    ]);
    plan.apply('services', manifest('new', spec));
    expect(plan.addresses().get('default/new')).toBe(addresses);
  });

  it('goes by the cluster IPs that a Service has, also when it becomes dual-stack', () => {
    const plan = offline([service('a', V6, OWNED, ['fd00:77::3'])]);
    plan.apply('services', manifest('a', {}));
    expect(plan.addresses().get('default/a')).toBe('fd00:77::3');
    plan.apply('services', manifest('a', { ipFamilyPolicy: 'RequireDualStack' }));
    expect(plan.addresses().get('default/a')).toBe('192.0.2.0, fd00:77::3');
  });
});
