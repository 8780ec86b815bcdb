import { describe, expect, it } from 'vitest';
import { pool, service } from '../../../test/builders.ts';
import { OfflineController } from '../offline/offline-controller.ts';

type Meta = NonNullable<Parameters<typeof service>[2]>;

const DUAL = { clusterIPs: ['10.0.0.1', 'fd00::1'], ipFamilyPolicy: 'RequireDualStack' };
const PREFER = { ...DUAL, ipFamilyPolicy: 'PreferDualStack' };
const SIX = { clusterIPs: ['fd00::1'] };
const key = (text: string): Meta => ({ annotations: { 'metallb.io/allow-shared-ip': text } });
const wants = (addresses: string, more: Meta = {}): Meta => ({
  ...more,
  annotations: { ...more.annotations, 'metallb.io/loadBalancerIPs': addresses },
});
const LEAVING: Meta = { deletionTimestamp: '2026-01-02T00:00:00Z', finalizers: ['example.com/wait'] };

/** What is said of Service `s` when the others are there already. */
function said(
  pools: Readonly<Record<string, readonly string[]>>,
  spec: object,
  meta: Meta = {},
  others: readonly ReturnType<typeof service>[] = [],
  poolSpec: object = {},
): string {
  const ipaddresspools = Object.entries(pools).map(([name, addresses]) => pool(name, addresses, poolSpec));
  const offline = new OfflineController({ ipaddresspools, services: others }, { loadBalancerClass: '' });
  offline.apply('services', service('s', spec, meta));
  return offline
    .eventsOf('default/s')
    .map(({ message }) => message)
    .join('\n')
    .replace('default/s gets no address: ', '');
}

const holder = (meta: Meta = {}, address = '192.0.2.1') => service('holder', {}, meta, [address]);

describe('every cause has words of its own:', () => {
  it.each<[string, string, string]>([
    [
      'a pool that has nothing but what it avoids',
      said({ p: ['192.0.2.0/32'] }, {}, {}, [], { avoidBuggyIPs: true }),
      'pool "p" has no IPv4 addresses but those that end in .0 or .255, which it avoids (avoidBuggyIPs); add other addresses to the pool, or turn its avoidBuggyIPs off',
    ],
    [
      'a pool of the other family',
      said({ p: ['192.0.2.0/30'] }, SIX),
      'pool "p" has no IPv6 addresses; add addresses of that family to a pool, or create the Service with other ipFamilies',
    ],
    [
      'pools of one family each for a Service that needs both',
      said({ four: ['192.0.2.0/30'], six: ['2001:db8::/126'] }, DUAL),
      'pool "four" has no IPv6 addresses, and one pool has to give both families (RequireDualStack), pool "six" has no IPv4 addresses, and one pool has to give both families (RequireDualStack); add the other family to the pool, or set ipFamilyPolicy PreferDualStack on the Service',
    ],
    [
      'one of two families used up',
      said({ p: ['192.0.2.1/32', '2001:db8::/126'] }, DUAL, {}, [holder()]),
      'pool "p" has no free IPv4 address; add addresses to a pool, or delete a Service that holds one',
    ],
    [
      'the only family of a pool used up, for a Service that would take either',
      said({ p: ['192.0.2.1/32'] }, PREFER, {}, [holder()]),
      'pool "p" is exhausted; add addresses to a pool, or delete a Service that holds one',
    ],
    [
      'a pool that is used up by Services that are going',
      said({ p: ['192.0.2.1/32'] }, {}, {}, [holder(LEAVING)]),
      'pool "p" is exhausted (1 of its addresses is held by Services that are being deleted and wait for their finalizers); add addresses to a pool, or delete a Service that holds one',
    ],
    [
      'one wish on a dual-stack Service',
      said({ p: ['192.0.2.0/30', '2001:db8::/126'] }, DUAL, wants('192.0.2.1')),
      'it requests an address of IPv4, but its cluster IPs are IPv4 and IPv6; request one of each with the annotation metallb.io/loadBalancerIPs, or set ipFamilyPolicy SingleStack',
    ],
    [
      'two wishes on a single-stack Service',
      said({ p: ['192.0.2.0/30', '2001:db8::/126'] }, {}, wants('192.0.2.1,2001:db8::1')),
      'it requests an address of IPv4 and IPv6, but its cluster IPs are IPv4; request IPv4 only, or set ipFamilyPolicy PreferDualStack',
    ],
    [
      'a wish of the other family',
      said({ p: ['192.0.2.0/30'] }, SIX, wants('192.0.2.1')),
      'it requests an address of IPv4, but its cluster IPs are IPv6; request IPv6 only',
    ],
    [
      'a wish that only a pool that is set aside may meet',
      said({ p: ['192.0.2.0/30'], bad: ['192.0.2.8-192.0.2.300'] }, {}, wants('192.0.2.9')),
      'address 192.0.2.9 is in no IPAddressPool that is in force, and pool "bad" is invalid and set aside; fix that, or request another address',
    ],
    [
      'a holder, neither with a key',
      said({ p: ['192.0.2.0/30'] }, {}, wants('192.0.2.1'), [holder()]),
      'address 192.0.2.1 is in use by Service default/holder; request another address, or release it there',
    ],
    [
      'a holder without a sharing key',
      said({ p: ['192.0.2.0/30'] }, {}, wants('192.0.2.1', key('k')), [holder()]),
      'address 192.0.2.1 is in use by Service default/holder, which has no sharing key; set the annotation metallb.io/allow-shared-ip there too, or request another address',
    ],
    [
      'a holder with a sharing key',
      said({ p: ['192.0.2.0/30'] }, {}, wants('192.0.2.1'), [holder(key('k'))]),
      'address 192.0.2.1 is shared by Service default/holder under a sharing key, and this Service has none; set the annotation metallb.io/allow-shared-ip to the same key, or request another address',
    ],
    [
      'a holder that is going',
      said({ p: ['192.0.2.0/30'] }, {}, wants('192.0.2.1'), [holder(LEAVING)]),
      'address 192.0.2.1 is in use by Service default/holder (which is being deleted and waits for its finalizers example.com/wait); request another address, or see to what it waits for',
    ],
    [
      'a headless Service',
      said({ p: ['192.0.2.0/30'] }, { clusterIP: 'None', clusterIPs: ['None'] }),
      'the Service is headless (clusterIP None), and an address needs a cluster IP',
    ],
    [
      'a Service that has no cluster IP yet',
      said({ p: ['192.0.2.0/30'] }, { clusterIP: '', clusterIPs: [] }),
      'the Service has no cluster IP yet',
    ],
    [
      'a pool that is named with anything',
      said({ p: ['192.0.2.0/30'] }, {}, { annotations: { 'metallb.io/address-pool': `x\u001b]0;${'y'.repeat(200)}` } }),
      `pool "x\\u001b]0;${'y'.repeat(76)} … (205 characters)" does not exist; create the IPAddressPool, or correct the address-pool annotation`,
    ],
  ])('%s', (_, actual, expected) => {
    expect(actual).toBe(expected);
  });
});

it('says where pools are looked for', () => {
  const offline = new OfflineController({}, { loadBalancerClass: '', namespace: 'metallb-system' });
  offline.apply('services', service('s'));
  offline.apply('ipaddresspools', pool('p', ['192.0.2.0/30']));
  offline.apply('services', service('t', {}, { annotations: { 'metallb.io/address-pool': 'q' } }));
  expect([...offline.eventsOf('default/s'), ...offline.eventsOf('default/t')].map(({ message }) => message)).toEqual([
    'default/s gets no address: there is no IPAddressPool in the namespace metallb-system; create one there: no other is looked at',
    'Assigned IP ["192.0.2.0"] of pool "p"',
    'default/t gets no address: pool "q" does not exist in the namespace metallb-system; create the IPAddressPool, or correct the address-pool annotation',
  ]);
});
