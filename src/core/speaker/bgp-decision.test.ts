import { describe, expect, it } from 'vitest';
import { annotated, configured, endpoints, node, pool, service, speakerPod } from '../../../test/builders.ts';
import { EMPTY_WORLD, TestSpeaker, type World } from '../../../test/test-speaker.ts';
import type { Gateway } from '../bgp/peers/peer-location.ts';
import type { Route } from '../bgp/rib/route.ts';
import { formatPrefix } from '../net/prefix.ts';

const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';
const peer = (name: string, spec: object = {}) =>
  configured(name, { myASN: 64500, peerASN: 64501, peerAddress: `192.0.2.${name.length}`, ...spec });

/** What the speaker on kube-01 gives each router, as `prefix localPref communities`, and what it says of the Service. */
function routesOf(world: World, gateways: readonly Gateway[] = []) {
  const speaker = new TestSpeaker('kube-01');
  speaker.list({
    ...EMPTY_WORLD,
    nodes: [node('kube-01', { rack: 'a' }), node('kube-02')],
    pods: [speakerPod('kube-01')],
    services: [service('web', {}, {}, ['198.51.100.7'])],
    endpointslices: [endpoints('web', 'kube-02')],
    ipaddresspools: [pool('p', ['198.51.100.0/24', '2001:db8::/64'])],
    bgpadvertisements: [configured('b')],
    bgppeers: [peer('r')],
    ...world,
  });
  speaker.feed({ kind: 'links', names: ['eth0'], fit: ['eth0'], gateways });
  const { outputs, plans } = speaker;
  return {
    peers: Object.fromEntries(plans.map((plan) => [plan.peer.name, speaker.routesOf(plan).map(inWords)])),
    targets: plans.map(({ peer: { target } }) => target),
    verdict: speaker.last('bgp-decided')?.verdict,
    events: outputs.flatMap((o) => (o.kind === 'emit-event' ? [o.message] : [])),
  };
}

function inWords({ prefix, localPref, communities, largeCommunities, prepend, med, bandwidth }: Route): string {
  return [
    formatPrefix(prefix),
    localPref,
    ...communities.map((c) => c.join(':')),
    ...largeCommunities.map((c) => c.join(':')),
    ...(prepend === undefined ? [] : [`prepend=${prepend}`]),
    ...(med === undefined ? [] : [`med=${med}`]),
    ...(bandwidth === undefined ? [] : [`bandwidth=${bandwidth / 1e9}G`]),
  ].join(' ');
}

describe('what goes beyond upstream', () => {
  it('weighs this node by its endpoints: each once for a Service, and those of Services that share a route added up', () => {
    const weighted = { 'metallb.io/link-bandwidth': 'endpoints' };
    const here = endpoints('web', 'kube-01');
    const two = { ...here, endpoints: [...(here.endpoints ?? []), ...(here.endpoints ?? [])] };
    const services = [service('web', {}, {}, ['198.51.100.7']), service('mail', {}, {}, ['198.51.100.9'])];
    const endpointslices = [two, endpoints('mail', 'kube-01')];
    const bgpadvertisements = [
      annotated(configured('a', { aggregationLength: 24 }), weighted),
      annotated(configured('b', {}), weighted),
      annotated(configured('c', { communities: ['1:1'] }), { ...weighted, 'metallb.io/med': '5' }),
    ];
    expect(routesOf({ services, endpointslices, bgpadvertisements }).peers).toEqual({
      r: [
        '198.51.100.0/24 0 bandwidth=3G',
        '198.51.100.7/32 0 1:1 med=5 bandwidth=2G',
        '198.51.100.9/32 0 1:1 med=5 bandwidth=1G',
      ],
    });
    // The shortest way and the lowest MED of several.
    const ways = [{ 'metallb.io/as-path-prepend': '3', 'metallb.io/med': '7' }, { 'metallb.io/as-path-prepend': '1' }];
    const several = ways.map((annotations, i) => annotated(configured(`w${i}`), annotations));
    expect(routesOf({ bgpadvertisements: several }).peers).toEqual({ r: ['198.51.100.7/32 0 prepend=1 med=7'] });
    const both = [{ 'metallb.io/med': '7' }, { 'metallb.io/med': '5' }, { 'metallb.io/med': '9' }];
    const three = both.map((wish, i) => annotated(configured(`m${i}`, {}), wish));
    expect(routesOf({ bgpadvertisements: three }).peers).toEqual({ r: ['198.51.100.7/32 0 med=5'] });
  });

  it('finds the router of a peer template on each node', () => {
    const template = (from: string) =>
      annotated(configured('r', { myASN: 64500, peerASN: 64501 }), { 'metallb.io/peer-address-from': from });
    const target = (from: string, nodes = [node('kube-01')]) =>
      routesOf({ bgppeers: [template(from)], nodes }, [{ address: 'fe80::1', interface: 'eth0' }]).targets[0];
    expect(target('default-gateway-ipv6')).toMatchObject({ kind: 'address', zone: 'eth0' });
    expect(target('default-gateway')).toEqual({
      kind: 'unknown',
      why: 'this node has no default gateway for IPv4',
    });
    const named = annotated(node('kube-01'), { tor: '192.0.2.9', bad: 'x' });
    expect(target('node-annotation/tor', [named])).toMatchObject({ kind: 'address', address: { value: 0xc0000209n } });
    expect(target('node-annotation/bad', [named])).toMatchObject({
      kind: 'unknown',
      why: 'the annotation bad of the Node is "x", which is not an IP address',
    });
    expect(target('node-annotation/other', [named])).toMatchObject({ kind: 'unknown' });
  });
});

describe('what routers are told', () => {
  it('is the address of each Service, from every node, whoever has the endpoints', () => {
    const { peers, verdict, events } = routesOf({});
    expect(peers).toEqual({ r: ['198.51.100.7/32 0'] });
    expect(verdict).toBe('announced');
    expect(events).toEqual(['announcing from node "kube-01" with protocol "bgp"']);
  });

  it('is cut to the aggregation length, with preference and communities, for those that are named', () => {
    const bgpadvertisements = [
      configured('hosts', { communities: ['64500:2', '64500:1', 'large:1:2:3'] }),
      configured('nets', { aggregationLength: 26, aggregationLengthV6: 64, localPref: 200, peers: ['rr'] }),
    ];
    const services = [service('web', {}, {}, ['198.51.100.70', '2001:db8::7'])];
    expect(routesOf({ bgpadvertisements, services, bgppeers: [peer('r'), peer('rr')] }).peers).toEqual({
      r: ['198.51.100.70/32 0 64500:1 64500:2 1:2:3', '2001:db8::7/128 0 64500:1 64500:2 1:2:3'],
      rr: [
        '198.51.100.64/26 200',
        '198.51.100.70/32 0 64500:1 64500:2 1:2:3',
        '2001:db8::/64 200',
        '2001:db8::7/128 0 64500:1 64500:2 1:2:3',
      ],
    });
  });

  it('comes once where several Services or advertisements ask for it, with the communities of all', () => {
    const services = [service('a', {}, {}, ['198.51.100.1']), service('b', {}, {}, ['198.51.100.2'])];
    const endpointslices = [endpoints('a', 'kube-01'), endpoints('b', 'kube-01')];
    const bgpadvertisements = [
      configured('one', { aggregationLength: 24, communities: ['1:1'] }),
      configured('two', { aggregationLength: 24, communities: ['1:2'] }),
    ];
    expect(routesOf({ services, endpointslices, bgpadvertisements }).peers).toEqual({
      r: ['198.51.100.0/24 0 1:1 1:2'],
    });
  });

  it('goes to the routers that are for this node only', () => {
    const bgppeers = [
      peer('r', { nodeSelectors: [{ matchLabels: { rack: 'b' } }] }),
      peer('rr', { nodeSelectors: [{ matchLabels: { rack: 'a' } }] }),
    ];
    expect(Object.keys(routesOf({ bgppeers }).peers)).toEqual(['rr']);
  });

  it.each<[string, World]>([
    ['not-selected', { bgpadvertisements: [configured('b', { nodeSelectors: [{ matchLabels: { rack: 'b' } }] })] }],
    ['no-advertisement', { bgpadvertisements: [configured('b', { serviceSelectors: [{ matchLabels: { a: 'b' } }] })] }],
    [
      'conflicting-advertisements',
      {
        bgpadvertisements: [
          configured('b', { localPref: 1 }),
          configured('c', { localPref: 2, serviceSelectors: [{}] }),
        ],
      },
    ],
    ['excluded-by-label', { nodes: [node('kube-01', { [EXCLUDED]: '' })] }],
    ['no-local-endpoint', { services: [service('web', { externalTrafficPolicy: 'Local' }, {}, ['198.51.100.7'])] }],
    ['no-endpoints', { endpointslices: [] }],
  ])('is nothing of a Service when: %s', (verdict, world) => {
    const result = routesOf(world);
    expect(result).toMatchObject({ peers: { r: [] }, verdict, events: [] });
  });

  it('leaves a Service without a BGPAdvertisement alone', () => {
    expect(routesOf({ bgpadvertisements: [] })).toMatchObject({ peers: { r: [] }, verdict: undefined });
  });
});
