/**
 * `metallb migrate`: what would become of a cluster that MetalLB serves now, and in which order to change; and other load balancers' pools as ours.
 * @module
 */
import { createHash } from 'node:crypto';
import type { Command } from 'commander';
import { formatYaml } from '../../../adapters/files/yaml.ts';
import { KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import { collectionPath } from '../../../adapters/kubernetes/resources.ts';
import type { KubernetesObject } from '../../../core/api/kubernetes.ts';
import { formatProblem } from '../../../core/api/problem.ts';
import { importCilium } from '../../../core/config/importers/cilium.ts';
import type { Imported } from '../../../core/config/importers/imported.ts';
import { importKubeVip } from '../../../core/config/importers/kube-vip.ts';
import { importPureLb } from '../../../core/config/importers/purelb.ts';
import { byResource, CONFIG_RESOURCES, kindOf, resolveConfig } from '../../../core/config/resolve.ts';
import { compareWithCluster, type Difference, describeDifference } from '../../../core/reconcile/differences.ts';
import { CliError } from '../errors.ts';
import { CONTROLLER_FLAGS, type Flag, SPEAKER_FLAGS } from '../flags.ts';
import { listIfAny, openSnapshot, readObjects, type Snapshot, type SnapshotOptions } from '../snapshot.ts';

interface Options extends SnapshotOptions {
  readonly from?: string;
  readonly to: string;
  readonly lbClass: string;
  readonly output?: string;
}

export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description(
      'what changes, and what does not, when this takes the place of MetalLB, and in which order; changes nothing',
    )
    .option('--from <program>', 'print pools of kube-vip, purelb or cilium as IPAddressPools instead')
    .option('--dump <files...>', 'read the cluster from files instead of the API server')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .option('--namespace <name>', 'namespace of the configuration (default: all)')
    .option('--to <namespace>', 'with --from: namespace of the printed objects', 'metallb-system')
    .option('--lb-class <class>', 'the controller’s --lb-class', '')
    .option('-o, --output <format>', 'json')
    .action(async (options: Options) => {
      if (options.from !== undefined) {
        process.stdout.write(await imported(options.from, options));
        return;
      }
      const report = examine(await openSnapshot(options), await workloads(options), options.lbClass);
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : forPeople(report));
      process.exitCode = report.changes.some(({ aspect }) => aspect === 'addresses') ? 1 : 0;
    });
}

interface Importer {
  readonly read: (objects: readonly KubernetesObject[], namespace: string) => Imported;
  /** Collections of a live cluster that it reads; those that are not there are passed over. */
  readonly paths: readonly string[];
  readonly what: string;
}

const IMPORTERS: Readonly<Record<string, Importer>> = {
  'kube-vip': {
    read: importKubeVip,
    paths: [collectionPath('configmaps', 'kube-system')],
    what: 'a ConfigMap kube-system/kubevip',
  },
  purelb: {
    read: importPureLb,
    paths: ['/apis/purelb.io/v1/servicegroups', '/apis/purelb.io/v1/lbnodeagents'],
    what: 'a ServiceGroup with a local pool',
  },
  cilium: {
    read: importCilium,
    paths: [
      '/apis/cilium.io/v2/ciliumloadbalancerippools',
      '/apis/cilium.io/v2alpha1/ciliumloadbalancerippools',
      '/apis/cilium.io/v2alpha1/ciliuml2announcementpolicies',
    ],
    what: 'a CiliumLoadBalancerIPPool',
  },
};

/** YAML, with what could not be carried over as comments at its head. */
async function imported(from: string, { dump, kubeconfig, to }: Options): Promise<string> {
  const importer = IMPORTERS[from];
  if (importer === undefined)
    throw new CliError(`--from: ${JSON.stringify(from)} is none of ${Object.keys(IMPORTERS).join(', ')}`, 2);
  const objects = dump === undefined ? await listAll(kubeconfig, importer.paths) : readObjects(dump);
  const { objects: made, notes } = importer.read(objects, to);
  if (made.length === 0)
    throw new CliError(
      [`there is nothing to import: no ${importer.what.replace(/^an? /, '')} was found`, ...notes].join('\n'),
    );
  const { problems } = resolveConfig(byResource(made));
  const faults = problems.map(
    ({ consequence: _unused, ...problem }) => `does not fit as it is: ${formatProblem(problem)}`,
  );
  const comments = [`Imported by metallb migrate --from ${from}.`, ...notes, ...faults].map((note) => `# ${note}\n`);
  return comments.join('') + made.map((object) => formatYaml(object)).join('---\n');
}

/** A kind that is served in two versions is listed twice; the first one counts. */
async function listAll(kubeconfig: string | undefined, paths: readonly string[]): Promise<KubernetesObject[]> {
  const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli');
  const lists = await Promise.all(
    paths.map(async (path) =>
      (await listIfAny(client, path)).map((object) => ({ ...object, kind: object.kind ?? kindAt(path) })),
    ),
  );
  const seen = new Set<string>();
  return lists.flat().filter(({ kind, metadata }) => {
    const key = `${kind} ${metadata.namespace}/${metadata.name}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Objects of a list do not name their kind. */
function kindAt(path: string): string {
  const kinds: Readonly<Record<string, string>> = {
    configmaps: 'ConfigMap',
    servicegroups: 'ServiceGroup',
    lbnodeagents: 'LBNodeAgent',
    ciliumloadbalancerippools: 'CiliumLoadBalancerIPPool',
    ciliuml2announcementpolicies: 'CiliumL2AnnouncementPolicy',
  };
  return kinds[path.split('/').at(-1)!] ?? '';
}

interface Workload extends KubernetesObject {
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly name?: string;
          readonly image?: string;
          readonly args?: readonly string[];
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
}

/** Deployments and DaemonSets: who runs now, and how. */
async function workloads({ dump, kubeconfig }: Options): Promise<Workload[]> {
  if (dump !== undefined) return readObjects(dump).filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
  const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli');
  const lists = (['deployments', 'daemonsets'] as const).map((resource) => client.list(collectionPath(resource)));
  return (await Promise.all(lists)).flat();
}

interface Runner {
  readonly component: 'controller' | 'speaker';
  /** `namespace/name`. */
  readonly object: string;
  readonly namespace: string;
  readonly image: string;
  /** Name of the Helm release that it belongs to. */
  readonly release: string | undefined;
  readonly others: readonly string[];
  readonly flags: readonly string[];
  readonly bgpType: string | undefined;
}

interface Report {
  readonly runs: readonly Runner[];
  readonly resources: Readonly<Record<string, number>>;
  readonly services: number;
  readonly unchanged: number;
  readonly changes: readonly Difference[];
  readonly setAside: readonly string[];
  readonly notes: readonly string[];
  readonly steps: readonly string[];
}

function examine(snapshot: Snapshot, objects: readonly Workload[], lbClass: string): Report {
  const runs = objects.flatMap(runnerOf);
  const sha256 = (text: string) => createHash('sha256').update(text).digest();
  // What nobody tells cannot be compared: MetalLB before 0.14 says nowhere who announces.
  const aspects = [
    'addresses' as const,
    ...(snapshot.servicel2statuses.length > 0 ? ['layer2' as const] : []),
    ...(snapshot.servicebgpstatuses.length > 0 ? ['bgp' as const] : []),
  ];
  const flagged = runs.flatMap(({ flags }) => flags.flatMap((flag) => /^--?lb-class=(.+)$/.exec(flag)?.[1] ?? []));
  const { services, differences, problems } = compareWithCluster(
    snapshot,
    aspects,
    lbClass || (flagged[0] ?? ''),
    sha256,
  );
  const changed = new Set(differences.map(({ service }) => service));
  const resources = Object.fromEntries(
    CONFIG_RESOURCES.map((resource) => [kindOf(resource), snapshot[resource].length]).filter(
      ([, count]) => count !== 0,
    ),
  ) as Record<string, number>;
  return {
    runs,
    resources,
    services,
    unchanged: services - changed.size,
    changes: differences,
    setAside: problems.map(formatProblem),
    notes: notesOn(runs, snapshot),
    steps: stepsFor(runs),
  };
}

const UPSTREAM = /(?:^|\/)(?:metallb\/|metallb-)(controller|speaker)[:@]/;

function runnerOf({ metadata, spec }: Workload): Runner[] {
  const containers = spec?.template?.spec?.containers ?? [];
  const main = containers.find(({ image = '' }) => UPSTREAM.test(image));
  if (main === undefined) return [];
  const annotations = metadata.annotations ?? {};
  return [
    {
      component: UPSTREAM.exec(main.image!)![1] as Runner['component'],
      object: `${metadata.namespace}/${metadata.name}`,
      namespace: metadata.namespace ?? '',
      image: main.image!,
      release: annotations['meta.helm.sh/release-name'],
      others: containers.filter((each) => each !== main).map(({ name = '' }) => name),
      flags: main.args ?? [],
      bgpType: main.env?.find(({ name }) => name === 'METALLB_BGP_TYPE')?.value,
    },
  ];
}

function notesOn(runs: readonly Runner[], snapshot: Snapshot): string[] {
  const notes = runs.flatMap(({ component, flags, others, bgpType, object }) => [
    ...flags.flatMap((flag) => noteOnFlag(component, flag)),
    ...(others.length === 0
      ? []
      : [`${object}: the containers ${others.join(', ')} go: the speaker speaks BGP and BFD itself`]),
    ...(bgpType === 'frr-k8s'
      ? [
          'METALLB_BGP_TYPE=frr-k8s: set frrk8s.external (chart) to go on with frr-k8s; without it the speaker speaks BGP itself, to the same routers',
        ]
      : []),
  ]);
  if (snapshot.bgppeers.length > 0)
    notes.push(
      'BGP: a router has one session with a node, so that it ends with MetalLB’s speaker there and begins with ours; graceful restart (BGPPeer spec.enableGracefulRestart) lets the router keep the routes in between',
    );
  return [...new Set(notes)];
}

function noteOnFlag(component: Runner['component'], argument: string): string[] {
  const name = /^--?([a-z0-9-]+)/.exec(argument)?.[1];
  if (name === undefined) return [];
  const table: readonly Flag[] = component === 'controller' ? CONTROLLER_FLAGS : SPEAKER_FLAGS;
  const flag = table.find((each) => each.name === name);
  if (flag === undefined) return [`${component}: --${name} is not known here`];
  return flag.later === undefined ? [] : [`${component}: --${name} is accepted and without effect: ${flag.later}`];
}

/** Everything of ours that would want a port that MetalLB's speaker has on the host's network. */
const OTHER_PORTS = [
  'prometheus.metricsPort=9121',
  'speaker.memberlist.mlBindPort=7947',
  'speaker.livenessProbe.port=17473',
  'speaker.readinessProbe.port=17473',
];

function stepsFor(runs: readonly Runner[]): string[] {
  const controller = runs.find(({ component }) => component === 'controller');
  const namespace = controller?.namespace ?? runs[0]?.namespace ?? 'metallb-system';
  const release = controller?.release;
  const kinds = CONFIG_RESOURCES.join(',');
  const watch = [
    `kubectl get ${kinds} -A -o yaml > metallb-before.yaml`,
    `metallb controller --shadow --namespace ${namespace} --port 0   # from any machine with a kubeconfig; leave it running until nothing differs`,
  ];
  if (runs.length === 0) return watch;
  if (release !== undefined)
    return [
      ...watch,
      `helm upgrade ${release} charts/metallb --namespace ${namespace}   # with your own values; pods change one after the other, resources and addresses stay`,
      `kubectl -n ${namespace} rollout status daemonset -l app.kubernetes.io/component=speaker`,
      'metallb migrate   # nothing may differ',
      `helm rollback ${release} --namespace ${namespace}   # the way back, at any time`,
    ];
  const speaker = runs.find(({ component }) => component === 'speaker');
  const ports = OTHER_PORTS.map((value) => `--set ${value}`).join(' ');
  return [
    ...watch,
    `kubectl -n ${namespace} scale deployment ${nameOf(controller)} --replicas 0   # addresses stay in the Services; nothing is announced anew`,
    `helm install metallb-ts charts/metallb --namespace ${namespace} --take-ownership ${ports}   # speakers beside MetalLB's: the same election, so the same node answers`,
    `kubectl -n ${namespace} delete daemonset ${nameOf(speaker)}`,
    'metallb migrate   # nothing may differ',
    `kubectl -n ${namespace} delete deployment ${nameOf(controller)}   # until here the way back is: helm uninstall, scale it to 1, apply its DaemonSet`,
  ];
}

function nameOf(runner: Runner | undefined): string {
  return runner?.object.split('/')[1] ?? 'NAME';
}

function forPeople({ runs, resources, services, unchanged, changes, setAside, notes, steps }: Report): string {
  const counts = Object.entries(resources).map(([kind, count]) => `${count} ${kind}${count === 1 ? '' : 's'}`);
  const list = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
  return `${[
    ...list(
      'Runs now:',
      runs.length === 0
        ? ['no MetalLB that could be seen']
        : runs.map(
            ({ component, object, image, release }) =>
              `${component} ${object}, ${image}${release === undefined ? '' : `, by Helm as ${release}`}`,
          ),
    ),
    ...list('Stays as it is:', [
      counts.length === 0 ? 'there is no configuration' : `${counts.join(', ')}: read as they are`,
      `${unchanged} of ${services} Services keep their addresses, and who announces them`,
    ]),
    ...list('Changes:', changes.map(describeDifference)),
    ...list('Would be set aside:', setAside),
    ...list('Not the same:', notes),
    ...list(
      'In this order:',
      steps.map((step, i) => `${i + 1}. ${step}`),
    ),
  ].join('\n')}\n`;
}
