/**
 * Migration of a cluster that MetalLB serves now, as data: what runs, what stays, what changes, and the steps.
 * @module
 */
import { sha256 } from '../../adapters/sha256.ts';
import { formatProblem } from '../../core/api/problem.ts';
import { inOneNamespace } from '../../core/config/namespace.ts';
import { CONFIG_RESOURCES, kindOf } from '../../core/config/resolve.ts';
import { compareWithCluster, type Difference } from '../../core/offline/differences.ts';
import { CONTROLLER_FLAGS, type Flag, SPEAKER_FLAGS } from './flags.ts';
import type { Snapshot, Workload } from './snapshot.ts';

/** MetalLB's own controller or speaker, as it was found. */
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

export interface Report {
  readonly runs: readonly Runner[];
  readonly resources: Readonly<Record<string, number>>;
  readonly services: number;
  readonly unchanged: number;
  readonly changes: readonly Difference[];
  readonly setAside: readonly string[];
  readonly notes: readonly string[];
  readonly steps: readonly string[];
}

/** `lbClass`: of the flag; empty: the one that MetalLB's own processes have. */
export function examineMigration(
  given: Snapshot,
  objects: readonly Workload[],
  lbClass: string,
  namespace?: string,
): Report {
  const here = inOneNamespace(given, namespace);
  const snapshot = here.objects;
  const runs = objects.flatMap(runnerOf);
  // Only what is reported can be compared: MetalLB before 0.14 does not report who announces.
  const aspects = [
    'addresses' as const,
    ...(snapshot.servicel2statuses.length > 0 ? ['layer2' as const] : []),
    ...(snapshot.servicebgpstatuses.length > 0 ? ['bgp' as const] : []),
  ];
  const flagged = runs.flatMap(({ flags }) => lbClassIn(flags) || []);
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
    setAside: [...problems, ...here.problems].map(formatProblem),
    notes: notesOn(runs, snapshot),
    steps: stepsFor(runs),
  };
}

/** Go takes a value behind `=` or as the next argument, and one dash or two. */
function lbClassIn(flags: readonly string[]): string {
  const joined = flags.join('\n');
  return /^--?lb-class[=\n](.+)$/m.exec(joined)?.[1] ?? '';
}

const UPSTREAM = /(?:^|\/)(?:metallb\/|metallb-)(controller|speaker)(?:[:@]|$)/;

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
      : [`${object}: the containers ${others.join(', ')} are removed: the speaker speaks BGP and BFD itself`]),
    ...(bgpType === 'frr-k8s'
      ? [
          'METALLB_BGP_TYPE=frr-k8s: set frrk8s.external (chart) to keep frr-k8s; without it the speaker speaks BGP itself, to the same routers',
        ]
      : []),
  ]);
  if (snapshot.bgppeers.length > 0)
    notes.push(
      'BGP: a router has one session with a node, so it ends with MetalLB’s speaker there and starts with ours; graceful restart (BGPPeer spec.enableGracefulRestart) lets the router keep the routes in between',
    );
  return [...new Set(notes)];
}

function noteOnFlag(component: Runner['component'], argument: string): string[] {
  const name = /^--?([a-z0-9-]+)/.exec(argument)?.[1];
  if (name === undefined) return [];
  const table: readonly Flag[] = component === 'controller' ? CONTROLLER_FLAGS : SPEAKER_FLAGS;
  const flag = table.find((each) => each.name === name);
  if (flag === undefined) return [`${component}: --${name} is unknown here`];
  return flag.later === undefined ? [] : [`${component}: --${name} is accepted but has no effect: ${flag.later}`];
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
    `kubectl -n ${namespace} scale deployment ${nameOf(controller)} --replicas 0   # addresses stay in the Services; nothing new is announced`,
    `helm install metallb-ts charts/metallb --namespace ${namespace} --take-ownership ${ports}   # speakers beside MetalLB's: the same election, so the same node answers`,
    `kubectl -n ${namespace} delete daemonset ${nameOf(speaker)}`,
    'metallb migrate   # nothing may differ',
    `kubectl -n ${namespace} delete deployment ${nameOf(controller)}   # until here the way back is: helm uninstall, apply MetalLB's manifest again, scale it to 1`,
  ];
}

function nameOf(runner: Runner | undefined): string {
  return runner?.object.split('/')[1] ?? 'NAME';
}
