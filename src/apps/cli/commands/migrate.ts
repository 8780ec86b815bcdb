/**
 * `metallb migrate`: what would become of a cluster that MetalLB serves now, and in which order to change; and other load balancers' pools as ours.
 * @module
 */
import type { Command } from 'commander';
import { formatYaml } from '../../../adapters/files/yaml.ts';
import { KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import { collectionPath } from '../../../adapters/kubernetes/resources.ts';
import { own } from '../../../core/api/json.ts';
import type { KubernetesObject } from '../../../core/api/kubernetes.ts';
import { formatProblem } from '../../../core/api/problem.ts';
import { oneLine } from '../../../core/api/text.ts';
import { byResource, resolveConfig } from '../../../core/config/resolve.ts';
import { importCilium } from '../../../core/migration/importers/cilium.ts';
import type { Imported } from '../../../core/migration/importers/imported.ts';
import { importKubeVip } from '../../../core/migration/importers/kube-vip.ts';
import { importPureLb } from '../../../core/migration/importers/purelb.ts';
import { describeDifference } from '../../../core/offline/differences.ts';
import { CliError } from '../errors.ts';
import { examineMigration, type Report } from '../migration.ts';
import { listIfAny, openSnapshot, readObjects, readWorkloads, type SnapshotOptions } from '../snapshot.ts';
import { show, showDocument } from '../terminal.ts';

interface Options extends SnapshotOptions {
  readonly from?: string;
  readonly to: string;
  readonly lbClass: string;
  readonly output?: string;
}

export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('what changes and what does not when this replaces MetalLB, and in which order; changes nothing')
    .option('--from <program>', 'print pools of kube-vip, purelb or cilium as IPAddressPools instead')
    .option('--dump <files...>', 'read the cluster from files (- is standard input) instead of the API server')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .option('--namespace <name>', 'namespace of the configuration (default: all)')
    .option('--to <namespace>', 'with --from: namespace of the printed objects', 'metallb-system')
    .option('--lb-class <class>', 'the controller’s --lb-class', '')
    .option('-o, --output <format>', 'json')
    .action(async (options: Options) => {
      if (options.from !== undefined) {
        showDocument(await imported(options.from, options));
        return;
      }
      const report = examineMigration(
        await openSnapshot(options),
        await readWorkloads(options, ['Deployment', 'DaemonSet']),
        options.lbClass,
        options.namespace,
      );
      show(options.output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : forPeople(report));
      process.exitCode = report.changes.some(({ aspect }) => aspect === 'addresses') ? 1 : 0;
    });
}

interface Importer {
  readonly read: (objects: readonly KubernetesObject[], namespace: string) => Imported;
  /** Collections of a live cluster that it reads, with the kind that objects of a list do not name; missing ones are skipped. */
  readonly collections: readonly (readonly [path: string, kind: string])[];
  readonly what: string;
}

const IMPORTERS: Readonly<Record<string, Importer>> = {
  'kube-vip': {
    read: importKubeVip,
    collections: [[collectionPath('configmaps', 'kube-system'), 'ConfigMap']],
    what: 'ConfigMap kube-system/kubevip',
  },
  purelb: {
    read: importPureLb,
    collections: [
      ['/apis/purelb.io/v1/servicegroups', 'ServiceGroup'],
      ['/apis/purelb.io/v1/lbnodeagents', 'LBNodeAgent'],
    ],
    what: 'ServiceGroup with a local pool',
  },
  cilium: {
    read: importCilium,
    collections: [
      ['/apis/cilium.io/v2/ciliumloadbalancerippools', 'CiliumLoadBalancerIPPool'],
      ['/apis/cilium.io/v2alpha1/ciliumloadbalancerippools', 'CiliumLoadBalancerIPPool'],
      ['/apis/cilium.io/v2alpha1/ciliuml2announcementpolicies', 'CiliumL2AnnouncementPolicy'],
    ],
    what: 'CiliumLoadBalancerIPPool',
  },
};

/** YAML, with what could not be carried over as comments at its head. */
async function imported(from: string, { dump, kubeconfig, to }: Options): Promise<string> {
  const importer = own(IMPORTERS, from);
  if (importer === undefined)
    throw new CliError(`--from: ${JSON.stringify(from)} is none of ${Object.keys(IMPORTERS).join(', ')}`, 2);
  const objects = dump === undefined ? await listAll(kubeconfig, importer.collections) : await readObjects(dump);
  const { objects: made, notes } = importer.read(objects, to);
  if (made.length === 0) throw new CliError([`nothing to import: no ${importer.what} was found`, ...notes].join('\n'));
  const { problems } = resolveConfig(byResource(made));
  const faults = problems.map(
    ({ consequence: _unused, ...problem }) => `does not fit as it is: ${formatProblem(problem)}`,
  );
  const comments = [`Imported by metallb migrate --from ${from}.`, ...notes, ...faults].map(
    (note) => `# ${oneLine(note)}\n`,
  );
  return comments.join('') + made.map((object) => formatYaml(object)).join('---\n');
}

/** A kind that is served in two versions is listed twice; the first one counts. */
async function listAll(
  kubeconfig: string | undefined,
  collections: Importer['collections'],
): Promise<KubernetesObject[]> {
  const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli');
  const lists = await Promise.all(
    collections.map(async ([path, kind]) => (await listIfAny(client, path)).map((object) => ({ ...object, kind }))),
  );
  const seen = new Set<string>();
  return lists.flat().filter(({ kind, metadata }) => {
    const key = `${kind} ${metadata.namespace}/${metadata.name}`;
    return !seen.has(key) && seen.add(key);
  });
}

function forPeople({ runs, resources, services, unchanged, changes, setAside, notes, steps }: Report): string {
  const counts = Object.entries(resources).map(([kind, count]) => `${count} ${kind}${count === 1 ? '' : 's'}`);
  const list = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${oneLine(line)}`)];
  return `${[
    ...list(
      'Runs now:',
      runs.length === 0
        ? ['no MetalLB found']
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
