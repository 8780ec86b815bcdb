import { describe, expect, it } from 'vitest';
import { pool } from '../../../test/builders.ts';
import { parseDuration } from './duration.ts';
import { toCustomResourceDefinition, validateObject } from './kind.ts';
import { bfdProfile, bgpAdvertisement, bgpPeer, ipAddressPool, KINDS, l2Advertisement } from './kinds.ts';
import type { LabelSelector } from './kubernetes.ts';
import { areDisjoint, selectorMatches } from './selector.ts';

const schemas = {
  BFDProfile: bfdProfile,
  BGPAdvertisement: bgpAdvertisement,
  BGPPeer: bgpPeer,
  IPAddressPool: ipAddressPool,
  L2Advertisement: l2Advertisement,
};
const check = (kind: keyof typeof schemas, spec: object) => {
  const result = validateObject(kind, schemas[kind], {
    metadata: { name: 'x', namespace: 'metallb-system' },
    spec,
  } as never);
  return result.ok ? 'ok' : result.problems.map(({ field, message }) => `${field}: ${message}`).join('; ');
};

describe('custom resources', () => {
  it('are the nine of upstream’s and ours, namespaced, with a status subresource in every version', () => {
    expect(KINDS.map(({ kind }) => kind).sort()).toEqual([
      'BFDProfile',
      'BGPAdvertisement',
      'BGPPeer',
      'BGPSessionStatus',
      'Community',
      'ConfigurationState',
      'IPAddressPool',
      'L2Advertisement',
      'ServiceBGPStatus',
      'ServiceL2Status',
    ]);
    for (const kind of KINDS) {
      const { spec } = toCustomResourceDefinition(kind) as {
        spec: { scope: string; versions: { subresources: object; storage: boolean }[] };
      };
      expect(spec.scope).toBe('Namespaced');
      expect(spec.versions.filter(({ storage }) => storage)).toHaveLength(1);
      for (const version of spec.versions) expect(version.subresources).toEqual({ status: {} });
    }
  });

  it('fill defaults in', () => {
    const result = validateObject('IPAddressPool', ipAddressPool, pool('p', ['192.0.2.0/24']));
    expect(result.ok && result.value.spec).toEqual({
      addresses: ['192.0.2.0/24'],
      autoAssign: true,
      avoidBuggyIPs: false,
    });
  });

  it.each<[keyof typeof schemas, object, string]>([
    ['BFDProfile', { receiveInterval: 9 }, 'spec.receiveInterval'],
    ['BFDProfile', { detectMultiplier: 256 }, 'spec.detectMultiplier'],
    ['BFDProfile', { minimumTtl: 255 }, 'spec.minimumTtl'],
    ['BFDProfile', { receiveInterval: 10, detectMultiplier: 2, minimumTtl: 254 }, 'ok'],
    ['BGPPeer', {}, 'spec.myASN'],
    ['BGPPeer', { myASN: 4294967296 }, 'spec.myASN'],
    ['BGPPeer', { myASN: 1, peerPort: 16385 }, 'spec.peerPort'],
    ['BGPPeer', { myASN: 1, dynamicASN: 'other' }, 'spec.dynamicASN'],
    ['BGPPeer', { myASN: 1, connectTime: '0s' }, 'connect time must be between 1 and 65535 seconds'],
    ['BGPPeer', { myASN: 1, connectTime: '1500ms' }, 'connect time must be a whole number of seconds'],
    ['BGPPeer', { myASN: 1, connectTime: '10s', holdTime: '90s' }, 'ok'],
    ['BGPAdvertisement', { aggregationLength: 0 }, 'spec.aggregationLength'],
    [
      'BGPAdvertisement',
      { aggregationLength: 24, serviceSelectors: [{}] },
      'aggregationLength and aggregationLengthV6 must be 32 and 128',
    ],
    ['BGPAdvertisement', { aggregationLength: 24, serviceSelectors: [] }, 'ok'],
    ['BGPAdvertisement', { serviceSelectors: [{}] }, 'ok'],
    [
      'L2Advertisement',
      { preferredNodeSelectors: [{ weight: 101, preference: {} }] },
      'spec.preferredNodeSelectors[0].weight',
    ],
    ['L2Advertisement', { preferredNodeSelectors: [{ weight: 1 }] }, 'spec.preferredNodeSelectors[0].preference'],
    ['L2Advertisement', {}, 'ok'],
    ['IPAddressPool', { addresses: [1] }, 'spec.addresses[0]'],
  ])('%s %j: %s', (kind, spec, expected) => {
    expect(check(kind, spec)).toContain(expected);
  });
});

describe('label selectors', () => {
  it.each<[string, object, boolean]>([
    ['an empty selector', {}, true],
    ['a label that is there', { matchLabels: { a: '1' } }, true],
    ['a label with another value', { matchLabels: { a: '2' } }, false],
    ['In', { matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, true],
    ['NotIn on an absent label', { matchExpressions: [{ key: 'z', operator: 'NotIn', values: ['1'] }] }, true],
    ['Exists', { matchExpressions: [{ key: 'a', operator: 'Exists' }] }, true],
    ['DoesNotExist', { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, false],
    ['an unknown operator', { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['0'] }] }, false],
    [
      'all conditions together',
      { matchLabels: { a: '1' }, matchExpressions: [{ key: 'b', operator: 'Exists' }] },
      false,
    ],
  ])('%s', (_, selector, expected) => {
    expect(selectorMatches(selector, { a: '1' })).toBe(expected);
  });

  const is = (key: string, operator: string, ...values: string[]): LabelSelector => ({
    matchExpressions: [{ key, operator, ...(values.length > 0 && { values }) }],
  });
  it.each<[string, LabelSelector, LabelSelector, boolean]>([
    ['two values of one label', { matchLabels: { a: '1' } }, { matchLabels: { a: '2' } }, true],
    ['the same value', { matchLabels: { a: '1' } }, { matchLabels: { a: '1' } }, false],
    ['values of two labels', { matchLabels: { a: '1' } }, { matchLabels: { b: '2' } }, false],
    ['lists of values without a common one', is('a', 'In', '1', '2'), is('a', 'In', '3'), true],
    ['lists of values with one', is('a', 'In', '1', '2'), is('a', 'In', '2', '3'), false],
    ['a value and its exclusion', { matchLabels: { a: '1' } }, is('a', 'NotIn', '1'), true],
    ['values that are all excluded', is('a', 'In', '1', '2'), is('a', 'NotIn', '1', '2', '3'), true],
    ['values that are not all excluded', is('a', 'In', '1', '2'), is('a', 'NotIn', '1'), false],
    ['two exclusions', is('a', 'NotIn', '1'), is('a', 'NotIn', '2'), false],
    ['a label and none', is('a', 'Exists'), is('a', 'DoesNotExist'), true],
    ['a value and no label', { matchLabels: { a: '1' } }, is('a', 'DoesNotExist'), true],
    ['a label and a value that it has not', is('a', 'Exists'), is('a', 'NotIn', '1'), false],
    ['no label and a value that it has not', is('a', 'DoesNotExist'), is('a', 'NotIn', '1'), false],
    ['one that selects everything', {}, { matchLabels: { a: '1' } }, false],
    ['a second label that differs', { matchLabels: { a: '1', b: '1' } }, { matchLabels: { a: '1', b: '2' } }, true],
    ['one that matches nothing', { matchLabels: { a: '1' }, ...is('a', 'In', '2') }, {}, true],
  ])('exclude each other: %s', (_, a, b, expected) => {
    expect([areDisjoint(a, b), areDisjoint(b, a)]).toEqual([expected, expected]);
  });
});

describe('durations', () => {
  it.each<[string, number | undefined]>([
    ['90s', 90_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['300ms', 300],
    ['0', 0],
    ['-1s', -1000],
    ['2us', 0.002],
    ['', undefined],
    ['5', undefined],
    ['1 s', undefined],
    ['s', undefined],
  ])('%s', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it('are read in time that grows with the text', () => {
    // Going back from each digit to every other would take minutes.
    expect(parseDuration('1'.repeat(300_000))).toBeUndefined();
    expect(parseDuration(`${'1s'.repeat(100_000)}x`)).toBeUndefined();
  });
});
