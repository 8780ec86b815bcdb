import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { configured, endpoints, node, pool, service, speakerPod } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatPrefix } from '../net/prefix.ts';
import {
  initialSpeaker,
  type PeerPlan,
  SPEAKER_DEFAULTS,
  SPEAKER_RESOURCES,
  type SpeakerOutput,
  type SpeakerResource,
  speakerMachine,
} from './speaker.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest();
type World = Partial<Record<SpeakerResource, readonly KubernetesObject[]>>;
const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';
const peer = (name: string, spec: object = {}) =>
  configured(name, { myASN: 64500, peerASN: 64501, peerAddress: `192.0.2.${name.length}`, ...spec });

/** What the speaker on kube-01 gives each router, as `prefix localPref communities`, and what it says of the Service. */
function routesOf(world: World) {
  const machine = speakerMachine(sha256);
  let state = initialSpeaker({ ...SPEAKER_DEFAULTS, node: 'kube-01' });
  const outputs: SpeakerOutput[] = [];
  const all: World = {
    ...Object.fromEntries(SPEAKER_RESOURCES.map((resource) => [resource, []])),
    nodes: [node('kube-01', { rack: 'a' }), node('kube-02')],
    pods: [speakerPod('kube-01')],
    services: [service('web', {}, {}, ['198.51.100.7'])],
    endpointslices: [endpoints('web', 'kube-02')],
    ipaddresspools: [pool('p', ['198.51.100.0/24', '2001:db8::/64'])],
    bgpadvertisements: [configured('b')],
    bgppeers: [peer('r')],
    ...world,
  };
  for (const [resource, objects] of Object.entries(all)) {
    const result = machine.step(state, { kind: 'replaced', resource: resource as SpeakerResource, objects }, 0);
    state = result.next;
    outputs.push(...result.outputs);
  }
  const plans: readonly PeerPlan[] = outputs.flatMap((o) => (o.kind === 'bgp' ? [o.plans] : [])).at(-1) ?? [];
  const show = ({ routes }: PeerPlan) =>
    routes.map(({ prefix, localPref, communities, largeCommunities }) =>
      [
        formatPrefix(prefix),
        localPref,
        ...communities.map((c) => c.join(':')),
        ...largeCommunities.map((c) => c.join(':')),
      ].join(' '),
    );
  return {
    peers: Object.fromEntries(plans.map((plan) => [plan.peer.name, show(plan)])),
    verdict: outputs.flatMap((o) => (o.kind === 'bgp-decided' ? [o.verdict] : [])).at(-1),
    events: outputs.flatMap((o) => (o.kind === 'emit-event' ? [o.message] : [])),
  };
}

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
