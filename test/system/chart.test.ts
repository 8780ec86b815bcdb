/**
 * The chart with real Helm, on a real kube-apiserver: what it renders is taken, and controller and speaker run with its ServiceAccounts and
 * nothing more.
 * @module
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANIFESTS } from '../../lab/kubernetes/cluster.ts';
import { findTool, HELM } from '../../lab/kubernetes/go-tool.ts';
import { writeTokenKubeconfig } from '../../lab/kubernetes/real-api.ts';
import { type LabProcess, must, run, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { parseAllYaml } from '../../src/adapters/files/yaml.ts';
import { METALLB, scratch } from './processes.ts';

const KUBECONFIG = process.env.METALLB_TEST_KUBECONFIG;
const AUDIT = process.env.METALLB_TEST_AUDIT;
const helm = KUBECONFIG === undefined ? 'it needs a real API server: npm run test:cluster' : findTool(HELM);
const obstacle = typeof helm === 'string' ? helm : undefined;
const CHART = resolve(import.meta.dirname, '../../charts/metallb');
/** As the users' documents have it. */
const NAMESPACE = 'metallb';

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly Rule[];
  readonly spec?: { readonly template: { readonly spec: PodSpec } };
}

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs: readonly string[];
}

interface PodSpec {
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly env: readonly { readonly name: string; readonly value?: string }[];
    readonly securityContext: { readonly capabilities: { readonly drop: string[]; readonly add?: string[] } };
  }[];
  readonly tolerations?: readonly object[];
}

/** Kinds of others, which an API server without them does not know. */
const FOREIGN = ['PodMonitor', 'ServiceMonitor', 'PrometheusRule'];
const PROMETHEUS = ['prometheus.serviceAccount=prometheus', 'prometheus.namespace=monitoring'];

/** Values as users give them: some of the sets are from the users' own documents. */
const SETS: Readonly<Record<string, readonly string[]>> = {
  defaults: [],
  'the Flux document': [
    'commonAnnotations.configmap\\.reloader\\.stakater\\.com/reload=metallb-config',
    'existingConfigMap=metallb-config',
    'speaker.tolerations[0].key=node-role.kubernetes.io/master',
    'speaker.tolerations[0].effect=NoSchedule',
    'prometheus.serviceMonitor.enabled=true',
    ...PROMETHEUS,
  ],
  'pod monitors and rules': [
    'prometheus.podMonitor.enabled=true',
    'prometheus.prometheusRule.enabled=true',
    'prometheus.grafanaDashboards.enabled=true',
    ...PROMETHEUS,
  ],
  'network policies': ['networkpolicies.enabled=true', 'networkpolicies.defaultDeny=true'],
  'two controllers': ['controller.replicas=2'],
  'no speaker': ['speaker.enabled=false'],
  'no controller': ['controller.enabled=false'],
  'no memberlist': ['speaker.memberlist.enabled=false'],
  'no RBAC': ['rbac.create=false'],
  'no CRDs': ['crds.enabled=false'],
  'other names': ['fullnameOverride=lb', 'nameOverride=lb'],
  'own service accounts': [
    'controller.serviceAccount.create=false',
    'controller.serviceAccount.name=own',
    'speaker.serviceAccount.create=false',
    'speaker.serviceAccount.name=own',
  ],
  'routers may connect': ['speaker.bgp.listenPort=179'],
  'an frr-k8s of others': ['frrk8s.enabled=false', 'frrk8s.external=true', 'frrk8s.namespace=frr-k8s-system'],
  'what FRR needed': ['speaker.frr.enabled=true', 'frrk8s.enabled=false', 'speaker.bgpDebounceTimeout=500'],
  'certificates of metrics': [
    'tls.controllerMetricsTLSSecret=c',
    'tls.speakerMetricsTLSSecret=s',
    'tls.minVersion=VersionTLS12',
  ],
  'a class, and other flags': [
    'loadBalancerClass=example.com/lb',
    'controller.shareAcrossNamespaces=false',
    'speaker.ignoreExcludeLB=true',
    'speaker.extraArgs={--l2-election=balanced}',
    'poolChangeGrace=0',
    'controller.keepAddressUntilServed=true',
  ],
};

/** Modules with the CRDs of what is in the document. */
const FLUX = [
  ['github.com/fluxcd/source-controller@v1.3.0', 'source.toolkit.fluxcd.io_helmrepositories'],
  ['github.com/fluxcd/helm-controller@v1.4.0', 'helm.toolkit.fluxcd.io_helmreleases'],
] as const;

const ERRORS: readonly (readonly [values: readonly string[], message: string])[] = [
  [['configInline.peers=x'], 'configInline: MetalLB dropped it'],
  [['frrk8s.external=true'], 'frrk8s.enabled and frrk8s.external exclude each other'],
  [['frrk8s.enabled=false', 'frrk8s.external=true'], 'frrk8s.namespace is missing'],
  [
    ['prometheus.podMonitor.enabled=true', 'prometheus.serviceMonitor.enabled=true', ...PROMETHEUS],
    'exclude each other; every metric',
  ],
  [['prometheus.podMonitor.enabled=true'], 'prometheus.serviceAccount and prometheus.namespace are missing'],
  [
    ['speaker.memberlist.enabled=false', 'speaker.nodeSelector.a=b'],
    'speaker.nodeSelector: without speaker.memberlist',
  ],
];

describe.skipIf(obstacle !== undefined)(`the chart${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const directory = scratch();
  const processes: LabProcess[] = [];
  const env = { KUBECONFIG };
  const helmRun = (...args: string[]) => run([(helm as { path: string }).path, ...args], { env });
  const kubectl = (args: readonly string[], input?: string) =>
    must(['kubectl', ...args], { env, ...(input !== undefined && { input }) });
  const flagsOf = (values: readonly string[]) => values.flatMap((value) => ['--set', value]);
  const render = (values: readonly string[]): Manifest[] => {
    const { status, stdout, stderr } = helmRun(
      'template',
      'metallb',
      CHART,
      '--namespace',
      NAMESPACE,
      ...flagsOf(values),
    );
    if (status !== 0) throw new Error(stderr);
    return parseAllYaml(stdout).filter((document) => document !== null) as Manifest[];
  };

  beforeAll(() => {
    // Other suites have pointed the conversion webhook to themselves.
    kubectl(['replace', '-f', resolve(import.meta.dirname, '../../config/crd/bases')]);
    for (const name of [NAMESPACE, 'frr-k8s-system']) kubectl(['create', 'namespace', name]);
  });
  afterAll(async () => {
    for (const process of processes) await process.stop();
    helmRun('uninstall', 'metallb', '--namespace', NAMESPACE);
    // The namespace of frr-k8s is wanted by others too, and a cluster without controllers never gets rid of one.
    kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
    directory.remove();
  });

  it('has nothing that `helm lint` would complain about', () => {
    const { status, stdout } = helmRun('lint', CHART, '--strict');
    expect([status, stdout.includes('[ERROR]'), stdout.includes('[WARNING]')]).toEqual([0, false, false]);
  });

  it.each(Object.entries(SETS))('is taken by the API server: %s', (_, values) => {
    const documents = render(values);
    const own = documents.filter(({ kind }) => !FOREIGN.includes(kind));
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: own });
    kubectl(['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', '-'], list);
    for (const { kind, spec } of documents) {
      if (kind !== 'DaemonSet') continue;
      const { capabilities } = spec!.template.spec.containers[0]!.securityContext;
      const mayBind = values.includes('speaker.bgp.listenPort=179');
      expect(capabilities).toEqual({ drop: ['ALL'], add: mayBind ? ['NET_RAW', 'NET_BIND_SERVICE'] : ['NET_RAW'] });
    }
  });

  it.each(ERRORS)('refuses %j in words', (values, message) => {
    const { status, stderr } = helmRun('template', 'metallb', CHART, ...flagsOf(values));
    expect(status).not.toBe(0);
    expect(stderr).toContain(message);
  });

  it('is what Flux takes as the users’ document has it, by Flux’s own CRDs', () => {
    for (const [module, crd] of FLUX) {
      const text = must(['go', 'mod', 'download', '-json', module]);
      const { Dir: folder } = JSON.parse(text) as { Dir: string };
      kubectl(['apply', '--server-side', '-f', join(folder, 'config/crd/bases', `${crd}.yaml`)]);
      const [group, plural] = crd.split('_');
      kubectl(['wait', '--for=condition=Established', `crd/${plural}.${group}`]);
    }
    run(['kubectl', 'create', 'namespace', 'flux-system'], { env });
    run(['kubectl', 'create', 'namespace', 'metallb-system'], { env });
    const taken = kubectl(['create', '--dry-run=server', '-f', join(MANIFESTS, 'flux/helmrelease.yaml'), '-o', 'name']);
    expect(taken).toContain('helmrelease.helm.toolkit.fluxcd.io/metallb');
    // The document's Kustomization waits for this Deployment.
    expect(render(SETS['the Flux document']!).map(({ metadata }) => metadata.name)).toContain('metallb-controller');
  });

  it('is installed as the users’ document says, and its ServiceAccounts may do what the processes do, and nothing that they do not', async () => {
    const values = ['controller.webhookMode=disabled'];
    // The CRDs are there already, as after another way to install: the release takes them over.
    const own = ['--namespace', NAMESPACE, '--take-ownership'];
    const installed = helmRun('install', 'metallb', CHART, ...own, ...flagsOf(values));
    expect(installed.stderr).not.toContain('Error');
    expect(installed.stdout).toContain('Values that have no effect here:\n  - frrk8s.enabled');
    const documents = render(values);
    kubectl(['apply', '-f', '-'], OBJECTS);
    for (const component of ['controller', 'speaker']) launch(component, documents);
    const address = await until('the Service gets its address', () => {
      const path = 'jsonpath={.status.loadBalancer.ingress[0].ip}';
      return kubectl(['-n', NAMESPACE, 'get', 'service', 'web', '-o', path]) || undefined;
    });
    // Services of other suites may have taken the first ones.
    expect(address).toMatch(/^192\.0\.2\.[1-9]$/);
    await until('the speaker says so', () =>
      ['servicebgpstatuses', 'bgpsessionstatuses'].every((resource) =>
        kubectl(['-n', NAMESPACE, 'get', resource, '-o', 'jsonpath={.items[*].status.node}']).includes('chart-1'),
      ),
    );
    await until('what is wrong is said of the object', () =>
      kubectl(['-n', NAMESPACE, 'get', 'ipaddresspool', 'bad', '-o', 'jsonpath={.status.conditions}']).includes(
        'Accepted',
      ),
    );
    kubectl(['-n', NAMESPACE, 'delete', 'service', 'web']);
    await until('the statuses go', () => kubectl(['-n', NAMESPACE, 'get', 'servicebgpstatuses', '-o', 'name']) === '');
    for (const process of processes)
      expect(process.log()).not.toMatch(/forbidden|cannot (list|get|patch|create|watch)/i);
    expect(unused(documents)).toEqual([]);
  });

  it('leaves the resources where they are when it is uninstalled, and takes them up again', () => {
    expect(helmRun('uninstall', 'metallb', '--namespace', NAMESPACE).status).toBe(0);
    expect(kubectl(['-n', NAMESPACE, 'get', 'ipaddresspools', '-o', 'name'])).toContain(
      'ipaddresspool.metallb.io/first',
    );
    expect(run(['kubectl', '-n', NAMESPACE, 'get', 'daemonset', 'metallb-speaker'], { env }).status).not.toBe(0);
    const again = helmRun('install', 'metallb', CHART, '--namespace', NAMESPACE);
    expect(again.stderr).not.toContain('Error');
    expect(
      helmRun('upgrade', 'metallb', CHART, '--namespace', NAMESPACE, '--set', 'speaker.logLevel=debug').status,
    ).toBe(0);
  });

  it('is upgraded from the chart of the commit before', ({ skip }) => {
    const before = join(directory.path, 'before');
    mkdirSync(before);
    const git = ['git', '-C', resolve(import.meta.dirname, '../..')];
    const archive = join(directory.path, 'before.tar');
    if (run([...git, 'archive', '--output', archive, 'HEAD~1', 'charts/metallb']).status !== 0)
      skip('this checkout has no history: git archive HEAD~1 fails');
    must(['tar', '-xf', archive, '-C', before]);
    const own = ['--namespace', NAMESPACE];
    expect(helmRun('uninstall', 'metallb', ...own).status).toBe(0);
    expect(helmRun('install', 'metallb', join(before, 'charts/metallb'), ...own).stderr).not.toContain('Error');
    const pools = kubectl(['-n', NAMESPACE, 'get', 'ipaddresspools', '-o', 'name']);
    const upgraded = helmRun('upgrade', 'metallb', CHART, ...own);
    expect([upgraded.status, upgraded.stderr]).toEqual([0, '']);
    expect(kubectl(['-n', NAMESPACE, 'get', 'ipaddresspools', '-o', 'name'])).toBe(pools);
    expect(helmRun('rollback', 'metallb', ...own).status).toBe(0);
  });

  /** Runs a process of the chart as its pod would: its arguments, its environment, its token. */
  function launch(component: string, documents: readonly Manifest[]): void {
    const kind = component === 'controller' ? 'Deployment' : 'DaemonSet';
    const pod = documents.find((document) => document.kind === kind)!.spec!.template.spec;
    const { args, env: given } = pod.containers[0]!;
    const file = join(directory.path, `${component}.kubeconfig`);
    writeTokenKubeconfig(KUBECONFIG!, NAMESPACE, `metallb-${component}`, file);
    const literal = Object.fromEntries(
      given.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
    );
    const fromField = { METALLB_NAMESPACE: NAMESPACE, METALLB_NODE_NAME: 'chart-1', METALLB_POD_NAME: component };
    // One process on this machine has nobody to watch.
    const own = { ...literal, ...fromField, METALLB_ML_SECRET_KEY_PATH: '', KUBECONFIG: file };
    const ports =
      component === 'controller' ? ['--port=0', '--health-probe-port=0'] : ['--port=0', '--health-probe-port=0'];
    processes.push(start(component, [METALLB, ...args, ...ports], join(directory.path, `${component}.log`), own));
  }

  /** Verbs in the rules that nobody has asked for, by the audit log of the API server. */
  function unused(documents: readonly Manifest[]): string[] {
    const asked = new Set(
      readFileSync(AUDIT!, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as AuditEntry)
        .filter(({ user }) => user.username.startsWith(`system:serviceaccount:${NAMESPACE}:metallb-`))
        .map(({ user, verb, objectRef: { apiGroup = '', resource = '', subresource } = {} }) => {
          const component = user.username.split('metallb-')[1];
          return `${component} ${verb} ${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`}`;
        }),
    );
    const granted = documents
      .filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
      .flatMap(({ metadata: { name }, rules = [] }) =>
        rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
          resources.flatMap((resource) =>
            verbs.map((verb) => `${name.split(/[:-]/).at(-1)} ${verb} ${apiGroups[0]}/${resource}`),
          ),
        ),
      );
    return [...new Set(granted)].filter((grant) => !asked.has(grant) && !SELDOM.some((seldom) => seldom.test(grant)));
  }
});

/** What is asked for in cases that this test does not have, each with the case. */
const SELDOM: readonly RegExp[] = [
  // Metrics are read.
  /create \S+\/(tokenreviews|subjectaccessreviews)$/,
  // The webhooks are on, and their certificate is renewed.
  /controller list \/nodes$/,
  /controller (get|patch) \S+\/(validatingwebhookconfigurations|customresourcedefinitions)$/,
  /controller update \/secrets$/,
  // The same Event is told again.
  /(get|patch) \/events$/,
  // An object of that kind is at fault.
  /controller patch metallb.io\/(l2advertisements|bgpadvertisements|bgppeers|bfdprofiles|communities)\/status$/,
  // Frames leave, which they must not here.
  /speaker (patch|delete) metallb.io\/servicel2statuses(\/status)?$/,
  // A patch that brings an object into being is checked for both, and logged as the patch that it is.
  /(speaker|controller) create metallb.io\/\w+stat(us)?es$/,
  // A peer goes.
  /speaker delete metallb.io\/bgpsessionstatuses$/,
];

interface AuditEntry {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly apiGroup?: string; readonly resource?: string; readonly subresource?: string };
}

const OBJECTS = `
apiVersion: v1
kind: Node
metadata: {name: chart-1}
---
apiVersion: v1
kind: Pod
metadata: {name: controller, namespace: ${NAMESPACE}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: speaker, namespace: ${NAMESPACE}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: first, namespace: ${NAMESPACE}}
spec: {addresses: [192.0.2.1-192.0.2.9]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: bad, namespace: ${NAMESPACE}}
spec: {addresses: [192.0.2.300]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: l2, namespace: ${NAMESPACE}}
spec: {interfaces: [nowhere0]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: bgp, namespace: ${NAMESPACE}}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: r, namespace: ${NAMESPACE}}
spec: {myASN: 64512, peerASN: 64513, peerAddress: 127.0.0.1, peerPort: 9}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${NAMESPACE}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], nodeName: chart-1, conditions: {ready: true}}]
`;
