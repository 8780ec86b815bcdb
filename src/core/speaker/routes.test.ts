import { describe, expect, it } from 'vitest';
import { annotated, configured, endpoints, node, pool, service } from '../../../test/builders.ts';
import { EMPTY_WORLD, eventsOf, TestSpeaker, type World } from '../../../test/test-speaker.ts';
import { sha256 } from '../../adapters/sha256.ts';
import { type KubernetesObject, objectKey } from '../api/kubernetes.ts';
import { formatPrefix } from '../net/prefix.ts';
import { compareWithCluster } from '../offline/differences.ts';
import { explainService } from '../offline/explain.ts';
import type { SpeakerInput, SpeakerSettings } from './state.ts';

const ADDRESS = '198.51.100.7';
const PEER = { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.1' };

const WORLD: World = {
  ...EMPTY_WORLD,
  nodes: [node('kube-01'), node('kube-02'), node('kube-03')],
  services: [service('web', {}, {}, [ADDRESS])],
  endpointslices: [endpoints('web', 'kube-01')],
  ipaddresspools: [pool('p', ['198.51.100.0/24'])],
  bgpadvertisements: [configured('b')],
  bgppeers: ['r', 's'].map((name, i) => configured(name, { ...PEER, peerAddress: `192.0.2.${i + 1}` })),
};

const drained = (name: string): KubernetesObject => annotated(node(name), { 'metallb.io/drain': 'yes' });

/** The speaker of kube-01. */
class Speaker extends TestSpeaker {
  #read = 0;

  constructor(world: World = {}, settings: Partial<SpeakerSettings> = {}) {
    super('kube-01', settings);
    this.list({ ...WORLD, ...world });
  }

  /** Of its first router, as `prefix`, or `prefix going`. */
  routes(): string[] {
    return this.routesOf(this.plans[0]!).map(
      ({ prefix, gracefulShutdown }) => `${formatPrefix(prefix)}${gracefulShutdown ? ' going' : ''}`,
    );
  }

  verdict(): string | undefined {
    return this.last('bgp-decided')?.verdict;
  }

  /** Since they were asked for last. */
  events(): string[] {
    const news = eventsOf(this.outputs.slice(this.#read));
    this.#read = this.outputs.length;
    return news;
  }
}

const silent = (...peers: string[]): SpeakerInput => ({
  kind: 'silence',
  peers: peers.map((peer) => ({ peer, why: 'the router does not answer' })),
});
const unheard = (...names: string[]): SpeakerInput => ({
  kind: 'liveness',
  view: {
    nodes: ['kube-02', 'kube-03'].map((name) => ({
      node: name,
      state: 'alive',
      links: undefined,
      unheard: names.includes(name),
    })),
    quorum: true,
  },
});

describe('a drained node', () => {
  it('asks routers to come by others, waits, and then withdraws; and comes back', () => {
    const one = new Speaker({}, { drainWait: 7000 });
    expect(one.routes()).toEqual([`${ADDRESS}/32`]);
    one.apply(drained('kube-01'), 'nodes');
    expect(one.routes()).toEqual([`${ADDRESS}/32 going`]);
    expect(one.wait()).toBe(true);
    expect(one.now).toBe(8000);
    expect([one.routes(), one.verdict()]).toEqual([[], 'drained']);
    expect(one.wait()).toBe(false);
    one.apply(node('kube-01'), 'nodes');
    expect([one.routes(), one.verdict()]).toEqual([[`${ADDRESS}/32`], 'announced']);
  });

  it('goes on doing what no other node can', () => {
    const local = service('own', { externalTrafficPolicy: 'Local' }, {}, ['198.51.100.9']);
    const services = [...WORLD.services!, local];
    const one = new Speaker({ services, endpointslices: [endpoints('web', 'kube-01'), endpoints('own', 'kube-01')] });
    one.apply(drained('kube-01'), 'nodes');
    one.wait();
    expect(one.routes()).toEqual(['198.51.100.9/32 going']);
    // Another endpoint, on a node that is not to be emptied: now it can go.
    one.apply(endpoints('own', 'kube-01', 'kube-02'), 'endpointslices');
    expect(one.routes()).toEqual([]);
    for (const other of ['kube-02', 'kube-03']) one.apply(drained(other), 'nodes');
    expect(one.routes()).toEqual([`${ADDRESS}/32 going`, '198.51.100.9/32 going']);
  });

  it('does not leave to nodes that no router hears', () => {
    const one = new Speaker();
    one.feed(unheard('kube-02', 'kube-03'));
    one.apply(drained('kube-01'), 'nodes');
    one.wait();
    expect(one.routes()).toEqual([`${ADDRESS}/32 going`]);
    one.feed(unheard('kube-02'));
    expect(one.routes()).toEqual([]);
  });

  it('whose speaker starts does not announce for a moment what it would withdraw', () => {
    const one = new Speaker({ nodes: [drained('kube-01'), node('kube-02')] });
    expect([one.routes(), one.wait()]).toEqual([[], false]);
  });
});

describe('what concerns other nodes', () => {
  const on = (label: string) => ({ nodeSelectors: [{ matchLabels: { [label]: '' } }] });
  const LABELS = { 'kube-01': { a: '' }, 'kube-02': { a: '', b: '' }, 'kube-03': { b: '' } };
  const nodes = Object.entries(LABELS).map(([name, labels]) => node(name, labels));
  const bgppeers = [configured('old', { ...PEER, ...on('a') }), configured('young', { ...PEER, ...on('b') })];
  const bgpadvertisements = [
    configured('old', { localPref: 100, ...on('a') }),
    configured('young', { localPref: 200, ...on('b') }),
  ];
  const plansOf = (name: string) => {
    const one = new Speaker({ nodes, bgppeers, bgpadvertisements }, { node: name });
    return {
      peers: one.plans.map(({ peer }) => peer.name),
      preferences: one
        .last('bgp')!
        .routes.flatMap((update) =>
          update.kind === 'snapshot' ? update.routes.map(({ localPref }) => localPref) : [],
        ),
      problems: one.last('configuration')!.problems.map(({ object }) => `${object.kind} ${object.name}`),
    };
  };

  it('harms no other: of what clashes on one node, the older object is in force there', () => {
    expect(plansOf('kube-01')).toEqual({ peers: ['old'], preferences: [100], problems: [] });
    const problems = ['BGPPeer young', 'BGPAdvertisement young'];
    expect(plansOf('kube-02')).toEqual({ peers: ['old'], preferences: [100], problems });
    expect(plansOf('kube-03')).toEqual({ peers: ['young'], preferences: [200], problems: [] });
  });

  it.each([
    ['kube-02', 'kube-01'],
    ['kube-02', 'kube-03'],
    ['kube-01', 'kube-02'],
    ['kube-03', 'kube-02'],
  ])('is known when %s is drained: %s announces the Service, though one of the two has a conflict', (own, other) => {
    const two = nodes.filter(({ metadata: { name } }) => name === own || name === other);
    const one = new Speaker({ nodes: two, bgppeers, bgpadvertisements }, { node: own });
    const { metadata } = drained(own);
    one.apply({ ...node(own), metadata: { ...metadata, labels: LABELS[own as 'kube-01'] } }, 'nodes');
    one.wait();
    expect([one.routes(), one.verdict()]).toEqual([[], 'drained']);
  });

  it('is explained for each node, and is no difference to what its speaker does', () => {
    const objects = { ...WORLD, nodes, bgppeers, bgpadvertisements };
    const { bgp } = explainService(objects, 'default/web', '', sha256)!;
    expect(bgp.map(({ node: name, verdict, peers }) => [name, verdict, peers])).toEqual([
      ['kube-01', 'announced', ['old']],
      ['kube-02', 'announced', ['old']],
      ['kube-03', 'announced', ['young']],
    ]);
    expect(bgp[1]!.routes).toEqual([
      { peer: 'old', prefix: `${ADDRESS}/32`, attributes: ['local preference 100 inside the AS'] },
      { peer: 'young', prefix: `${ADDRESS}/32`, whyNot: 'an older BGPPeer of the node is the same router' },
    ]);
    const servicebgpstatuses = bgp.map(({ node: name, peers }) => ({
      ...configured(name),
      status: { node: name, peers, serviceName: 'web', serviceNamespace: 'default' },
    }));
    expect(compareWithCluster({ ...objects, servicebgpstatuses }, ['bgp'], '', sha256).differences).toEqual([]);
  });

  it('makes nobody resolve again: labels of other nodes are theirs', () => {
    const one = new Speaker({ nodes });
    const before = one.last('configuration');
    one.apply(node('kube-03', { a: '', c: '' }), 'nodes');
    one.apply(node('kube-04', { a: '' }), 'nodes');
    expect(one.last('configuration')).toBe(before);
    one.apply(node('kube-01', { c: '' }), 'nodes');
    expect(one.last('configuration')).not.toBe(before);
  });
});

describe('--frrk8s-secret-passthrough', () => {
  const withSecret = { ...WORLD.bgppeers![0]!, spec: { ...PEER, passwordSecret: { name: 'there' } } };
  const opaque = { ...configured('there'), type: 'Opaque', data: {} };
  const told = (secretPassthrough: boolean, secrets: KubernetesObject[]) => {
    const settings = { bgpEngine: 'frr-k8s', secretPassthrough } as const;
    const one = new Speaker({ bgppeers: [withSecret], secrets }, settings);
    return [one.plans.map(({ peer }) => peer.passwordSecret), one.last('configuration')!.problems.length];
  };

  it('does not look at Secrets, which are where frr-k8s is', () => {
    for (const secrets of [[], [opaque]]) {
      expect(told(true, secrets)).toEqual([[{ name: 'there' }], 0]);
      expect(told(false, secrets)).toEqual([[], 1]);
    }
  });
});

describe('routers of a node', () => {
  const peers = (one: Speaker) => one.plans.map(({ peer: { name } }) => name);

  it('go with their BGPPeers, though no Service was ever announced', () => {
    const one = new Speaker({ services: [], endpointslices: [] });
    expect(peers(one)).toEqual(['r', 's']);
    for (const key of ['metallb-system/r', 'metallb-system/s'])
      one.feed({
        kind: 'deleted',
        resource: 'bgppeers',
        object: WORLD.bgppeers!.find((each) => objectKey(each) === key)!,
      });
    expect(peers(one)).toEqual([]);
  });

  it('are told what has changed, and not what they know', () => {
    const one = new Speaker();
    expect(one.last('bgp')!.routes).toMatchObject([{ kind: 'snapshot', routes: [{}] }]);
    const { plans } = one.last('bgp')!;
    one.apply(service('more', {}, {}, ['198.51.100.9']), 'services');
    one.apply(endpoints('more', 'kube-01'), 'endpointslices');
    expect(one.last('bgp')).toMatchObject({ routes: [{ kind: 'delta', changed: [{}], withdrawn: [] }] });
    expect(one.last('bgp')!.plans).toBe(plans);
    one.feed({ kind: 'deleted', resource: 'services', object: service('more', {}, {}, ['198.51.100.9']) });
    expect(one.last('bgp')).toMatchObject({ routes: [{ changed: [], withdrawn: ['198.51.100.9/32'] }] });
  });
});

describe('a Service that no router hears of', () => {
  const GOOD = 'nodeAssigned: announcing from node "kube-01" with protocol "bgp"';
  const BAD = `announceFailed: no router hears of ${ADDRESS}/32: node "kube-01" announces it and has no BGP session, nor has any other node that could; r: the router does not answer; s: the router does not answer`;
  const local: World = { services: [service('web', { externalTrafficPolicy: 'Local' }, {}, [ADDRESS])] };

  it('is told of, once, when the only node with an endpoint has lost its sessions, and when that is over', () => {
    const one = new Speaker(local);
    one.feed(unheard());
    expect(one.events()).toEqual([GOOD]);
    one.feed(silent('r'));
    expect(one.events()).toEqual([]);
    one.feed(silent('r', 's'));
    expect(one.events()).toEqual([BAD]);
    one.feed(silent('s', 'r'));
    expect(one.events()).toEqual([]);
    one.feed(silent());
    expect(one.events()).toEqual([GOOD]);
  });

  it('is none as long as another node announces it to routers', () => {
    const one = new Speaker();
    one.feed(unheard('kube-02'));
    one.events();
    one.feed(silent('r', 's'));
    expect(one.events()).toEqual([]);
    one.feed(unheard('kube-02', 'kube-03'));
    expect(one.events()).toEqual([BAD]);
  });

  it('is told of by one node of several', () => {
    const one = new Speaker({ nodes: [node('kube-00'), ...WORLD.nodes!] });
    const all = unheard('kube-02', 'kube-03') as Extract<SpeakerInput, { kind: 'liveness' }>;
    const first = { node: 'kube-00', state: 'alive', links: undefined, unheard: true } as const;
    one.feed({ kind: 'liveness', view: { nodes: [first, ...all.view.nodes], quorum: true } });
    one.events();
    one.feed(silent('r', 's'));
    expect(one.events()).toEqual([]);
  });

  it('is explained by what the speakers say of their sessions', () => {
    const session = (name: string, peer: string, state: string) => ({
      ...configured(`${name}-${peer}`),
      status: { node: name, peer, state },
    });
    const explain = (...bgpsessionstatuses: KubernetesObject[]) =>
      explainService({ ...WORLD, ...local, bgpsessionstatuses }, 'default/web', '', sha256)!.unheard;
    expect(explain()).toBe(false);
    const [down, elsewhere] = [session('kube-01', 'r', 'Active'), session('kube-02', 'r', 'Established')];
    expect(explain(down, session('kube-01', 's', 'Active'), elsewhere)).toBe(true);
    expect(explain(down, session('kube-01', 's', 'Established'))).toBe(false);
  });
});
