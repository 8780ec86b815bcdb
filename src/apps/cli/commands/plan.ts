/**
 * `metallb plan -f FILES`: what applying the files would do to addresses and objects.
 * @module
 */
import type { Command } from 'commander';
import { ApiError } from '../../../adapters/kubernetes/client.ts';
import { refusalsOf } from '../../../core/admission/admission.ts';
import { annotationFaults } from '../../../core/api/annotation-faults.ts';
import { POOL_ANNOTATION } from '../../../core/api/annotations.ts';
import { BGP_PEER_VERSIONS, convertBgpPeer } from '../../../core/api/bgp-peer-conversion.ts';
import { referenceTo } from '../../../core/api/kind.ts';
import type { KubernetesObject } from '../../../core/api/kubernetes.ts';
import { formatProblem, formatReference } from '../../../core/api/problem.ts';
import { oneLine } from '../../../core/api/text.ts';
import { renewals } from '../../../core/bgp/peers/peer-change.ts';
import { elsewhere, inOneNamespace } from '../../../core/config/namespace.ts';
import { isConfigResource, kindOf, resourceOfKind } from '../../../core/config/resolve.ts';
import type { ControllerResource } from '../../../core/controller/state.ts';
import { CONTROLLER_RESOURCES } from '../../../core/controller/state.ts';
import { OfflineController } from '../../../core/offline/offline-controller.ts';
import { describeAnnotationFault } from '../../../core/reasons/annotations.ts';
import type { EventNote } from '../../../core/reasons/reasons.ts';
import { bgpEngine, secondsFlag } from '../common.ts';
import { isTrue } from '../flags.ts';
import {
  openSnapshot,
  readObjects,
  readWorkloads,
  resourceOf,
  type SnapshotOptions,
  withNamespace,
} from '../snapshot.ts';
import { show } from '../terminal.ts';

interface Options extends SnapshotOptions {
  readonly filename: string[];
  readonly lbClass: string;
  readonly poolChangeGrace: string;
  readonly keepAddressUntilServed?: boolean;
  readonly bgpType?: string;
  readonly shareAcrossNamespaces: string;
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
    .option(
      '--pool-change-grace <seconds>',
      'the controller’s --pool-change-grace; 0 if the files are applied more slowly than that',
      '5',
    )
    .option('--keep-address-until-served', 'the controller has --keep-address-until-served')
    .option(
      '--bgp-type <type>',
      'METALLB_BGP_TYPE of the speakers (default: that variable, or what their DaemonSet has)',
    )
    .option('--share-across-namespaces <boolean>', 'the controller’s --share-across-namespaces', 'true')
    .option('-o, --output <format>', 'json')
    .action(async (options: Options) => {
      const here = inOneNamespace(await openSnapshot(options), options.namespace);
      const engine = bgpEngine(options.bgpType ?? process.env.METALLB_BGP_TYPE ?? (await typeOfSpeakers(options)));
      const offline = new OfflineController(here.objects, {
        namespace: here.namespace,
        shareAcrossNamespaces: isTrue('share-across-namespaces', options.shareAcrossNamespaces),
        loadBalancerClass: options.lbClass,
        poolChangeGrace: secondsFlag({ 'pool-change-grace': options.poolChangeGrace }, 'pool-change-grace') * 1000,
        keepUntilServed: options.keepAddressUntilServed === true,
        bgpEngine: engine,
      });
      // What the cluster is about to do anyway is not the files' doing.
      offline.settle();
      const before = stateOf(offline);
      const { peers } = offline.config;
      const known = new Set([...offline.problems, ...offline.remarks].map(formatProblem));
      const objects = (await readObjects(options.filename)).map(withNamespace).map(inStoredVersion);
      const misplaced: string[] = [];
      for (const object of objects) {
        const resource = resourceOf(object);
        if (!isControllers(resource)) continue;
        const isElsewhere =
          isConfigResource(resource) && object.metadata.namespace !== (here.namespace ?? object.metadata.namespace);
        if (isElsewhere) misplaced.push(formatProblem(elsewhere(kindOf(resource), object, here.namespace!)));
        else offline.apply(resource, object);
      }
      offline.settle();
      const renewed = renewals(peers, offline.config.peers).map(({ after: { name }, fields }) => ({
        peer: name,
        fields,
      }));
      const written = objects.flatMap((object) => {
        const resource = resourceOfKind(object.kind ?? '');
        return resource === undefined ? [] : [{ resource, object }];
      });
      const stored = { ...offline.objects, nodes: here.objects.nodes };
      const refused = refusalsOf(written, stored, engine).map(formatProblem);
      const { warnings, ...changed } = compare(before, offline, known);
      const plan = {
        ...changed,
        renewed,
        refused: [...misplaced, ...refused],
        warnings: [...objects.flatMap(annotationWarnings), ...warnings],
      };
      show(options.output === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : forPeople(plan));
    });
}

interface Plan {
  readonly changes: readonly {
    readonly service: string;
    readonly from: string;
    readonly to: string;
    readonly why: string;
  }[];
  /** Services that would keep their address, and what else would happen to them. */
  readonly kept: readonly { readonly service: string; readonly address: string; readonly what: string }[];
  /** BGPPeers whose sessions would restart, and the changed fields that are the reason. */
  readonly renewed: readonly { readonly peer: string; readonly fields: readonly string[] }[];
  /** What the webhook refuses to store. */
  readonly refused: readonly string[];
  /** What would be set aside if it were stored. */
  readonly rejected: readonly string[];
  /** What stands in the files and would do nothing. */
  readonly warnings: readonly string[];
}

function annotationWarnings(object: KubernetesObject): string[] {
  const kind = object.kind ?? '';
  const where = formatReference(referenceTo(kind, object));
  return annotationFaults(kind, object.metadata).map((fault) => `${where}: ${describeAnnotationFault(fault)}`);
}

/** One Service at one moment. */
interface Held {
  readonly address: string;
  readonly pool: string;
  /** How many things have been told of it. */
  readonly told: number;
}

const NOTHING: Held = { address: '', pool: '', told: 0 };

function stateOf(offline: OfflineController): ReadonlyMap<string, Held> {
  const addresses = offline.addresses();
  return new Map(
    [...offline.services].map((key) => {
      const pool = offline.service(key)?.metadata.annotations?.[POOL_ANNOTATION] ?? '';
      return [key, { address: addresses.get(key) ?? '', pool, told: offline.eventsOf(key).length }];
    }),
  );
}

/** Tells of an address that the Service has or gets, and cannot use. */
function isUseless({ reason }: EventNote): boolean {
  return reason === 'notAdvertised' || reason === 'foreignAddress';
}

function compare(
  before: ReadonlyMap<string, Held>,
  offline: OfflineController,
  known: ReadonlySet<string>,
): Omit<Plan, 'renewed' | 'refused'> {
  const services = [...stateOf(offline)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, after]) => {
      const old = before.get(service) ?? NOTHING;
      const told = offline.eventsOf(service).slice(old.told);
      const [useless, others] = [told.filter(isUseless), told.filter((note) => !isUseless(note))];
      return { service, old, after, useless, why: others.map(({ message }) => message).join('; ') };
    });
  return {
    changes: services
      .filter(({ old, after }) => old.address !== after.address)
      .map(({ service, old, after, why }) => ({ service, from: old.address, to: after.address, why })),
    kept: services
      .filter(({ old, after }) => old.address !== '' && old.address === after.address)
      .map(({ service, old, after, why }) => {
        const move = old.pool === after.pool ? '' : `of pool "${after.pool}" instead of "${old.pool}"`;
        return { service, address: old.address, what: [move, why].filter(Boolean).join('; ') };
      })
      .filter(({ what }) => what !== ''),
    rejected: offline.problems.map(formatProblem).filter((text) => !known.has(text)),
    warnings: [
      ...offline.remarks.map(formatProblem).filter((text) => !known.has(text)),
      ...services.flatMap(({ service, useless }) => useless.map(({ message }) => `Service ${service}: ${message}`)),
    ],
  };
}

function forPeople({ changes, kept, renewed, refused, rejected, warnings }: Plan): string {
  const line = ({ service, from, to, why }: Plan['changes'][number]) =>
    `${service}: ${from || 'no address'} -> ${to || 'no address'}${why === '' ? '' : ` (${why})`}`;
  const setAside = rejected.filter((text) => !refused.some((refusal) => text.startsWith(refusal)));
  const parts = [
    changes.length === 0
      ? 'No Service would gain, lose or change an address.'
      : list('Services:', changes.map(line)).join('\n'),
    ...list(
      'Services that would keep their address:',
      kept.map(({ service, address, what }) => `${service}: ${address} (${what})`),
    ),
    ...list(
      'BGP sessions that would restart:',
      renewed.map(({ peer, fields }) => `${peer}: because of ${fields.join(', ')}`),
    ),
    ...list('Objects that the webhook would refuse:', refused),
    setAside.length === 0
      ? 'No object would be set aside.'
      : list('Objects that would be set aside:', setAside).join('\n'),
    ...list('Warnings:', warnings),
  ];
  return `${parts.join('\n')}\n`;
}

function list(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [[title, ...lines.map((line) => `  ${oneLine(line)}`)].join('\n')];
}

/** BGPPeer is the one kind with more than one version. */
function inStoredVersion(object: KubernetesObject): KubernetesObject {
  const isOld = object.kind === 'BGPPeer' && object.apiVersion === BGP_PEER_VERSIONS.old;
  return isOld ? (convertBgpPeer(object, BGP_PEER_VERSIONS.current) ?? object) : object;
}

/** METALLB_BGP_TYPE in some DaemonSet; who may not read them is told nothing. */
async function typeOfSpeakers(options: SnapshotOptions): Promise<string | undefined> {
  try {
    const containers = (await readWorkloads(options, ['DaemonSet'])).flatMap(
      ({ spec }) => spec?.template?.spec?.containers ?? [],
    );
    const variables = containers.flatMap(({ env }) => env ?? []);
    return variables.find(({ name }) => name === 'METALLB_BGP_TYPE')?.value;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

function isControllers(resource: string | undefined): resource is ControllerResource {
  return (CONTROLLER_RESOURCES as readonly string[]).includes(resource ?? '');
}
