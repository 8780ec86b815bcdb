import { describe, expect, it } from 'vitest';
import { configured, pool } from '../../../test/builders.ts';
import { formatProblem } from '../api/problem.ts';
import type { BgpEngine } from './config.ts';
import { type ConfigObjects, resolveConfig } from './resolve.ts';

const PEER = { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.254' };
const on = (label: string) => ({ nodeSelectors: [{ matchLabels: { [label]: '' } }] });
const labels = (...keys: string[]) => Object.fromEntries(keys.map((key) => [key, '']));
const peer = (name: string, spec: object) => configured(name, { ...PEER, ...spec });
/** What is in force on a node with these labels, and what its speaker tells. */
const here = (node: Record<string, string>, objects: ConfigObjects, engine: BgpEngine = 'native') => {
  const { config, problems } = resolveConfig(
    { ipaddresspools: [pool('v4', ['192.0.2.0/28']), pool('v6', ['2001:db8::/120'])], secrets: [], ...objects },
    undefined,
    { node, engine },
  );
  return {
    peers: config.peers.map(({ name }) => name),
    advertisements: config.bgpAdvertisements.map(({ name }) => name),
    problems: problems.map(formatProblem),
  };
};

describe('the configuration of one node', () => {
  it('has of two peers that are one router the older, where both select the node, and elsewhere each', () => {
    const bgppeers = [peer('old', on('a')), peer('young', on('b'))];
    const both = here(labels('a', 'b'), { bgppeers });
    expect(both.peers).toEqual(['old']);
    expect(both.problems).toEqual([
      'BGPPeer metallb-system/young: spec.peerAddress: "192.0.2.254": BGPPeer old is the same router, and both run on one node; remove one of the two, or give them nodeSelectors that share no node (until then the object is set aside)',
    ]);
    for (const one of ['a', 'b', 'c'])
      expect(here(labels(one), { bgppeers })).toMatchObject({ peers: ['old', 'young'], problems: [] });
  });

  it('has of two preferences for one route the older, where both select the node', () => {
    const bgpadvertisements = [
      configured('old', { localPref: 100, ...on('a') }),
      configured('young', { localPref: 200, ...on('b') }),
    ];
    const both = here(labels('a', 'b'), { bgpadvertisements });
    expect(both.advertisements).toEqual(['old']);
    expect(both.problems).toEqual([
      expect.stringMatching(/^BGPAdvertisement metallb-system\/young: spec.localPref: "200":/),
    ]);
    for (const one of ['a', 'b'])
      expect(here(labels(one), { bgpadvertisements })).toMatchObject({
        advertisements: ['old', 'young'],
        problems: [],
      });
  });

  it('has one router ID and one AS number for FRR, whatever other nodes have', () => {
    const bgppeers = [
      peer('old', { ...on('a'), routerID: '10.0.0.1' }),
      peer('young', { ...on('b'), routerID: '10.0.0.2', myASN: 64999, peerAddress: '192.0.2.253' }),
    ];
    expect(here(labels('a', 'b'), { bgppeers }, 'frr-k8s').problems).toHaveLength(2);
    expect(here(labels('b'), { bgppeers }, 'frr-k8s').problems).toEqual([]);
  });

  it('does not mind the echo mode of a router of other nodes', () => {
    const objects = {
      bfdprofiles: [configured('echo', { echoMode: true })],
      bgppeers: [peer('r', { ...on('a'), bfdProfile: 'echo' })],
      bgpadvertisements: [configured('ad')],
    };
    expect(here(labels('a'), objects)).toMatchObject({
      advertisements: [],
      problems: [expect.stringContaining('echo')],
    });
    expect(here(labels('b'), objects)).toMatchObject({ advertisements: ['ad'], problems: [] });
  });

  const opaque = { ...configured('word'), type: 'Opaque', data: {} };
  it.each<[string, ConfigObjects]>([
    ['a BFDProfile that is missing', { bgppeers: [peer('r', { ...on('a'), bfdProfile: 'later' })] }],
    ['a Secret that is missing', { bgppeers: [peer('r', { ...on('a'), passwordSecret: { name: 'later' } })] }],
    [
      'a Secret of another type',
      { bgppeers: [peer('r', { ...on('a'), passwordSecret: { name: 'word' } })], secrets: [opaque] },
    ],
    ['a peer that does not fit the schema', { bgppeers: [peer('r', { ...on('a'), peerPort: 70_000 })] }],
    ['an unknown community', { bgpadvertisements: [configured('ad', { ...on('a'), communities: ['later'] })] }],
    [
      'a broken BFDProfile',
      {
        bfdprofiles: [configured('fast', { receiveInterval: 1 })],
        bgppeers: [peer('r', { ...on('a'), bfdProfile: 'fast' })],
      },
    ],
    [
      'a broken Community',
      {
        communities: [configured('c', { communities: [{ name: 'gold', value: '70000:1' }] })],
        bgpadvertisements: [configured('ad', { ...on('a'), communities: ['gold'] })],
      },
    ],
  ])('is told of %s on the nodes that it is for', (_, objects) => {
    expect(here(labels('a'), objects).problems).not.toEqual([]);
    expect(here(labels('b'), objects).problems).toEqual([]);
    expect(resolveConfig({ secrets: [], ...objects }).problems).not.toEqual([]);
  });

  it.each<[string, object]>([
    ['a selector that has a fault', { nodeSelectors: [{ matchExpressions: [{ key: 'a', operator: 'Near' }] }] }],
    ['selectors that are none', { nodeSelectors: 'a' }],
    ['no spec that can be read', { nodeSelectors: [null] }],
  ])('is told everywhere of %s: nobody knows whom it is for', (_, spec) => {
    for (const objects of [{ bgppeers: [peer('r', spec)] }, { bgpadvertisements: [configured('ad', spec)] }])
      expect(here(labels('b'), objects).problems).not.toEqual([]);
  });

  it('is told where the last good version of a broken object is still in force', () => {
    const view = { node: labels('b') };
    const before = resolveConfig({ bgppeers: [peer('r', on('b'))] }, undefined, view);
    const { config, problems } = resolveConfig(
      { bgppeers: [peer('r', { ...on('a'), myASN: 0 })] },
      before.config,
      view,
    );
    expect(config.peers).toEqual(before.config.peers);
    expect(problems.map(formatProblem).join()).toContain('until then the last good version stays in force');
  });
});
