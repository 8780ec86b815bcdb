import { describe, expect, it } from 'vitest';
import { pool, service } from '../../../test/builders.ts';
import { controller } from '../../../test/controller.ts';
import { SURROUNDINGS_DELAY } from './look-around.ts';

const POOL = pool('p', ['192.0.2.0/30']);
const ONE = pool('p', ['192.0.2.1/32']);
const local = (app: string) => ({ externalTrafficPolicy: 'Local', selector: { app } });
const meta = (annotations: Record<string, string>, more: object = {}) => ({
  annotations: Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`metallb.io/${name}`, value])),
  ...more,
});
const wish = { loadBalancerIPs: '192.0.2.1' };
const key = { 'allow-shared-ip': 'secret-key' };
const theirs = (annotations: Record<string, string> = {}, spec: object = {}, more: object = {}) =>
  service('secret-name', spec, { ...meta(annotations, more), namespace: 'secret-tenant' }, ['192.0.2.1']);
const leaving = { deletionTimestamp: '2026-01-02T00:00:00Z', finalizers: ['secret.example/wait'] };

describe('a tenant is not told who has an address, nor under which key:', () => {
  it.each<[string, ReturnType<typeof service>, ReturnType<typeof service>, string]>([
    ['neither shares', theirs(), service('s', {}, meta(wish)), 'is in use by a Service in another namespace;'],
    [
      'only they share',
      theirs(key),
      service('s', {}, meta(wish)),
      'is shared by a Service in another namespace under a sharing key, and this Service has none',
    ],
    [
      'only we share',
      theirs(),
      service('s', {}, meta({ ...wish, 'allow-shared-ip': 'ours' })),
      'is in use by a Service in another namespace, which has no sharing key',
    ],
    [
      'the keys differ',
      theirs(key),
      service('s', {}, meta({ ...wish, 'allow-shared-ip': 'ours' })),
      'is in use by a Service in another namespace under another sharing key;',
    ],
    [
      'the endpoints differ',
      theirs(key, local('secret-app')),
      service('s', local('x'), meta({ ...wish, ...key })),
      'is shared with a Service in another namespace, which has other endpoints',
    ],
    [
      'the ports clash',
      theirs(key),
      service('s', {}, meta({ ...wish, ...key })),
      'port TCP/80 of address 192.0.2.1 is held by a Service in another namespace;',
    ],
    [
      'they are going',
      theirs({}, {}, leaving),
      service('s', {}, meta(wish)),
      'is in use by a Service in another namespace (which is being deleted);',
    ],
    [
      'both have it in their status',
      theirs(),
      service('s', {}, { creationTimestamp: '2026-02-01T00:00:00Z' }, ['192.0.2.1']),
      's ClearAssignment: default/s loses 192.0.2.1: address',
    ],
  ])('%s', (_, holder, asking, text) => {
    const c = controller({ pools: [POOL], services: [holder, asking] });
    const seen = [...c.events.filter((event) => event.startsWith('s ')), JSON.stringify(c.conditions('s'))].join('\n');
    expect(seen).toContain(text);
    expect(seen).not.toContain('secret');
    // The operator finds the rest in the log of the controller.
    expect(c.logged.join('\n')).toContain('secret-tenant/secret-name');
  });

  it('the cluster has it for somebody else', () => {
    const cluster = { clusterIP: '192.0.2.0', clusterIPs: ['192.0.2.0'], type: 'ClusterIP' };
    const c = controller({
      pools: [POOL],
      services: [service('secret-name', cluster, { namespace: 'secret-tenant' }), service('s')],
    });
    c.wait(SURROUNDINGS_DELAY);
    const told = c.events.filter((event) => event.startsWith('s ')).join();
    expect(told).toContain(
      's foreignAddress: address 192.0.2.0 is also the cluster IP of a Service in another namespace,',
    );
    expect(told).not.toContain('secret');
    expect(c.logged.join()).toContain('is also the cluster IP of Service secret-tenant/secret-name,');
  });

  it('the only address of the pool is shared', () => {
    const c = controller({ pools: [ONE], services: [theirs(key), service('s', {}, meta(key))] });
    expect(c.condition('s')!.message).toContain(
      'has no other address left: port TCP/80 of address 192.0.2.1 is held by a Service in another namespace;',
    );
    expect(c.logged.join()).toContain('is held by Service secret-tenant/secret-name under the key "secret-key"');
  });
});

it('repeats no Event for what only the log tells', () => {
  const c = controller({ pools: [POOL], services: [theirs({}, {}, leaving), service('s', {}, meta(wish))] });
  const about = () => c.events.filter((text) => text.startsWith('s '));
  expect(about()).toHaveLength(1);
  c.put(theirs({}, {}, { ...leaving, finalizers: ['secret.example/other'] }));
  expect(about()).toHaveLength(1);
});

it('a neighbour in the same namespace is named, without a key', () => {
  const c = controller({
    pools: [POOL],
    services: [service('n', {}, meta(key), ['192.0.2.1']), service('s', {}, meta({ ...wish, ...key }))],
  });
  expect(c.condition('s')!.message).toContain('is held by Service default/n; use another port');
});

describe('with --share-across-namespaces=false', () => {
  const other = { ports: [{ port: 81 }] };
  const sharing = (...services: ReturnType<typeof service>[]) =>
    controller({ pools: [POOL], services, shareAcrossNamespaces: false });

  it('a key is worth nothing in another namespace', () => {
    const c = sharing(theirs(key), service('s', other, meta(key)), service('t', other, meta({ ...wish, ...key })));
    expect([c.address('s'), c.address('t')]).toEqual(['192.0.2.0', '']);
    expect(c.condition('t')!.message).toContain(
      'address 192.0.2.1 is in use by a Service in another namespace, and Services share within a namespace only (--share-across-namespaces=false)',
    );
  });

  it('neighbours share', () => {
    const c = sharing(service('n', {}, meta(key), ['192.0.2.1']), service('s', other, meta({ ...wish, ...key })));
    expect(c.address('s')).toBe('192.0.2.1');
  });

  it('of two who shared before, the older keeps the address', () => {
    const young = service('s', other, meta(key, { creationTimestamp: '2026-02-01T00:00:00Z' }), ['192.0.2.1']);
    expect(sharing(young, theirs(key)).address('s')).toBe('192.0.2.0');
    expect(controller({ pools: [POOL], services: [young, theirs(key)] }).address('s')).toBe('192.0.2.1');
  });

  it('a full pool is exhausted, whatever others share there', () => {
    const c = controller({
      pools: [ONE],
      services: [theirs(key), service('s', other, meta(key))],
      shareAcrossNamespaces: false,
    });
    expect(c.condition('s')!.message).toContain('pool "p" is exhausted; add addresses');
  });
});
