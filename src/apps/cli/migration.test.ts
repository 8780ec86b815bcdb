import { describe, expect, it } from 'vitest';
import { configured, endpoints, namespace, node, pool, service } from '../../../test/builders.ts';
import { CONFIG_RESOURCES } from '../../core/config/resolve.ts';
import { CONTROLLER_FLAGS, SPEAKER_FLAGS } from './flags.ts';
import { examineMigration } from './migration.ts';
import type { Snapshot, Workload } from './snapshot.ts';

const NOTHING: Snapshot = {
  ...(Object.fromEntries(CONFIG_RESOURCES.map((resource) => [resource, []])) as unknown as Snapshot),
  services: [],
  endpointslices: [],
  nodes: [],
  namespaces: [],
  pods: [],
  secrets: [],
  servicel2statuses: [],
  servicebgpstatuses: [],
  bgpsessionstatuses: [],
};
/** Two Services, one of which has an address that is in no pool. */
const CLUSTER: Snapshot = {
  ...NOTHING,
  ipaddresspools: [pool('p', ['192.0.2.0/30'])],
  l2advertisements: [configured('l2')],
  namespaces: [namespace('default')],
  nodes: [node('a')],
  services: [service('kept', {}, {}, ['192.0.2.1']), service('moved', {}, {}, ['198.51.100.7'])],
  endpointslices: [endpoints('kept', 'a'), endpoints('moved', 'a')],
};

type Container = NonNullable<
  NonNullable<NonNullable<NonNullable<Workload['spec']>['template']>['spec']>['containers']
>[number];
const workload = (name: string, container: Container, others: readonly string[] = [], release?: string): Workload => ({
  metadata: {
    name,
    namespace: 'metallb-system',
    ...(release !== undefined && { annotations: { 'meta.helm.sh/release-name': release } }),
  },
  spec: {
    template: {
      spec: { containers: [...others.map((other) => ({ name: other, image: `frr/${other}:1` })), container] },
    },
  },
});
const controller = (more: Container = {}, release?: string) =>
  workload('metallb-controller', { image: 'quay.io/metallb/controller:v0.15.2', ...more }, [], release);
const speaker = (more: Container = {}, others: readonly string[] = []) =>
  workload('metallb-speaker', { image: 'quay.io/metallb/speaker:v0.15.2', ...more }, others);
const examine = (objects: readonly Workload[], snapshot = NOTHING, lbClass = '') =>
  examineMigration(snapshot, objects, lbClass);

describe('who runs now', () => {
  it.each([
    ['quay.io/metallb/controller:v0.15.2', 'controller'],
    ['quay.io/metallb/speaker@sha256:0123', 'speaker'],
    ['registry.example:5000/mirror/metallb/speaker', 'speaker'],
    ['docker.io/bitnami/metallb-controller:0.14.9', 'controller'],
    ['metallb/speaker:main', 'speaker'],
  ])('is known by the image %s', (image, component) => {
    const { runs } = examine([workload('x', { image })]);
    expect(runs).toMatchObject([{ component, image, object: 'metallb-system/x', namespace: 'metallb-system' }]);
  });

  it.each(['nginx:1', 'quay.io/frrouting/frr:10', 'quay.io/metallb/frr-k8s:v0.0.20', 'example/my-metallb-tool:1', ''])(
    'is not MetalLB with the image %j',
    (image) => {
      expect(examine([workload('x', { image })]).runs).toEqual([]);
    },
  );

  it('leaves out configuration that MetalLB does not read, and says so', () => {
    const elsewhere = pool('q', ['198.51.100.0/24'], {}, { namespace: 'default' });
    const { changes, setAside, resources } = examineMigration(
      { ...CLUSTER, ipaddresspools: [...CLUSTER.ipaddresspools, elsewhere] },
      [],
      '',
    );
    expect(resources).toMatchObject({ IPAddressPool: 1 });
    expect(changes.map(({ service }) => service)).toContain('default/moved');
    expect(setAside.join()).toContain('IPAddressPool default/q: metadata.namespace: "default"');
  });

  it('is nobody where a workload has no containers', () => {
    expect(examine([{ metadata: { name: 'x' } }]).runs).toEqual([]);
  });

  it('is told with flags, kind of BGP, Helm release and containers beside it', () => {
    const env = [{ name: 'METALLB_BGP_TYPE', value: 'frr' }];
    const other = speaker({ args: ['--port=7472'], env }, ['frr', 'reloader']);
    expect(examine([controller({}, 'lb'), other]).runs).toMatchObject([
      { component: 'controller', release: 'lb', others: [], flags: [], bgpType: undefined },
      { component: 'speaker', release: undefined, others: ['frr', 'reloader'], flags: ['--port=7472'], bgpType: 'frr' },
    ]);
  });
});

describe('what stays and what changes', () => {
  it('counts the resources that there are, and the Services that keep their address', () => {
    const report = examine([], CLUSTER);
    expect(report.resources).toEqual({ IPAddressPool: 1, L2Advertisement: 1 });
    expect(report).toMatchObject({ services: 2, unchanged: 1 });
    expect(report.changes).toMatchObject([{ aspect: 'addresses', service: 'default/moved', theirs: '198.51.100.7' }]);
  });

  it('asks who announces only where MetalLB says so', () => {
    const told = (node: string) => configured(`l2-${node}`, {}, {});
    const status = { node: 'gone', serviceName: 'kept', serviceNamespace: 'default' };
    const servicel2statuses = [{ ...told('a'), status }];
    const aspects = (snapshot: Snapshot) =>
      examine([], snapshot).changes.map(({ aspect, service }) => `${aspect} ${service}`);
    expect(aspects(CLUSTER)).toEqual(['addresses default/moved']);
    expect(aspects({ ...CLUSTER, servicel2statuses })).toContain('layer2 default/kept');
    const servicebgpstatuses = [{ ...told('b'), status: { ...status, peers: ['r'] } }];
    expect(aspects({ ...CLUSTER, servicebgpstatuses })).toContain('bgp default/kept');
  });

  it('tells what would be set aside', () => {
    const snapshot = { ...CLUSTER, ipaddresspools: [...CLUSTER.ipaddresspools, pool('bad', ['192.0.2.300/32'])] };
    expect(examine([], snapshot).setAside).toEqual([
      expect.stringMatching(/^IPAddressPool metallb-system\/bad: spec\.addresses\[0\]: "192\.0\.2\.300\/32": /),
    ]);
  });

  it.each([
    ['of the flag here', ['--lb-class=theirs'], 'ours', 0],
    ['that the running controller has', ['--lb-class=theirs'], '', 1],
    ['that it has as two arguments', ['--lb-class', 'theirs'], '', 1],
    ['that it has with one dash', ['-lb-class=theirs'], '', 1],
    ['that nobody has named', [], '', 0],
  ])('counts the Services of the class %s', (_, args, lbClass, count) => {
    const services = [service('theirs', { loadBalancerClass: 'theirs' }, {}, ['192.0.2.1'])];
    expect(examine([controller({ args })], { ...CLUSTER, services }, lbClass).services).toBe(count);
  });
});

describe('what is not the same', () => {
  it('is a flag that is unknown here, or has no effect', () => {
    const idle = [CONTROLLER_FLAGS, SPEAKER_FLAGS].map((flags) => flags.find(({ later }) => later !== undefined));
    const [ofController, ofSpeaker] = idle.map((flag) => (flag === undefined ? [] : [`--${flag.name}=x`]));
    const { notes } = examine([
      controller({ args: ['--surprise=1', '--port', '7472', ...ofController!] }),
      speaker({ args: ['-surprise', ...ofSpeaker!] }),
    ]);
    const expected = idle.map((flag, i) =>
      flag === undefined
        ? []
        : [`${['controller', 'speaker'][i]}: --${flag.name} is accepted but has no effect: ${flag.later}`],
    );
    expect(notes).toEqual([
      'controller: --surprise is unknown here',
      ...expected[0]!,
      'speaker: --surprise is unknown here',
      ...expected[1]!,
    ]);
  });

  it('are the containers beside the speaker, and frr-k8s, once', () => {
    const env = [{ name: 'METALLB_BGP_TYPE', value: 'frr-k8s' }];
    const { notes } = examine([controller({ env }), speaker({ env }, ['frr', 'frr-metrics'])]);
    expect(notes).toEqual([
      expect.stringMatching(/^METALLB_BGP_TYPE=frr-k8s: /),
      expect.stringMatching(/^metallb-system\/metallb-speaker: the containers frr, frr-metrics /),
    ]);
  });

  it('are sessions with routers, where there are BGPPeers', () => {
    const bgppeers = [configured('r', { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.254' })];
    expect(examine([], { ...NOTHING, bgppeers }).notes).toEqual([expect.stringMatching(/^BGP: /)]);
    expect(examine([]).notes).toEqual([]);
  });
});

describe('the steps', () => {
  /** What is run, without what is said about it. */
  const commands = (objects: readonly Workload[]) => examine(objects).steps.map((step) => step.split('   #')[0]);
  const watch = (namespace: string) => [
    `kubectl get ${CONFIG_RESOURCES.join(',')} -A -o yaml > metallb-before.yaml`,
    `metallb controller --shadow --namespace ${namespace} --port 0`,
  ];

  it('are to look only, where no MetalLB runs', () => {
    expect(commands([])).toEqual(watch('metallb-system'));
  });

  it('upgrade a Helm release in its place, and name the way back', () => {
    const release = controller({}, 'lb');
    const elsewhere = { ...release, metadata: { ...release.metadata, namespace: 'lbs' } };
    expect(commands([speaker(), elsewhere])).toEqual([
      ...watch('lbs'),
      'helm upgrade lb charts/metallb --namespace lbs',
      'kubectl -n lbs rollout status daemonset -l app.kubernetes.io/component=speaker',
      'metallb migrate',
      'helm rollback lb --namespace lbs',
    ]);
  });

  it('install beside manifests, on other ports, and take MetalLB away piece by piece', () => {
    const steps = commands([controller(), speaker()]);
    expect(steps.slice(0, 2)).toEqual(watch('metallb-system'));
    expect(steps.slice(2)).toEqual([
      'kubectl -n metallb-system scale deployment metallb-controller --replicas 0',
      expect.stringMatching(
        /^helm install metallb-ts charts\/metallb --namespace metallb-system --take-ownership( --set [a-zA-Z.]+=\d+)+$/,
      ),
      'kubectl -n metallb-system delete daemonset metallb-speaker',
      'metallb migrate',
      'kubectl -n metallb-system delete deployment metallb-controller',
    ]);
  });

  it('have a word in the place of what was not found', () => {
    const [, , scale, , remove] = commands([speaker()]);
    expect([scale, remove]).toEqual([
      'kubectl -n metallb-system scale deployment NAME --replicas 0',
      'kubectl -n metallb-system delete daemonset metallb-speaker',
    ]);
  });
});
