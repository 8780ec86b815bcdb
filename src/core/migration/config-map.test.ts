import { describe, expect, it } from 'vitest';
import { configured } from '../../../test/builders.ts';
import { formatProblem } from '../api/problem.ts';
import { ORIGIN_LABEL, planConfigMap } from './config-map.ts';

const plan = (document: unknown, present = {}) => planConfigMap(document, 'config', 'metallb-system', present);
const pool = (name: string, addresses: string) => ({ name, protocol: 'layer2', addresses: [addresses] });
const ours = (name: string) => configured(name, {}, { labels: { [ORIGIN_LABEL]: 'config' } });
const DOCUMENT = { 'address-pools': [pool('default', '192.0.2.0/28')] };

describe('a ConfigMap that is followed', () => {
  it('stands for resources that bear its name', () => {
    const { writes, removals, problems } = plan(DOCUMENT);
    expect(writes.map(({ resource, object }) => [resource, object.metadata])).toEqual([
      ['ipaddresspools', { name: 'default', namespace: 'metallb-system', labels: { [ORIGIN_LABEL]: 'config' } }],
      [
        'l2advertisements',
        { name: 'l2advertisement1', namespace: 'metallb-system', labels: { [ORIGIN_LABEL]: 'config' } },
      ],
    ]);
    expect([removals, problems]).toEqual([[], []]);
  });

  it('takes back what it no longer has, who refers to others first, and nothing that others made', () => {
    const present = {
      ipaddresspools: [ours('default'), ours('old'), configured('foreign')],
      l2advertisements: [ours('l2advertisement1'), ours('l2advertisement2')],
      bfdprofiles: [ours('fast')],
      bgppeers: [ours('peer1')],
    };
    expect(plan(DOCUMENT, present).removals.map(({ resource, name }) => `${resource} ${name}`)).toEqual([
      'l2advertisements l2advertisement2',
      'bgppeers peer1',
      'bfdprofiles fast',
      'ipaddresspools old',
    ]);
  });

  it.each<[string, unknown, string]>([
    ['an unreadable part', { 'address-pools': [{ name: 'a' }] }, 'data.config.address-pools[0].protocol'],
    [
      'a bad address',
      { 'address-pools': [pool('a', '192.0.2.1')] },
      'IPAddressPool a, spec.addresses[0]: a bare address is not accepted here',
    ],
    [
      'an overlap',
      { 'address-pools': [pool('a', '192.0.2.0/28'), pool('b', '192.0.2.8/29')] },
      'it overlaps 192.0.2.0/28 of IPAddressPool a',
    ],
  ])('changes nothing when it has %s', (_, document, expected) => {
    const { writes, removals, problems } = plan(document, { ipaddresspools: [ours('old')] });
    expect([writes, removals]).toEqual([[], []]);
    expect(problems.map(formatProblem).join()).toContain(expected);
    expect(problems[0]!.consequence).toBe('until then the last good version stays in force');
  });

  it('leaves a resource of another origin alone, and says so', () => {
    const { writes, problems } = plan(DOCUMENT, { ipaddresspools: [configured('default')] });
    expect(writes.map(({ resource }) => resource)).toEqual(['l2advertisements']);
    expect(problems.map(formatProblem)).toEqual([
      'ConfigMap metallb-system/config: data.config: "default": IPAddressPool metallb-system/default exists already, and was not made from this ConfigMap; delete that object, or use another name here (until then that object stays as it is)',
    ]);
  });
});
