/**
 * `metallb plan -f FILES`: what applying the files would do to addresses and objects.
 * @module
 */
import type { Command } from 'commander';
import { annotationFaults } from '../../../core/api/annotation-faults.ts';
import { referenceTo } from '../../../core/api/kind.ts';
import type { KubernetesObject } from '../../../core/api/kubernetes.ts';
import { formatProblem, formatReference } from '../../../core/api/problem.ts';
import { renewals } from '../../../core/bgp/peers/peer-change.ts';
import type { ControllerResource } from '../../../core/controller/state.ts';
import { CONTROLLER_RESOURCES } from '../../../core/controller/state.ts';
import { OfflineController } from '../../../core/offline/offline-controller.ts';
import { describeAnnotationFault } from '../../../core/reasons/annotations.ts';
import { openSnapshot, readObjects, resourceOf, type SnapshotOptions, withNamespace } from '../snapshot.ts';

interface Options extends SnapshotOptions {
  readonly filename: string[];
  readonly lbClass: string;
  readonly output?: string;
}

export function addPlanCommand(program: Command): void {
  program
    .command('plan')
    .description(
      'which Services would gain, lose or change an address, and which BGP sessions would restart, if these manifests were applied; changes nothing',
    )
    .requiredOption('-f, --filename <files...>', 'manifests, or folders of them; - reads standard input')
    .option('--dump <files...>', 'read the cluster from files (- is standard input) instead of the API server')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .option('--namespace <name>', 'namespace of the configuration (default: all)')
    .option('--lb-class <class>', 'the controller’s --lb-class', '')
    .option('-o, --output <format>', 'json')
    .action(async (options: Options) => {
      const snapshot = await openSnapshot(options);
      const offline = new OfflineController(snapshot, options.lbClass);
      const before = offline.addresses();
      const { peers } = offline.config;
      const known = new Set(offline.problems.map(formatProblem));
      const told = new Map([...offline.services].map((key) => [key, offline.eventsOf(key).length]));
      const objects = (await readObjects(options.filename)).map(withNamespace);
      for (const object of objects) {
        const resource = resourceOf(object);
        if (isControllers(resource)) offline.apply(resource, object);
      }
      const renewed = renewals(peers, offline.config.peers).map(({ after: { name }, fields }) => ({
        peer: name,
        fields,
      }));
      const warnings = objects.flatMap(annotationWarnings);
      const plan = { ...compare(before, offline, known, told), renewed, warnings };
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : forPeople(plan));
    });
}

interface Plan {
  readonly changes: readonly {
    readonly service: string;
    readonly from: string;
    readonly to: string;
    readonly why: string;
  }[];
  /** BGPPeers whose sessions would restart, and the changed fields that are the reason. */
  readonly renewed: readonly { readonly peer: string; readonly fields: readonly string[] }[];
  readonly rejected: readonly string[];
  /** What stands in the files and would do nothing. */
  readonly warnings: readonly string[];
}

function annotationWarnings(object: KubernetesObject): string[] {
  const kind = object.kind ?? '';
  const where = formatReference(referenceTo(kind, object));
  return annotationFaults(kind, object.metadata).map((fault) => `${where}: ${describeAnnotationFault(fault)}`);
}

/** `told` is how many things had been told of each Service before. */
function compare(
  before: ReadonlyMap<string, string>,
  offline: OfflineController,
  known: ReadonlySet<string>,
  told: ReadonlyMap<string, number>,
): Omit<Plan, 'renewed' | 'warnings'> {
  const after = offline.addresses();
  const services = [...new Set([...before.keys(), ...after.keys()])].sort();
  return {
    changes: services
      .filter((service) => before.get(service) !== after.get(service))
      .map((service) => ({
        service,
        from: before.get(service) ?? '',
        to: after.get(service) ?? '',
        why: offline
          .eventsOf(service)
          .slice(told.get(service) ?? 0)
          .map(({ message }) => message)
          .join('; '),
      })),
    rejected: offline.problems.map(formatProblem).filter((text) => !known.has(text)),
  };
}

function forPeople({ changes, renewed, rejected, warnings }: Plan): string {
  const line = ({ service, from, to, why }: Plan['changes'][number]) =>
    `  ${service}: ${from || 'no address'} -> ${to || 'no address'}${why === '' ? '' : ` (${why})`}`;
  const parts = [
    changes.length === 0
      ? 'No Service would gain, lose or change an address.'
      : ['Services:', ...changes.map(line)].join('\n'),
    ...(renewed.length === 0
      ? []
      : [
          [
            'BGP sessions that would restart:',
            ...renewed.map(({ peer, fields }) => `  ${peer}: because of ${fields.join(', ')}`),
          ].join('\n'),
        ]),
    rejected.length === 0
      ? 'No object would be set aside.'
      : ['Objects that would be set aside:', ...rejected.map((text) => `  ${text}`)].join('\n'),
    ...(warnings.length === 0 ? [] : [['Warnings:', ...warnings.map((text) => `  ${text}`)].join('\n')]),
  ];
  return `${parts.join('\n')}\n`;
}

function isControllers(resource: string | undefined): resource is ControllerResource {
  return (CONTROLLER_RESOURCES as readonly string[]).includes(resource ?? '');
}
