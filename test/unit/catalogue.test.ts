/**
 * Every word of the catalogue of reasons has a situation in which it is said: what nothing can bring about does not belong there.
 */
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/adapters/sha256.ts';
import type { KubernetesObject } from '../../src/core/api/kubernetes.ts';
import { CONFIG_RESOURCES } from '../../src/core/config/resolve.ts';
import { SURROUNDINGS_DELAY } from '../../src/core/controller/look-around.ts';
import {
  type Candidate,
  type Contest,
  EXCLUDE_LABEL,
  elect,
  type Lot,
  type NodeVerdict,
} from '../../src/core/election/election.ts';
import type { PoolVerdict } from '../../src/core/ipam/request.ts';
import { configMapMachine, initialConfigMap } from '../../src/core/migration/config-map-follower.ts';
import { explainService } from '../../src/core/offline/explain.ts';
import { OfflineController } from '../../src/core/offline/offline-controller.ts';
import type { UnservedReason } from '../../src/core/reasons/allocation.ts';
import {
  BGP_VERDICTS,
  type BgpVerdict,
  EVENT_TYPES,
  type EventReason,
  NODE_VERDICTS,
} from '../../src/core/reasons/reasons.ts';
import { speakerMachine } from '../../src/core/speaker/fsm.ts';
import {
  initialSpeaker,
  SPEAKER_DEFAULTS,
  SPEAKER_RESOURCES,
  type SpeakerInput,
  type SpeakerResource,
  type SpeakerSettings,
} from '../../src/core/speaker/state.ts';
import { candidate, configured, endpoints, l2Advertisement, node, pool, service, speakerPod } from '../builders.ts';
import { controller } from '../controller.ts';

type Services = readonly ReturnType<typeof service>[];
type Meta = Parameters<typeof service>[2];

const DUAL = { clusterIPs: ['10.0.0.1', 'fd00::1'] };
const annotated = (name: string, value: string): Meta => ({ annotations: { [`metallb.io/${name}`]: value } });
const ALL_POOLS = pool('p', ['192.0.2.0/30']);

/** Reasons of the Events of a controller that finds this. */
function told(services: Services, pools: readonly KubernetesObject[] = [ALL_POOLS], lan: object = {}): string[] {
  const c = controller({ services, pools });
  c.configure('l2advertisements', configured('lan', lan));
  c.wait(SURROUNDINGS_DELAY);
  return c.events.map((text) => /^\S+ (.+?): /.exec(text)![1]!);
}

const ADDRESS = '192.0.2.1';

/** What the speaker of kube-01 says after these inputs. */
function spoken(
  world: Partial<Record<SpeakerResource, readonly KubernetesObject[]>>,
  inputs: readonly SpeakerInput[] = [],
  settings: Partial<SpeakerSettings> = {},
): { events: string[]; verdicts: string[] } {
  const machine = speakerMachine(sha256);
  let state = initialSpeaker({ ...SPEAKER_DEFAULTS, node: 'kube-01', ...settings });
  const [events, verdicts]: [string[], string[]] = [[], []];
  let now = 0;
  const feed = (input: SpeakerInput | { kind: 'tick' }) => {
    const { next, outputs } = machine.step(state, input, now);
    state = next;
    for (const output of outputs) {
      if (output.kind === 'emit-event') events.push(output.reason);
      if (output.kind === 'bgp-decided' && output.verdict !== undefined) verdicts.push(output.verdict);
    }
  };
  feed({ kind: 'links', names: ['eth0'], fit: ['eth0'] });
  const all = {
    nodes: [node('kube-01')],
    pods: [speakerPod('kube-01')],
    services: [service('web', {}, {}, [ADDRESS])],
    endpointslices: [endpoints('web', 'kube-01')],
    ipaddresspools: [ALL_POOLS],
    ...world,
  };
  for (const resource of SPEAKER_RESOURCES) feed({ kind: 'replaced', resource, objects: all[resource] ?? [] });
  for (const input of inputs) feed(input);
  const due = machine.nextDeadline(state);
  if (due !== undefined) {
    now = due.at;
    feed({ kind: 'tick' });
  }
  return { events, verdicts };
}

const L2 = { l2advertisements: [configured('l2')] };
const PEER = configured('r', { myASN: 1, peerASN: 2, peerAddress: '198.51.100.1' });
const BGP = { bgpadvertisements: [configured('b')], bgppeers: [PEER] };

/** Reasons of what is told of a ConfigMap that is followed. */
function followed(): string[] {
  let state = initialConfigMap('config', 'metallb-system');
  const told: string[] = [];
  const feed = (input: Parameters<typeof configMapMachine.step>[1]) => {
    const { next, outputs } = configMapMachine.step(state, input, 0);
    state = next;
    for (const output of outputs) if (output.kind === 'emit-event') told.push(output.note.reason);
  };
  for (const resource of CONFIG_RESOURCES) feed({ kind: 'replaced', resource, objects: [] });
  const value = { 'address-pools': [{ name: 'a', protocol: 'layer2', addresses: ['192.0.2.0/28'] }] };
  feed({ kind: 'config-map', configMap: configured('config'), document: { kind: 'read', value } });
  return told;
}

const EVENTS: Readonly<Record<EventReason, () => readonly string[]>> = {
  IPAllocated: () => told([service('a')]),
  ClearAssignment: () => told([service('a', {}, {}, ['203.0.113.1'])]),
  AdditionalAssignFailed: () => told([service('a', { ...DUAL, ipFamilyPolicy: 'PreferDualStack' })]),
  AllocationFailed: () => told([service('a')], []),
  LoadBalancerFailed: () => told([service('a', { loadBalancerIP: 'x' })]),
  'not enough clusterips': () => told([service('a', { ipFamilyPolicy: 'RequireDualStack' })]),
  noclusterIPsIPFamily: () => told([service('a', { clusterIPs: ['10.0.0.1', '10.0.0.2'] })]),
  notAdvertised: () => told([service('a')], undefined, { ipAddressPools: ['other'] }),
  foreignAddress: () => told([service('a', { clusterIP: '192.0.2.0', clusterIPs: ['192.0.2.0'] })]),
  nolbIPsIPFamily: () => told([service('a', {}, {}, ['192.0.2.0', '192.0.2.1', '192.0.2.2'])]),
  deprecatedAnnotation: () => told([service('a', {}, { annotations: { 'metallb.universe.tf/address-pool': 'p' } })]),
  unknownAnnotation: () => told([service('a', {}, annotated('pool', 'p'))]),
  nodeAssigned: () => spoken(L2).events,
  announceFailed: () => spoken({ l2advertisements: [configured('l2', { interfaces: ['wlan0'] })] }).events,
  duplicateAddress: () =>
    spoken(L2, [{ kind: 'conflict', address: ADDRESS, mac: '02:00:00:00:00:01', interface: 'eth0', claimants: 1 }])
      .events,
  addressDisputed: () => spoken(L2, [{ kind: 'disputed', address: ADDRESS, node: 'node-2', yielded: true }]).events,
  InvalidConfiguration: () => told([], [pool('p', ['x'])]),
  ConfigurationConverted: followed,
};

describe('every reason of an Event is given by something:', () => {
  it.each(Object.keys(EVENT_TYPES) as EventReason[])('%s', (reason) => {
    expect(EVENTS[reason]()).toContain(reason);
  });
});

const theirs = { serviceAllocation: { namespaces: ['elsewhere'] } };
const wish = (address: string) => annotated('loadBalancerIPs', address);
const keyed = (key: string, more: Meta = {}): Meta => ({
  annotations: { 'metallb.io/allow-shared-ip': key, ...more?.annotations },
});
const held = (meta: Meta = {}, spec: object = {}) => service('held', spec, meta, ['192.0.2.1']);
const local = (app: string) => ({ externalTrafficPolicy: 'Local', selector: { app } });
const one = [pool('p', ['192.0.2.1/32'])];

/** Why Service `s` has no address, by the word that metrics have for it, beside others. */
function unserved(
  pools: readonly KubernetesObject[],
  spec: object = {},
  meta: Meta = {},
  others: Services = [],
  shareAcrossNamespaces = true,
): UnservedReason | undefined {
  const c = controller({ pools, services: [...others, service('s', spec, meta)], shareAcrossNamespaces });
  return c.unserved('s');
}

const REFUSED: Readonly<Record<Exclude<UnservedReason, Good>, () => UnservedReason | undefined>> = {
  exhausted: () => unserved(one, {}, {}, [held()]),
  'wrong-family': () => unserved([pool('p', ['2001:db8::/126'])]),
  'one-family-only': () => unserved(one, { ...DUAL, ipFamilyPolicy: 'RequireDualStack' }),
  'only-avoided': () => unserved([pool('p', ['192.0.2.0/32'], { avoidBuggyIPs: true })]),
  'auto-assign-off': () => unserved([pool('p', ['192.0.2.1/32'], { autoAssign: false })]),
  'not-selected': () => unserved([pool('p', ['192.0.2.1/32'], theirs)]),
  'no-such-pool': () => unserved([ALL_POOLS], {}, annotated('address-pool', 'q')),
  'set-aside': () => unserved([pool('p', ['x'])]),
  'in-use': () => unserved([ALL_POOLS], {}, wish('192.0.2.1'), [held()]),
  'no-key': () => unserved([ALL_POOLS], {}, wish('192.0.2.1'), [held(keyed('k'))]),
  'holder-has-no-key': () => unserved([ALL_POOLS], {}, keyed('k', wish('192.0.2.1')), [held()]),
  'other-namespace': () =>
    unserved([ALL_POOLS], {}, keyed('k', wish('192.0.2.1')), [held({ ...keyed('k'), namespace: 'theirs' })], false),
  'other-key': () => unserved([ALL_POOLS], {}, keyed('k', wish('192.0.2.1')), [held(keyed('l'))]),
  'other-endpoints': () => unserved(one, local('x'), keyed('k'), [held(keyed('k'), local('y'))]),
  'port-clash': () => unserved(one, {}, keyed('k'), [held(keyed('k'))]),
  'not-in-a-pool': () => unserved([ALL_POOLS], {}, wish('203.0.113.1')),
  buggy: () => unserved([pool('p', ['192.0.2.0/30'], { avoidBuggyIPs: true })], {}, wish('192.0.2.0')),
  'different-pools': () => unserved([ALL_POOLS, pool('q', ['2001:db8::/126'])], DUAL, wish('192.0.2.1,2001:db8::1')),
  'other-pool': () =>
    unserved(
      [ALL_POOLS, pool('q', ['198.51.100.0/30'])],
      {},
      {
        annotations: { ...wish('192.0.2.1')?.annotations, 'metallb.io/address-pool': 'q' },
      },
    ),
  'requested-families': () => unserved([ALL_POOLS], DUAL, wish('192.0.2.1')),
  'no-pool': () => unserved([]),
  'bad-request': () => unserved([ALL_POOLS], {}, wish('x')),
  'cluster-ips': () => unserved([ALL_POOLS], { clusterIP: 'None', clusterIPs: ['None'] }),
  'not-enough-cluster-ips': () => unserved([ALL_POOLS], { ipFamilyPolicy: 'RequireDualStack' }),
};

/** Verdicts on a pool that are no reason to have no address: `explain` alone shows them. */
type Good = 'chosen' | 'usable' | 'outranked' | 'not-asked-for' | 'outside' | 'avoids';

describe('every reason for having no address keeps somebody from one:', () => {
  it.each(Object.keys(REFUSED) as (keyof typeof REFUSED)[])('%s', (reason) => {
    expect(REFUSED[reason]()).toBe(reason);
  });
});

const explained = (meta: Meta, services: Services, poolSpec: object = {}) =>
  explainService(
    {
      ipaddresspools: [pool('p', ['192.0.2.0/30'], poolSpec), pool('q', ['198.51.100.0/30'])],
      services: [...services, service('s', {}, meta)],
    },
    'default/s',
    '',
    sha256,
  )!.pools.map(({ verdict }) => verdict);

const EXPLAINED: Readonly<Record<Good, () => readonly PoolVerdict[]>> = {
  chosen: () => explained({}, []),
  usable: () =>
    new OfflineController({ ipaddresspools: one }, { loadBalancerClass: '' }).allocator
      .examine(REQUEST)
      .map(({ verdict }) => verdict),
  outranked: () =>
    new OfflineController(
      { ipaddresspools: [...one, pool('q', ['198.51.100.0/30'])] },
      { loadBalancerClass: '' },
    ).allocator
      .examine(REQUEST)
      .map(({ verdict }) => verdict),
  'not-asked-for': () => explained(annotated('address-pool', 'p'), []),
  outside: () => explained(wish('192.0.2.1'), []),
  avoids: () => explained(wish('192.0.2.0'), [], { avoidBuggyIPs: true }),
};
const REQUEST = {
  service: 'default/s',
  namespace: 'default',
  labels: {},
  families: ['ipv4'],
  requireBoth: true,
  use: { sharingKey: '', backendKey: '', ports: [] },
} as const;

describe('every other verdict on a pool is found by explain:', () => {
  it.each(Object.keys(EXPLAINED) as Good[])('%s', (verdict) => {
    expect(EXPLAINED[verdict]()).toContain(verdict);
  });
});

const advertisement = l2Advertisement;
const COMMON: Contest = {
  advertisements: [advertisement()],
  anyEndpoint: true,
  sharesAddress: false,
  ignoreExcludeLabel: false,
  fenced: false,
};
const elected = (contest: Partial<Contest>, second: Partial<Candidate> = {}, more: Partial<Lot> = {}) => {
  const lot = {
    address: ADDRESS,
    nodes: new Set<string>(),
    contests: [{ ...COMMON, ...contest }],
    kin: new Set<string>(),
  };
  const nodes = [candidate('a'), candidate('b', second)];
  return elect({ ...lot, ...more }, nodes, sha256).checks.map(({ verdict }) => verdict);
};
const selecting = { nodeSelectors: [{ matchLabels: { a: 'b' } }] };

const NODES: Readonly<Record<NodeVerdict, () => readonly string[]>> = {
  owner: () => elected({}),
  'lost-election': () => elected({}),
  'serves-fewer': () => elected({}, {}, { contests: [COMMON, { ...COMMON, localNodes: new Set(['a']) }] }),
  'address-of-node': () => elected({}, {}, { nodes: new Set(['a']) }),
  drained: () => elected({}, { drained: true }),
  unsteady: () => elected({}, { speaker: 'unsteady' }),
  'no-link': () => elected({ advertisements: [advertisement({ interfaces: ['eth0'] })] }, { links: [] }),
  fenced: () => elected({ fenced: true }),
  'no-endpoints': () => elected({ anyEndpoint: false }),
  'shared-with-selectors': () =>
    elected({
      sharesAddress: true,
      advertisements: [advertisement({ serviceSelectors: [{ matchLabels: { a: 'b' } }] })],
    }),
  'no-advertisement': () => elected({ advertisements: [] }),
  'not-selected': () => elected({ advertisements: [advertisement(selecting)] }),
  'speaker-not-alive': () => elected({}, { speaker: 'dead' }),
  'speaker-passive': () => elected({}, { speaker: 'passive' }),
  'network-unavailable': () => elected({}, { networkUnavailable: true }),
  'excluded-by-label': () => elected({}, { labels: { [EXCLUDE_LABEL]: '' } }),
  'no-local-endpoint': () => elected({ localNodes: new Set(['a']) }),
};

describe('every verdict on a node falls in some election:', () => {
  it.each(Object.keys(NODE_VERDICTS) as NodeVerdict[])('%s', (verdict) => {
    expect(NODES[verdict]()).toContain(verdict);
  });
});

const two = { ...BGP, nodes: [node('kube-01'), node('kube-02')], pods: [speakerPod('kube-01'), speakerPod('kube-02')] };
const draining = {
  ...node('kube-01'),
  metadata: { ...node('kube-01').metadata, annotations: { 'metallb.io/drain': '' } },
};
const unavailable = { ...node('kube-01'), status: { conditions: [{ type: 'NetworkUnavailable', status: 'True' }] } };

const ROUTES: Readonly<Record<BgpVerdict, () => readonly string[]>> = {
  announced: () => spoken(BGP).verdicts,
  drained: () => spoken({ ...two, nodes: [draining, node('kube-02')] }).verdicts,
  fenced: () =>
    spoken(BGP, [{ kind: 'liveness', view: { nodes: [], quorum: false } }], { fenced: true, liveness: true }).verdicts,
  'not-selected': () => spoken({ ...BGP, bgpadvertisements: [configured('b', selecting)] }).verdicts,
  'no-advertisement': () =>
    spoken({ ...BGP, bgpadvertisements: [configured('b', { serviceSelectors: [{ matchLabels: { a: 'b' } }] })] })
      .verdicts,
  'conflicting-advertisements': () =>
    spoken({
      ...BGP,
      services: [service('web', {}, { labels: { a: 'b', c: 'd' } }, [ADDRESS])],
      bgpadvertisements: [
        configured('b', { localPref: 1, serviceSelectors: [{ matchLabels: { a: 'b' } }] }),
        configured('c', { localPref: 2, serviceSelectors: [{ matchLabels: { c: 'd' } }] }),
      ],
    }).verdicts,
  'network-unavailable': () => spoken({ ...BGP, nodes: [unavailable] }).verdicts,
  'excluded-by-label': () => spoken({ ...BGP, nodes: [node('kube-01', { [EXCLUDE_LABEL]: '' })] }).verdicts,
  'no-local-endpoint': () =>
    spoken({
      ...BGP,
      services: [service('web', { externalTrafficPolicy: 'Local' }, {}, [ADDRESS])],
      endpointslices: [endpoints('web', 'kube-02')],
    }).verdicts,
  'no-endpoints': () => spoken({ ...BGP, endpointslices: [] }).verdicts,
};

describe('every verdict of BGP falls on some node:', () => {
  it.each(Object.keys(BGP_VERDICTS) as BgpVerdict[])('%s', (verdict) => {
    expect(ROUTES[verdict]()).toContain(verdict);
  });
});
