/**
 * `metallb install` and `metallb uninstall`: everything with one command, the first pool with it.
 * @module
 */
import { networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { realClock, sleep } from '../../../adapters/driver/clock.ts';
import { shippedManifest } from '../../../adapters/files/shipped-manifest.ts';
import { formatYaml } from '../../../adapters/files/yaml.ts';
import { apply, remove } from '../../../adapters/kubernetes/apply.ts';
import { ApiError, KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import { collectionPath, objectPath } from '../../../adapters/kubernetes/resources.ts';
import type { KubernetesObject, Node } from '../../../core/api/kubernetes.ts';
import type { Finding } from '../../../core/doctor/checks.ts';
import {
  addressProblems,
  type NodeAddress,
  type Subnet,
  splitAddresses,
  subnetsOf,
  suggestion,
} from '../../../core/installation/addresses.ts';
import { type DeploymentFacts, examineCluster, isByHelm } from '../../../core/installation/cluster-checks.ts';
import { installation, SHIPPED_NAMESPACE } from '../../../core/installation/manifest.ts';
import { parseAddress } from '../../../core/net/address.ts';
import { parsePrefix } from '../../../core/net/prefix.ts';
import { CliError } from '../errors.ts';
import { listIfAny } from '../snapshot.ts';
import { complain, show, showDocument } from '../terminal.ts';

interface InstallOptions {
  readonly addresses?: string;
  readonly namespace: string;
  readonly image?: string;
  readonly pool: string;
  readonly print?: boolean;
  readonly allowOutside?: boolean;
  readonly force?: boolean;
  readonly wait?: string;
  readonly kubeconfig?: string;
}

const FIELD_MANAGER = 'metallb-install';

export function addInstallCommand(program: Command): void {
  program
    .command('install')
    .description('apply everything with a first pool: one command from a bare cluster to Services with addresses')
    .option(
      '--addresses <ranges>',
      'addresses to give out, for example 192.168.1.240-192.168.1.250; commas between several',
    )
    .option('--namespace <name>', 'namespace to install into', SHIPPED_NAMESPACE)
    .option('--image <image>', 'image to use instead of the one of this version')
    .option('--pool <name>', 'name of the first IPAddressPool and L2Advertisement', 'default')
    .option('--print', 'print the manifests instead of applying them')
    .option('--allow-outside', 'the addresses may be outside the nodes’ network: routers know the way')
    .option('--force', 'install although something is in the way')
    .option('--wait <seconds>', 'wait until controller and speakers are ready')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .action(install);
}

export function addUninstallCommand(program: Command): void {
  program
    .command('uninstall')
    .description('remove what install has applied; your pools and the CRDs stay')
    .option('--namespace <name>', 'namespace it runs in', SHIPPED_NAMESPACE)
    .option('--all', 'the CRDs, with every pool and advertisement, and the namespace as well')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .action(uninstall);
}

async function install(options: InstallOptions): Promise<void> {
  const { namespace, image, pool, print, force } = options;
  const client = connect(options, print === true);
  const cluster = client === undefined ? undefined : await inspectCluster(client, print === true);
  if (cluster === undefined) complain('no cluster answers; the addresses are not checked against its nodes\n');
  const subnets = cluster?.subnets ?? [];
  const findings = cluster?.findings ?? [];
  if (findings.length > 0) {
    const told = findings.map(describe).join('\n');
    if (force !== true && print !== true)
      throw new CliError(
        `nothing was installed because something is in the way:\n${told}\n--force installs all the same`,
      );
    complain(`${told}\n`);
  }
  const hasPools = (cluster?.pools ?? 0) > 0;
  const entries = hasPools && options.addresses === undefined ? [] : await chooseAddresses(options, subnets);
  const objects = installation(shippedManifest(), { namespace, image, addresses: entries, pool });
  if (print === true) {
    showDocument(objects.map((object) => formatYaml(object)).join('---\n'));
    return;
  }
  for (const object of objects) {
    await apply(client!, object, FIELD_MANAGER);
    show(`applied ${nameOf(object)}\n`);
  }
  if (options.wait !== undefined) await untilReady(client!, namespace, options.wait);
  show(
    entries.length === 0
      ? `MetalLB is installed in namespace ${namespace}; the pools that were there are used as they are.\n`
      : `MetalLB is installed in namespace ${namespace} and gives out ${entries.join(', ')}.\n`,
  );
  show(
    `Next: kubectl -n ${namespace} get pods; then any Service of type LoadBalancer has an address. metallb explain service NAMESPACE/NAME says why it has none.\n`,
  );
}

async function uninstall({ namespace, all, kubeconfig }: { namespace: string; all?: boolean; kubeconfig?: string }) {
  const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-install');
  const deployments = await client.list(collectionPath('deployments', namespace));
  const byHelm = deployments.map(workloadFacts).find(isByHelm);
  if (byHelm !== undefined) throw new CliError(`${namespace}/${byHelm.name} was installed by Helm; use helm uninstall`);
  const choices = { namespace, image: undefined, addresses: [], pool: '' };
  const objects = installation(shippedManifest(), choices).reverse();
  const stays = ({ kind }: KubernetesObject) => kind === 'CustomResourceDefinition' || kind === 'Namespace';
  for (const object of objects.filter((each) => all === true || !stays(each)))
    if (await remove(client, object)) show(`removed ${nameOf(object)}\n`);
  show(
    all === true
      ? 'Nothing of MetalLB is left. Services keep the addresses in their status until somebody else gives them others.\n'
      : `Your pools, advertisements and peers stay in namespace ${namespace}, with their CRDs; --all takes them too.\n`,
  );
}

/** Without a kubeconfig there is still something to print. */
function connect({ kubeconfig }: InstallOptions, mayBeMissing: boolean): KubernetesClient | undefined {
  try {
    return new KubernetesClient(Connection.open(kubeconfig), 'metallb-install');
  } catch (error) {
    if (mayBeMissing) return undefined;
    throw error;
  }
}

interface Cluster {
  readonly subnets: readonly Subnet[];
  readonly findings: readonly Finding[];
  readonly pools: number;
}

async function inspectCluster(client: KubernetesClient, mayBeMissing: boolean): Promise<Cluster | undefined> {
  try {
    const [nodes, pods, deployments, daemonSets, kubeProxy, pools] = await Promise.all([
      client.list(collectionPath('nodes')),
      client.list(collectionPath('pods'), { labelSelector: 'svccontroller.k3s.cattle.io/svcname' }),
      client.list(collectionPath('deployments')),
      client.list(collectionPath('daemonsets')),
      kubeProxyConfig(client),
      listIfAny(client, collectionPath('ipaddresspools')),
    ]);
    return {
      subnets: subnetsOf(nodes.flatMap(addressesOf), ownPrefixes()),
      findings: examineCluster({
        serviceLb: pods.map(({ metadata }) => metadata.name),
        kubeProxy,
        deployments: deployments.map(workloadFacts),
        daemonSets: daemonSets.map(workloadFacts),
      }),
      pools: pools.length,
    };
  } catch (error) {
    if (mayBeMissing && error instanceof ApiError && error.status === 0) return undefined;
    throw error;
  }
}

async function kubeProxyConfig(client: KubernetesClient): Promise<string | undefined> {
  try {
    const path = objectPath('configmaps', 'kube-system/kube-proxy');
    const { data } = await client.request<KubernetesObject & { data?: Record<string, string> }>({ path });
    return data?.['config.conf'];
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return undefined;
    throw error;
  }
}

function addressesOf(object: KubernetesObject): NodeAddress[] {
  const { metadata, status } = object as Node;
  return (status?.addresses ?? []).flatMap(({ type, address }) => {
    const parsed = type === 'InternalIP' ? parseAddress(address) : undefined;
    return parsed === undefined ? [] : [{ node: metadata.name, address: parsed }];
  });
}

interface WithTemplate extends KubernetesObject {
  readonly spec?: { readonly template?: { readonly spec?: { readonly containers?: readonly Container[] } } };
}

interface Container {
  readonly image?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

function workloadFacts(object: KubernetesObject): DeploymentFacts {
  const { metadata, spec } = object as WithTemplate;
  const containers = spec?.template?.spec?.containers ?? [];
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    labels: metadata.labels ?? {},
    images: containers.map(({ image = '' }) => image),
    switches: containers.flatMap(({ env = [] }) => env.filter(({ value }) => value === 'true').map(({ name }) => name)),
  };
}

/** Prefixes of this machine's links, without those of containers: where it is a node, they say how long the network's is. */
function ownPrefixes() {
  return Object.values(networkInterfaces())
    .flatMap((addresses = []) => addresses)
    .filter(({ internal, cidr }) => !internal && cidr !== null)
    .flatMap(({ cidr }) => {
      const [address, length] = cidr!.split('/');
      const isHost = length === '32' || length === '128';
      const prefix = isHost ? undefined : parsePrefix(`${address}/${length}`);
      return prefix === undefined ? [] : [prefix];
    });
}

async function chooseAddresses(options: InstallOptions, subnets: readonly Subnet[]): Promise<readonly string[]> {
  const text = options.addresses ?? (await ask(subnets));
  const entries = splitAddresses(text);
  const problems = addressProblems(entries, subnets, options.allowOutside === true);
  if (problems.length > 0) throw new CliError(problems.map((problem) => `--addresses: ${problem}`).join('\n'), 2);
  return entries;
}

async function ask(subnets: readonly Subnet[]): Promise<string> {
  const proposal = suggestion(subnets);
  if (process.stdin.isTTY !== true)
    throw new CliError(
      `--addresses is missing; give addresses of the nodes’ network that your DHCP server leaves alone${proposal === undefined ? '' : `, for example ${proposal}`}`,
      2,
    );
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const shown = proposal === undefined ? '' : ` [${proposal}]`;
  const answer = await terminal.question(
    `Which addresses may Services have? They have to be free, and outside of what your DHCP server gives out${shown}: `,
  );
  terminal.close();
  return answer.trim() || (proposal ?? '');
}

interface Workload extends KubernetesObject {
  readonly status?: {
    readonly availableReplicas?: number;
    readonly desiredNumberScheduled?: number;
    readonly numberReady?: number;
  };
}

async function untilReady(client: KubernetesClient, namespace: string, text: string): Promise<void> {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new CliError(`--wait: ${JSON.stringify(text)} is not a number of seconds; give one above 0`, 2);
  const read = (resource: 'deployments' | 'daemonsets', name: string) =>
    client.request<Workload>({ path: objectPath(resource, `${namespace}/${name}`) });
  let state = '';
  const clock = realClock();
  for (const end = clock.now() + seconds * 1000; clock.now() < end; ) {
    const [controller, speaker] = await Promise.all([read('deployments', 'controller'), read('daemonsets', 'speaker')]);
    const available = controller.status?.availableReplicas ?? 0;
    const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0 } = speaker.status ?? {};
    if (available > 0 && wanted > 0 && ready >= wanted) return;
    state = `controller: ${available} of 1 available; speakers: ${ready} of ${wanted} ready`;
    await sleep(clock, 500);
  }
  throw new CliError(`not ready after ${text} s (${state}); kubectl -n ${namespace} describe pods says why`);
}

function describe({ check, detail, cure }: Finding): string {
  return `✘ ${check}: ${detail}${cure === undefined ? '' : `\n    ${cure}`}`;
}

function nameOf({ kind, metadata: { namespace, name } }: KubernetesObject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
