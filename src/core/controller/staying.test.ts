import { describe, expect, it } from 'vitest';
import { pool, service } from '../../../test/builders.ts';
import { controller } from '../../../test/controller.ts';
import { formatAddress } from '../net/address.ts';
import { controllerMachine } from './fsm.ts';
import { ServiceRecords } from './service-records.ts';
import { CONTROLLER_RESOURCES, type ControllerInput, initialController } from './state.ts';

const DUAL = { clusterIPs: ['10.96.0.10', 'fd00::10'], ipFamilyPolicy: 'RequireDualStack' };
const BOTH = pool('p', ['192.0.2.100-192.0.2.110', 'fd00:77::100-fd00:77::110']);
const wish = (text: string) => ({ annotations: { 'metallb.io/loadBalancerIPs': text } });

/** What happened to Services, without those Events that only say what they have now. */
const troubles = ({ events }: ReturnType<typeof controller>) => events.filter((text) => !text.includes('IPAllocated'));

describe('an edit of a pool costs what it makes invalid, and nothing else', () => {
  it('one family of a Service that needs both', () => {
    const c = controller({ pools: [BOTH], services: [service('a', DUAL)] });
    expect(c.address('a')).toBe('192.0.2.100,fd00:77::100');
    c.pools(pool('p', ['192.0.2.100-192.0.2.110', 'fd00:78::100-fd00:78::110']));
    expect(c.address('a')).toBe('192.0.2.100,fd00:78::100');
    expect(c.events.slice(1)).toEqual([
      'a ClearAssignment: default/a loses fd00:77::100: address fd00:77::100 is in no IPAddressPool; add it to one, or request another address',
      'a IPAllocated: Assigned IP "fd00:78::100" of pool "p"',
    ]);
    c.pools(BOTH);
    expect(c.address('a')).toBe('192.0.2.100,fd00:77::100');
  });

  it('one family of a pool with one address of each', () => {
    const c = controller({ pools: [pool('p', ['192.0.2.1/32', 'fd00:77::1/128'])], services: [service('a', DUAL)] });
    c.pools(pool('p', ['192.0.2.1/32', 'fd00:78::1/128']));
    expect(c.address('a')).toBe('192.0.2.1,fd00:78::1');
    expect(c.writes.filter((text) => text.startsWith('default/a'))).toEqual([
      'default/a 192.0.2.1,fd00:77::1',
      'default/a 192.0.2.1,fd00:78::1',
    ]);
    expect(c.events.join()).not.toContain('exhausted');
  });

  it('one family that the pool has no more of: the other stays, and what is missing is said and found later', () => {
    const c = controller({ pools: [BOTH], services: [service('a', DUAL)] });
    c.pools(pool('p', ['192.0.2.100-192.0.2.110']));
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.100', 'p']);
    const text =
      'default/a keeps 192.0.2.100 and gets no IPv6 address: pool "p" has no IPv6 addresses, and one pool has to give both families (RequireDualStack); add the other family to the pool, or set ipFamilyPolicy PreferDualStack on the Service (it has lost fd00:77::100: address fd00:77::100 is in no IPAddressPool; add it to one, or request another address)';
    expect(c.events.at(-1)).toBe(`a AllocationFailed: ${text}`);
    expect(c.condition('a')).toMatchObject({ status: 'False', reason: 'AllocationFailed', message: text });
    c.pools(BOTH);
    expect(c.address('a')).toBe('192.0.2.100,fd00:77::100');
    expect(c.condition('a')).toMatchObject({ status: 'True' });
  });

  it('the address that avoidBuggyIPs forbids', () => {
    const c = controller({ pools: [pool('p', ['192.0.2.0/30', 'fd00:77::/126'])], services: [service('a', DUAL)] });
    expect(c.address('a')).toBe('192.0.2.0,fd00:77::');
    c.pools(pool('p', ['192.0.2.0/30', 'fd00:77::/126'], { avoidBuggyIPs: true }));
    expect(c.address('a')).toBe('192.0.2.1,fd00:77::');
  });

  it('the one of two that is in another pool now: the one that can have company stays', () => {
    const c = controller({ pools: [BOTH], services: [service('a', DUAL)] });
    c.pools(pool('p', ['192.0.2.100-192.0.2.110']), pool('q', ['198.51.100.0/30', 'fd00:77::100-fd00:77::110']));
    expect([c.address('a'), c.annotation('a')]).toEqual(['198.51.100.0,fd00:77::100', 'q']);
    expect(c.events).toContain(
      'a ClearAssignment: default/a loses 192.0.2.100: the addresses are from different pools (q, p); request addresses from one pool',
    );
  });

  it('one of many: all others stay, also those that come before it', () => {
    const names = ['a', 'b', 'c', 'd'];
    const c = controller({ pools: [pool('p', ['192.0.2.0/29'])], services: names.map((name) => service(name)) });
    c.pools(pool('p', ['192.0.2.0/32', '192.0.2.2-192.0.2.7']));
    expect(names.map(c.address)).toEqual(['192.0.2.0', '192.0.2.4', '192.0.2.2', '192.0.2.3']);
    expect(troubles(c)).toHaveLength(1);
  });
});

describe('an edit of a Service costs what it makes invalid, and nothing else', () => {
  const pools = [pool('p', ['192.0.2.0/29', 'fd00:77::/125'])];
  const single = (ip: string) => ({ clusterIP: ip, clusterIPs: [ip], ipFamilyPolicy: 'SingleStack' });

  it.each([
    ['ipv4', '10.96.0.10', '192.0.2.3'],
    ['ipv6', 'fd00::10', 'fd00:77::3'],
  ])('dual stack to %s', (_, ip, stays) => {
    const c = controller({ pools, services: [service('a', DUAL, {}, ['192.0.2.3', 'fd00:77::3'])] });
    c.change('a', single(ip));
    expect(c.address('a')).toBe(stays);
    expect(troubles(c)).toHaveLength(1);
  });

  it.each(['PreferDualStack', 'RequireDualStack'])('single stack to %s', (ipFamilyPolicy) => {
    const c = controller({ pools, services: [service('a', {}, {}, ['192.0.2.3'])] });
    c.change('a', { ...DUAL, ipFamilyPolicy });
    expect(c.address('a')).toBe('192.0.2.3,fd00:77::');
    expect(troubles(c)).toEqual([]);
  });

  it('a port that clashes on one of two addresses', () => {
    const key = { annotations: { 'metallb.io/allow-shared-ip': 'k' } };
    const other = service('b', { ports: [{ port: 443 }] }, key, ['192.0.2.3']);
    const c = controller({ pools, services: [service('a', DUAL, key, ['192.0.2.3', 'fd00:77::3']), other] });
    expect(c.address('a')).toBe('192.0.2.3,fd00:77::3');
    c.change('a', { ports: [{ port: 443 }] });
    expect([c.address('a'), c.address('b')]).toEqual(['192.0.2.0,fd00:77::3', '192.0.2.3']);
  });

  it('a wish that replaces one of two', () => {
    const c = controller({ pools, services: [service('a', DUAL, wish('192.0.2.3,fd00:77::3'))] });
    c.annotate('a', wish('192.0.2.3,fd00:77::4').annotations);
    expect(c.address('a')).toBe('192.0.2.3,fd00:77::4');
    c.annotate('a', wish('192.0.2.3,2001:db8::1').annotations);
    expect(c.address('a')).toBe('192.0.2.3');
    expect(c.events.slice(-2)).toEqual([
      'a ClearAssignment: default/a loses fd00:77::4: it requests 192.0.2.3, 2001:db8::1',
      'a AllocationFailed: default/a keeps 192.0.2.3 and gets no other address: address 2001:db8::1 is in no IPAddressPool; add it to one, or request another address (it has lost fd00:77::4: it requests 192.0.2.3, 2001:db8::1)',
    ]);
    c.pools(pool('p', ['192.0.2.0/29', '2001:db8::/125']));
    expect(c.address('a')).toBe('192.0.2.3,2001:db8::1');
  });
});

describe('at the start', () => {
  it('an address stays though the status shows one of a family that is not wanted any more', () => {
    const pools = [pool('p', ['1.2.3.0/32', '1000::/128'])];
    const c = controller({ pools, services: [service('a', {}, {}, ['1.2.3.0', '1000::'])] });
    expect(c.address('a')).toBe('1.2.3.0');
    expect(c.events).toEqual([
      'a ClearAssignment: default/a loses 1000::: its IP family is IPv6, but the Service needs IPv4',
    ]);
  });

  it('an address stays though another one of the Service is missing', () => {
    const c = controller({ pools: [BOTH], services: [service('a', DUAL, {}, ['192.0.2.105'])] });
    expect(c.address('a')).toBe('192.0.2.105,fd00:77::100');
    expect(troubles(c)).toEqual([]);
  });
});

describe('a status that somebody else has written', () => {
  const shows = (spec: object, meta: object, ...addresses: string[]) =>
    controller({ pools: [BOTH], services: [service('a', spec, meta, addresses)] });

  it.each<[string, object, object, string[], string]>([
    ['two of one family', DUAL, {}, ['192.0.2.105', '192.0.2.106'], '192.0.2.105,fd00:77::100'],
    ['one twice', DUAL, {}, ['192.0.2.105', '192.0.2.105'], '192.0.2.105,fd00:77::100'],
    [
      'one twice, with a wish',
      DUAL,
      wish('192.0.2.105,fd00:77::105'),
      ['192.0.2.105', '192.0.2.105'],
      '192.0.2.105,fd00:77::105',
    ],
    ['one twice where one is wanted', {}, {}, ['192.0.2.105', '192.0.2.105'], '192.0.2.105'],
    ['one in two spellings', DUAL, {}, ['fd00:77::105', 'FD00:77:0::105', '192.0.2.105'], '192.0.2.105,fd00:77::105'],
    ['three of one family', {}, {}, ['198.51.100.1', '192.0.2.105', '192.0.2.104'], '192.0.2.105'],
    ['the families the other way round', DUAL, {}, ['fd00:77::105', '192.0.2.105'], '192.0.2.105,fd00:77::105'],
    ['something that is no address', {}, {}, ['not-an-ip', '192.0.2.105'], '192.0.2.105'],
    ['the wish and another', {}, wish('192.0.2.105'), ['192.0.2.104', '192.0.2.105'], '192.0.2.105'],
  ])('is mended with the smallest change: %s', (_, spec, meta, addresses, wanted) => {
    const c = shows(spec, meta, ...addresses);
    expect(c.address('a')).toBe(wanted);
    expect(c.writes.filter((text) => text.startsWith('default/a'))).toHaveLength(1);
  });

  it.each<[string, string[]]>([
    ['another address of the pool', ['192.0.2.105']],
    ['another one before ours', ['192.0.2.105', '192.0.2.103']],
    ['ours twice', ['192.0.2.103', '192.0.2.103']],
    ['one of another family', ['fd00:77::105']],
    ['one of no pool', ['198.51.100.1', '192.0.2.103']],
    ['no address', []],
  ])('gives way to the address that is the Service’s own: %s', (_, intruders) => {
    const c = controller({ pools: [BOTH], services: [service('a', {}, {}, ['192.0.2.103'])] });
    c.intrude('a', ...intruders);
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.103', 'p']);
  });

  it('is mended at once, and ever more rarely when that goes on; a user’s edit does not wait for it', () => {
    const c = controller({ pools: [BOTH], services: [service('a', {}, {}, ['192.0.2.103'])] });
    c.writes.length = 0;
    const mends = () => c.writes.filter((text) => text.startsWith('default/a')).length;
    c.intrude('a', '192.0.2.104');
    expect(mends()).toBe(1);
    for (let i = 0; i < 1000; i++) {
      c.intrude('a', '192.0.2.104');
      c.wait(10);
    }
    // 100 + 200 + … + 6400 ms: 8 in 12.7 s.
    expect(mends()).toBeLessThan(9);
    c.wait(10_000);
    expect(c.address('a')).toBe('192.0.2.103');
    c.intrude('a', '192.0.2.104');
    c.annotate('a', wish('192.0.2.105').annotations);
    expect(c.address('a')).toBe('192.0.2.105');
    c.wait(100_000);
    c.intrude('a', '192.0.2.104');
    expect(c.address('a')).toBe('192.0.2.105');
  });

  it('takes no address from another Service, and is not before it', () => {
    const young = service('young', {}, { creationTimestamp: '2026-02-01T00:00:00Z' }, ['192.0.2.105', '192.0.2.105']);
    const c = controller({ pools: [BOTH], services: [young, service('old', {}, {}, ['192.0.2.105'])] });
    expect([c.address('old'), c.address('young')]).toEqual(['192.0.2.105', '192.0.2.100']);
  });

  it('loses the host name that another load balancer has left beside the address', () => {
    const marked = service('a', {}, { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } });
    const ingress = [{ hostname: 'lb.example' }, { ip: '192.0.2.105' }] as unknown as { ip: string }[];
    const c = controller({ pools: [BOTH], services: [{ ...marked, status: { loadBalancer: { ingress } } }] });
    expect(c.writes.filter((text) => text.startsWith('default/a'))).toEqual(['default/a 192.0.2.105']);
  });
});

describe('a wish that goes before it is met', () => {
  it('leaves the address that the status shows', () => {
    const c = controller({ pools: [BOTH], services: [service('a', {}, {}, ['192.0.2.103'])] });
    c.fail(503);
    c.annotate('a', wish('192.0.2.105').annotations);
    c.annotate('a', { 'metallb.io/loadBalancerIPs': undefined });
    c.fail(undefined);
    c.wait(1000);
    expect(c.writes.filter((text) => text.startsWith('default/a'))).toEqual(['default/a 192.0.2.103']);
  });
});

describe('in the grace of a change of pools', () => {
  const grace = { poolChangeGrace: 5000 };
  const WHOLE = pool('p', ['192.0.2.0/29']);
  const [LOWER, UPPER] = [pool('p', ['192.0.2.0/30']), pool('q', ['192.0.2.4/30'])];
  const written = ({ writes }: ReturnType<typeof controller>) => writes.filter((text) => text.startsWith('default/'));

  it('an address that has lost its pool stays, and becomes one of the pool that comes', () => {
    const c = controller({ ...grace, pools: [WHOLE], services: [service('a', {}, {}, ['192.0.2.5'])] });
    c.pools(LOWER);
    c.wait(4999);
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.5', 'p']);
    c.pools(LOWER, UPPER);
    c.wait(60_000);
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.5', 'q']);
    expect(written(c)).toEqual(['default/a 192.0.2.5', 'default/a 192.0.2.5']);
    expect(troubles(c)).toEqual([]);
  });

  it('nothing is written; what no status has shown yet does not stay', () => {
    const primary6 = { ...DUAL, clusterIPs: ['fd00::10', '10.96.0.10'] };
    const c = controller({ ...grace, pools: [BOTH], services: [service('a', primary6)] });
    c.fail(503);
    c.put(service('b', DUAL));
    c.pools(pool('p', ['198.51.100.0/30', 'fd00:78::/126']));
    c.fail(undefined);
    c.wait(1000);
    expect(written(c)).toEqual(['default/a 192.0.2.100,fd00:77::100', 'default/b 198.51.100.0,fd00:78::']);
    expect([c.annotation('a'), c.annotation('b')]).toEqual(['p', 'p']);
  });

  it('is over after it: the Service gets another address, and is told why', () => {
    const c = controller({ ...grace, pools: [WHOLE], services: [service('a', {}, {}, ['192.0.2.5'])] });
    c.pools(LOWER);
    c.annotate('a', { touched: 'yes' });
    c.wait(4999);
    expect(c.address('a')).toBe('192.0.2.5');
    c.wait(1);
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.0', 'p']);
    expect(troubles(c)).toEqual([
      'a ClearAssignment: default/a loses 192.0.2.5: address 192.0.2.5 is in no IPAddressPool; add it to one, or request another address',
    ]);
  });

  it('is over for good: what could not be written then is written later, and there is no other grace', () => {
    const c = controller({ ...grace, pools: [WHOLE], services: [service('a', {}, {}, ['192.0.2.5'])] });
    c.pools(LOWER);
    c.fail(503);
    c.wait(5100);
    c.fail(undefined);
    c.wait(400);
    expect(c.address('a')).toBe('192.0.2.0');
  });

  it('begins again with the next loss', () => {
    const c = controller({ ...grace, pools: [WHOLE], services: [service('a', {}, {}, ['192.0.2.5'])] });
    for (let i = 0; i < 3; i++) {
      c.pools(LOWER);
      c.wait(3000);
      c.pools(WHOLE);
    }
    expect(c.address('a')).toBe('192.0.2.5');
  });

  it('holds for a controller that has just begun', () => {
    const meta = { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } };
    const c = controller({ ...grace, pools: [LOWER], services: [service('a', {}, meta, ['192.0.2.5'])] });
    c.wait(1000);
    expect(c.address('a')).toBe('192.0.2.5');
    c.wait(4000);
    expect(c.address('a')).toBe('192.0.2.0');
  });

  it('is not for what others have written into the status', () => {
    const c = controller({ ...grace, pools: [LOWER], services: [service('a', {}, {}, ['192.0.2.5'])] });
    expect(c.address('a')).toBe('192.0.2.0');
    c.intrude('a', '192.0.2.5');
    expect(c.address('a')).toBe('192.0.2.0');
  });

  it('each address has its own: one that has waited for long takes nothing from the other', () => {
    const [six, meta] = ['fd00:78::/126', { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } }];
    const c = controller({
      ...grace,
      pools: [pool('p', ['192.0.2.0/29', six])],
      services: [service('a', DUAL, meta, ['192.0.2.5', 'fd00:77::'])],
    });
    c.wait(4000);
    c.pools(pool('p', ['192.0.2.0/30', six]));
    expect(c.address('a')).toBe('192.0.2.5,fd00:77::');
    c.wait(2000);
    expect(c.address('a')).toBe('192.0.2.5');
    c.pools(pool('p', ['192.0.2.0/29', six]));
    c.wait(60_000);
    expect(c.address('a')).toBe('192.0.2.5,fd00:78::');
    expect(troubles(c)).toEqual([expect.stringContaining('a ClearAssignment: default/a loses fd00:77::: address')]);
  });

  const ASIDE = pool('p', ['192.0.2.0-nonsense']);
  it.each([
    ['an address of no pool any more', pool('p', ['192.0.2.0/30', 'fd00:78::/126']), 'fd00:77::'],
    ['a pool that is taken out of force', ASIDE, 'fd00:78::'],
  ])(
    'a controller that has just begun gives what a Service has to nobody else, whatever its status says: %s',
    (_, before, second) => {
      const meta = { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } };
      const held = service('z', DUAL, meta, ['192.0.2.0', second]);
      const c = controller({
        ...grace,
        pools: [before],
        services: [service('a', { loadBalancerIP: '192.0.2.0' }), held],
      });
      c.feed({ kind: 'interrupted', resource: 'ipaddresspools' });
      c.intrude('z');
      c.pools(pool('p', ['192.0.2.0/30', 'fd00:78::/126']));
      expect([c.address('a'), c.address('z')]).toEqual(['', `192.0.2.0,${second}`]);
      expect(c.writes.filter((text) => text.startsWith('default/a 1'))).toEqual([]);
    },
  );

  it('is not for an address that another Service has', () => {
    const meta = { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } };
    const services = ['a', 'z'].map((name) => service(name, {}, meta, ['192.0.2.5']));
    const c = controller({ ...grace, pools: [LOWER], services });
    expect([c.address('a'), c.address('z')]).toEqual(['192.0.2.5', '192.0.2.0']);
  });

  it('gives the address to nobody else', () => {
    const c = controller({ ...grace, pools: [WHOLE], services: [service('a', {}, {}, ['192.0.2.5'])] });
    c.pools(LOWER);
    c.put(service('b', { loadBalancerIP: '192.0.2.5' }));
    c.pools(LOWER, UPPER);
    expect([c.address('a'), c.address('b')]).toEqual(['192.0.2.5', '']);
  });

  it.each<[string, object, object]>([
    ['avoidBuggyIPs', { avoidBuggyIPs: true }, {}],
    ['serviceAllocation', { serviceAllocation: { namespaces: ['other'] } }, {}],
  ])('an edit can be taken back: %s', (_, spec) => {
    const c = controller({ ...grace, services: [service('a')] });
    c.pools(pool('p', ['192.0.2.0/30'], spec));
    c.wait(3000);
    expect(c.address('a')).toBe('192.0.2.0');
    c.pools(pool('p', ['192.0.2.0/30']));
    c.wait(10_000);
    expect(c.address('a')).toBe('192.0.2.0');
    c.pools(pool('p', ['192.0.2.0/30'], spec));
    c.wait(10_000);
    expect(c.address('a')).not.toBe('192.0.2.0');
  });

  it('the pool that is asked for by name may be replaced before the annotation follows', () => {
    const meta = { annotations: { 'metallb.io/address-pool': 'p' } };
    const c = controller({ ...grace, services: [service('a', {}, meta), service('b')] });
    c.pools();
    c.pools(pool('renamed', ['192.0.2.0/30']));
    c.wait(2000);
    expect(c.address('a')).toBe('192.0.2.0');
    c.annotate('a', { 'metallb.io/address-pool': 'renamed' });
    c.wait(10_000);
    expect([c.address('a'), c.annotation('a'), c.address('b')]).toEqual(['192.0.2.0', 'renamed', '192.0.2.1']);
  });

  it('is not for what the Service itself asks for', () => {
    const labelled = service('a', {}, { labels: { tier: 'gold' } });
    const gold = { serviceAllocation: { serviceSelectors: [{ matchLabels: { tier: 'gold' } }] } };
    const c = controller({ ...grace, pools: [pool('p', ['192.0.2.0/30'], gold)], services: [labelled, service('b')] });
    c.put({
      ...labelled,
      metadata: { ...labelled.metadata, labels: {}, resourceVersion: 'x' },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.0' }] } },
    });
    expect(c.address('a')).toBe('');
    c.pools(WHOLE);
    expect(c.address('b')).not.toBe('');
    c.annotate('b', { 'metallb.io/address-pool': 'nowhere' });
    expect(c.address('b')).toBe('');
  });

  it.each<[string, boolean]>([
    ['the pool first', true],
    ['the annotation first', false],
  ])('pool and wish may change one after the other: %s', (_, poolFirst) => {
    const c = controller({ ...grace, pools: [BOTH], services: [service('a', DUAL, wish('192.0.2.105,fd00:77::105'))] });
    const steps = [
      () => c.pools(pool('p', ['192.0.2.100-192.0.2.110', 'fd00:78::100-fd00:78::110'])),
      () => c.annotate('a', wish('192.0.2.105,fd00:78::105').annotations),
    ];
    if (!poolFirst) steps.reverse();
    steps[0]!();
    c.wait(3000);
    expect(c.address('a')).toBe('192.0.2.105,fd00:77::105');
    steps[1]!();
    expect(c.address('a')).toBe('192.0.2.105,fd00:78::105');
    expect(c.events.join()).not.toContain('Failed');
  });

  it('a wish of which a part never comes costs what it does not ask for any more, and says so', () => {
    const c = controller({ ...grace, pools: [BOTH], services: [service('a', DUAL, wish('192.0.2.105,fd00:77::105'))] });
    c.annotate('a', wish('192.0.2.105,fd00:78::105').annotations);
    c.wait(60_000);
    expect(c.address('a')).toBe('192.0.2.105');
    expect(troubles(c)).toHaveLength(2);
    expect(c.condition('a')?.message).toContain(
      'keeps 192.0.2.105 and gets no other address: address fd00:78::105 is in',
    );
  });

  it('there is none unless it is asked for', () => {
    const c = controller({ pools: [WHOLE], services: [service('a', {}, {}, ['192.0.2.5'])] });
    c.pools(LOWER);
    expect(c.address('a')).toBe('192.0.2.0');
  });
});

describe('an address that goes while it is on its way into the status', () => {
  it('is named in one Event, before and after the status has shown it', () => {
    let state = initialController({ loadBalancerClass: '' });
    const events: string[] = [];
    const feed = (input: ControllerInput) => {
      const { next, outputs } = controllerMachine.step(state, input, 0);
      state = next;
      for (const output of outputs) if (output.kind === 'emit-event') events.push(output.message);
    };
    for (const resource of CONTROLLER_RESOURCES) feed({ kind: 'replaced', resource, objects: [] });
    feed({ kind: 'applied', resource: 'ipaddresspools', object: pool('p', ['192.0.2.0/30']) });
    const first = service('a');
    feed({ kind: 'applied', resource: 'services', object: first });
    feed({ kind: 'replaced', resource: 'ipaddresspools', objects: [] });
    const resourceVersion = `${first.metadata.resourceVersion}-written`;
    const annotations = { 'metallb.io/ip-allocated-from-pool': 'p' };
    const written = service('a', {}, { ...first.metadata, resourceVersion, annotations }, ['192.0.2.0']);
    feed({ kind: 'written', resource: 'services', object: written });
    expect(events.filter((text) => text.includes('gets no address'))).toEqual([
      expect.stringContaining('(it has lost 192.0.2.0: address 192.0.2.0 is in no IPAddressPool'),
    ]);
    expect(events.filter((text) => text.includes('loses 192.0.2.0'))).toHaveLength(1);
  });

  it('stays for the grace: the status may show it already', () => {
    let state = initialController({ loadBalancerClass: '', poolChangeGrace: 5000 });
    const writes: string[] = [];
    const feed = (input: ControllerInput) => {
      const { next, outputs } = controllerMachine.step(state, input, 0);
      state = next;
      for (const output of outputs) if (output.kind === 'write-service') writes.push(output.addresses.join());
    };
    for (const resource of CONTROLLER_RESOURCES) feed({ kind: 'replaced', resource, objects: [] });
    feed({ kind: 'applied', resource: 'ipaddresspools', object: pool('p', ['192.0.2.0/30']) });
    const first = service('a');
    feed({ kind: 'applied', resource: 'services', object: first });
    feed({ kind: 'replaced', resource: 'ipaddresspools', objects: [pool('p', ['192.0.2.2/31'])] });
    const resourceVersion = `${first.metadata.resourceVersion}-written`;
    const annotations = { 'metallb.io/ip-allocated-from-pool': 'p' };
    const written = service('a', {}, { ...first.metadata, resourceVersion, annotations }, ['192.0.2.0']);
    feed({ kind: 'written', resource: 'services', object: written });
    expect(state.allocator.allocationOf('default/a')?.addresses.map(formatAddress)).toEqual(['192.0.2.0']);
    expect(writes.filter((text) => text !== '192.0.2.0')).toEqual([]);
  });
});

describe('the Services without an address, counted', () => {
  it('are not those that keep one until they can have another', () => {
    const records = new ServiceRecords();
    records.change('default/none', { unserved: 'exhausted', hasAddress: false });
    records.change('default/keeps', { unserved: 'no-such-pool', hasAddress: true });
    expect([...records.unservedReasons()]).toEqual(['exhausted']);
    expect([...records.unserved]).toEqual(['default/none', 'default/keeps']);
  });
});

describe('a wish that cannot be met', () => {
  const services = [service('a'), service('b', { loadBalancerIP: '192.0.2.3' })];
  const CASES: readonly (readonly [string, Record<string, string>, string])[] = [
    [
      'an address in no pool',
      { 'metallb.io/loadBalancerIPs': '203.0.113.9' },
      'address 203.0.113.9 is in no IPAddressPool',
    ],
    [
      'an address in use',
      { 'metallb.io/loadBalancerIPs': '192.0.2.3' },
      'address 192.0.2.3 is in use by Service default/b',
    ],
    [
      'an address of the wrong family',
      { 'metallb.io/loadBalancerIPs': 'fd00::1' },
      'it requests an address of IPv6, but its cluster IPs are IPv4; request IPv4 only',
    ],
    ['a pool that does not exist', { 'metallb.io/address-pool': 'none' }, 'pool "none" does not exist'],
    ['a pool that is full', { 'metallb.io/address-pool': 'full' }, 'pool "full" is exhausted'],
  ];
  const pools = [pool('p', ['192.0.2.0/30']), pool('full', ['198.51.100.0/32'], { autoAssign: false })];
  const full = service('full', { loadBalancerIP: '198.51.100.0' });

  it.each(CASES)('takes the address away, and says which and why: %s', (_, annotations, why) => {
    const c = controller({ pools, services: [...services, full] });
    c.annotate('a', annotations);
    expect(c.address('a')).toBe('');
    expect(c.events.at(-2)).toContain('a ClearAssignment: default/a loses 192.0.2.0: ');
    const { message } = c.condition('a')!;
    expect(message).toContain(`default/a gets no address: ${why}`);
    expect(message).toMatch(/ \(it has lost 192\.0\.2\.0: .+\)$/);
    expect(c.events.at(-1)).toBe(`a AllocationFailed: ${message}`);
    c.annotate('a', { other: 'thing' });
    expect(c.condition('a')!.message).toBe(message);
    expect(c.events.at(-1)).toBe(`a AllocationFailed: ${message}`);
  });

  it.each(CASES)('takes nothing away with --keep-address-until-served, and says so: %s', (_, annotations, why) => {
    const c = controller({ pools, services: [...services, full], keepUntilServed: true });
    c.annotate('a', annotations);
    expect([c.address('a'), c.annotation('a')]).toEqual(['192.0.2.0', 'p']);
    const message = expect.stringContaining(`default/a keeps 192.0.2.0 until it can have what it asks for: ${why}`);
    expect(c.condition('a')).toMatchObject({ status: 'False', message });
    expect(troubles(c)).toHaveLength(1);
  });

  it('is met with --keep-address-until-served as soon as that is possible, and the old address is free then', () => {
    const c = controller({ pools, services: [...services, full], keepUntilServed: true });
    c.annotate('a', { 'metallb.io/address-pool': 'full' });
    c.put(service('c', { loadBalancerIP: '192.0.2.0' }));
    c.remove('full');
    expect([c.address('a'), c.address('c')]).toEqual(['198.51.100.0', '192.0.2.0']);
    expect(c.condition('a')).toMatchObject({ status: 'True' });
  });

  it.each([false, true])('keeps the address when nobody can read it, and says so', (keepUntilServed) => {
    const c = controller({ services: [service('a')], keepUntilServed });
    c.annotate('a', { 'metallb.io/loadBalancerIPs': 'web.example' });
    expect(c.address('a')).toBe('192.0.2.0');
    const message =
      'annotation metallb.io/loadBalancerIPs: "web.example" is not an IP address; write one from a pool (it keeps 192.0.2.0 until then)';
    expect(c.condition('a')).toMatchObject({ status: 'False', reason: 'LoadBalancerFailed', message });
    expect(c.events.at(-1)).toBe(`a LoadBalancerFailed: ${message}`);
  });
});
