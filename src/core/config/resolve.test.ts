import { describe, expect, it } from 'vitest';
import { configured, namespace, pool } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatProblem } from '../api/problem.ts';
import { formatAddress } from '../net/address.ts';
import { parseAddressEntry } from './address-entry.ts';
import type { Config } from './config.ts';
import { resolveConfig } from './resolve.ts';

const resolve = (
  ipaddresspools: KubernetesObject[],
  l2advertisements: KubernetesObject[] = [],
  namespaces: KubernetesObject[] = [],
  previous?: Config,
) => resolveConfig({ ipaddresspools, l2advertisements, namespaces }, previous);
const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

it('a pool is not refused for what its status says', () => {
  // As a controller writes it for a /64: found in the lab, where a speaker that was started again set the pool aside.
  const status = { availableIPv6: 9_223_372_036_854_775_000, conditions: 'nonsense' };
  const huge: KubernetesObject = { ...pool('p', ['2001:db8::/64']), ...{ status } };
  const { config, problems } = resolve([huge]);
  expect(problems).toEqual([]);
  expect(names(config.pools)).toEqual(['p']);
});

describe('an address entry', () => {
  it.each([
    ['198.51.100.10/24', '198.51.100.0', '198.51.100.255'],
    ['192.0.2.5-192.0.2.18', '192.0.2.5', '192.0.2.18'],
    ['192.0.2.5 - 192.0.2.5', '192.0.2.5', '192.0.2.5'],
    ['2001:db8::/126', '2001:db8::', '2001:db8::3'],
    ['2001:db8::5-2001:db8::8', '2001:db8::5', '2001:db8::8'],
  ])('reads %s', (text, first, last) => {
    const parsed = parseAddressEntry(text);
    if (!parsed.ok) throw new Error(parsed.message);
    const { family } = parsed.range;
    expect([
      formatAddress({ family, value: parsed.range.first }),
      formatAddress({ family, value: parsed.range.last }),
    ]).toEqual([first, last]);
  });

  it.each([
    ['192.0.2.1', 'a bare address is not accepted here', 'write 192.0.2.1/32'],
    ['2001:db8::1', 'a bare address is not accepted here', 'write 2001:db8::1/128'],
    [' 192.0.2.0/24', 'spaces are not allowed around a CIDR', 'write "192.0.2.0/24"'],
    ['192.0.2.0/33', 'neither a CIDR nor a range', 'write ADDRESS/LENGTH'],
    ['nonsense', 'neither a CIDR nor a range', 'write ADDRESS/LENGTH'],
    ['192.0.2.1-', 'ends with ""', 'write both ends'],
    ['192.0.2.300-192.0.2.4', 'begins with "192.0.2.300"', 'write both ends'],
    ['192.0.2.9-192.0.2.4', 'begins after its end', 'swap the two: 192.0.2.4-192.0.2.9'],
    ['192.0.2.9-2001:db8::1', 'one address family and ends in the other', 'one range for each family'],
    ['010.0.0.1-10.0.0.2', 'begins with "010.0.0.1"', 'write both ends'],
  ])('refuses %j and says what would be right', (text, message, cure) => {
    const parsed = parseAddressEntry(text);
    if (parsed.ok) throw new Error('it was accepted');
    expect(parsed.message).toContain(message);
    expect(parsed.cure).toContain(cure);
  });
});

describe('pools', () => {
  it('come out sorted by name with defaults filled in', () => {
    const { config, problems } = resolve([
      pool('b', ['192.0.2.0/28']),
      pool('a', ['198.51.100.0/28'], { autoAssign: false, avoidBuggyIPs: true }),
    ]);
    expect(problems).toEqual([]);
    expect(config.pools).toMatchObject([
      { name: 'a', autoAssign: false, avoidBuggyIPs: true },
      { name: 'b', autoAssign: true, avoidBuggyIPs: false },
    ]);
  });

  it('report every fault at once, with object, field, value and cure, and leave the good ones alone', () => {
    const { config, problems } = resolve([
      pool('bad', ['192.0.2.1', '192.0.2.9-192.0.2.4']),
      pool('good', ['198.51.100.0/28']),
    ]);
    expect(names(config.pools)).toEqual(['good']);
    expect(problems.map(formatProblem)).toEqual([
      'IPAddressPool metallb-system/bad: spec.addresses[0]: "192.0.2.1": a bare address is not accepted here; write 192.0.2.1/32 for this one address, or FIRST-LAST for a range (until then the object is set aside)',
      'IPAddressPool metallb-system/bad: spec.addresses[1]: "192.0.2.9-192.0.2.4": the range begins after its end; swap the two: 192.0.2.4-192.0.2.9 (until then the object is set aside)',
    ]);
  });

  it.each<[string, object, string]>([
    ['no addresses', { addresses: [] }, 'spec.addresses: "[]": the pool has no addresses'],
    [
      'addresses that are no list',
      { addresses: '192.0.2.0/24' },
      'spec.addresses: "192.0.2.0/24": Invalid input: expected array',
    ],
    ['no spec fields at all', { addresses: undefined }, 'spec.addresses: "": Invalid input: expected array'],
    [
      'a range that overlaps another of its own',
      { addresses: ['192.0.2.0/24', '192.0.2.7-192.0.2.9'] },
      'spec.addresses[1]: "192.0.2.7-192.0.2.9": it overlaps 192.0.2.0/24 of the same pool',
    ],
    [
      'a namespace twice',
      { addresses: ['192.0.2.0/24'], serviceAllocation: { namespaces: ['a', 'a'] } },
      'spec.serviceAllocation.namespaces[1]: "a": this is listed twice',
    ],
    [
      'a selector with an unknown operator',
      {
        addresses: ['192.0.2.0/24'],
        serviceAllocation: { serviceSelectors: [{ matchExpressions: [{ key: 'a', operator: 'Like' }] }] },
      },
      'spec.serviceAllocation.serviceSelectors[0].matchExpressions[0].operator: "Like": this is not an operator',
    ],
    [
      'the same selector twice',
      {
        addresses: ['192.0.2.0/24'],
        serviceAllocation: { serviceSelectors: [{ matchLabels: { a: 'b' } }, { matchLabels: { a: 'b' } }] },
      },
      'this selector is listed twice',
    ],
  ])('with %s are set aside', (_, spec, text) => {
    const { config, problems } = resolve([{ ...pool('bad', []), spec } as KubernetesObject]);
    expect(config.pools).toEqual([]);
    expect(problems.map(formatProblem).join()).toContain(text);
  });

  it('that overlap: the older one stays, the younger one is told whom it meets', () => {
    const older = pool('z-old', ['192.0.2.0/24'], {}, { creationTimestamp: '2026-01-01T00:00:00Z' });
    const younger = pool('a-new', ['192.0.2.250-192.0.3.4'], {}, { creationTimestamp: '2026-02-01T00:00:00Z' });
    const { config, problems } = resolve([younger, older]);
    expect(names(config.pools)).toEqual(['z-old']);
    expect(formatProblem(problems[0]!)).toContain(
      'it overlaps 192.0.2.0/24 of IPAddressPool z-old; leave the shared addresses in one of the two pools',
    );
  });

  it('that become bad keep their last good version in force, and say so', () => {
    const before = resolve([pool('p', ['192.0.2.0/28'])]).config;
    const { config, problems } = resolve([pool('p', ['192.0.2.0/99'])], [], [], before);
    expect(config.pools).toEqual(before.pools);
    expect(problems[0]!.consequence).toBe('until then the last good version stays in force');
  });

  it('of one name in two namespaces exclude each other', () => {
    const { config, problems } = resolve([
      pool('p', ['192.0.2.0/28']),
      pool('p', ['198.51.100.0/28'], {}, { namespace: 'other', creationTimestamp: '2026-02-01T00:00:00Z' }),
    ]);
    expect(config.pools).toHaveLength(1);
    expect(problems[0]!.message).toContain('older IPAddressPool of this name');
  });

  it('know the namespaces that they are reserved for, by name and by label', () => {
    const allocation = {
      serviceAllocation: { namespaces: ['given'], namespaceSelectors: [{ matchLabels: { team: 'a' } }], priority: 5 },
    };
    const { config } = resolve(
      [pool('p', ['192.0.2.0/28'], allocation)],
      [],
      [namespace('found', { team: 'a' }), namespace('other')],
    );
    expect(config.pools[0]!.allocation).toMatchObject({
      priority: 5,
      namespaces: new Set(['found', 'given']),
      limitsNamespaces: true,
    });
  });
});

describe('L2Advertisements', () => {
  const pools = [pool('a', ['192.0.2.0/28'], {}, { labels: { zone: 'a' } }), pool('b', ['198.51.100.0/28'])];
  const covered = (spec: object) =>
    [...resolve(pools, [configured('l2', spec)]).config.l2Advertisements[0]!.pools].sort();

  it.each<[string, object, string[]]>([
    ['everything when they name nothing', {}, ['a', 'b']],
    ['the pools they name', { ipAddressPools: ['b', 'unknown'] }, ['b']],
    ['the pools they select', { ipAddressPoolSelectors: [{ matchLabels: { zone: 'a' } }] }, ['a']],
    [
      'the union of both',
      { ipAddressPools: ['b'], ipAddressPoolSelectors: [{ matchLabels: { zone: 'a' } }] },
      ['a', 'b'],
    ],
    ['nothing when their selectors match nothing', { ipAddressPoolSelectors: [{ matchLabels: { zone: 'x' } }] }, []],
  ])('cover %s', (_, spec, expected) => {
    expect(covered(spec)).toEqual(expected);
  });

  it.each<[string, object, string]>([
    ['a pool twice', { ipAddressPools: ['a', 'a'] }, 'spec.ipAddressPools[1]: "a": this is listed twice'],
    [
      'a weight of 0',
      { preferredNodeSelectors: [{ weight: 0, preference: {} }] },
      'spec.preferredNodeSelectors[0].weight: "0"',
    ],
    [
      'a node selector without values',
      { nodeSelectors: [{ matchExpressions: [{ key: 'a', operator: 'In' }] }] },
      'In needs at least one value',
    ],
  ])('with %s are set aside', (_, spec, text) => {
    const { config, problems } = resolve(pools, [configured('bad', spec), configured('good')]);
    expect(names(config.l2Advertisements)).toEqual(['good']);
    expect(problems.map(formatProblem).join()).toContain(text);
  });
});
