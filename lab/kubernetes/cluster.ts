/**
 * A whole cluster on the LAN: embedded API, controller and one speaker per node as processes, and the stand-in for the
 * rest of Kubernetes. What the demo shows and what the lab tests use.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseAllYaml } from '../../src/adapters/files/yaml.ts';
import { KubernetesClient, MERGE_PATCH } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { collectionPath, objectPath } from '../../src/adapters/kubernetes/resources.ts';
import type { KubernetesObject } from '../../src/core/api/kubernetes.ts';
import { addHost, createLan, type LanHost, removeLan, SWITCH_ADDRESS } from '../net/lan.ts';
import { type LabProcess, must, type Result, run, start } from '../net/shell.ts';
import { until } from '../net/waiting.ts';
import { findTool, HELM } from './go-tool.ts';
import { findBinaries, type RealApi, startRealApi, writeTokenKubeconfig } from './real-api.ts';
import { StandIn } from './stand-in.ts';

const METALLB = resolve(import.meta.dirname, '../../bin/metallb');
export const MANIFESTS = resolve(import.meta.dirname, '../manifests');

/**
 * Set to `real`, the clusters of the lab have a real kube-apiserver, and controller and speakers run with the ServiceAccounts of the chart and
 * nothing more. The binaries have to be there already: a sandbox reaches no module proxy.
 */
const API_ENV = 'METALLB_LAB_API';
export const hasRealApi = process.env[API_ENV] === 'real';

export interface ClusterOptions {
  readonly directory: string;
  readonly nodes: number;
  /** Namespace of the MetalLB configuration. */
  readonly namespace?: string;
  /** Extra flags for every speaker. */
  readonly speakerFlags?: readonly string[];
  /** On a real API server: nothing of the chart is there yet, not even the rights. */
  readonly bare?: boolean;
  /** How controller and speakers are started instead of from this checkout: the whole command for a process and its arguments. */
  readonly program?: (component: 'controller' | 'speaker', name: string, args: readonly string[]) => readonly string[];
}

export class Cluster {
  readonly directory: string;
  readonly kubeconfig: string;
  readonly nodes: readonly LanHost[];
  readonly client: LanHost;
  readonly speakers = new Map<string, LabProcess>();
  #api: LabProcess | undefined;
  #realApi: RealApi | undefined;
  #wasKilled = false;
  #controller: LabProcess | undefined;
  #standIn: StandIn | undefined;
  #kubernetes: KubernetesClient | undefined;
  readonly #namespace: string;
  readonly #speakerFlags: readonly string[];
  readonly #bare: boolean;
  readonly #program: NonNullable<ClusterOptions['program']>;

  /** Builds the LAN; nothing runs on it yet. To be called inside a sandbox. */
  constructor({
    directory,
    nodes,
    namespace = 'metallb-system',
    speakerFlags = [],
    program,
    bare = false,
  }: ClusterOptions) {
    this.directory = directory;
    this.#namespace = namespace;
    this.#speakerFlags = speakerFlags;
    this.#bare = bare;
    this.#program = program ?? ((component, _, args) => [METALLB, component, ...args]);
    this.kubeconfig = join(directory, 'api', 'kubeconfig');
    mkdirSync(directory, { recursive: true });
    createLan();
    this.nodes = Array.from({ length: nodes }, (_, i) =>
      addHost(`node-${i + 1}`, `192.168.1.${11 + i}`, `02:00:5e:00:01:0${i + 1}`),
    );
    this.client = addHost('client', '192.168.1.50', '02:00:5e:00:01:64');
  }

  get kubernetes(): KubernetesClient {
    this.#kubernetes ??= new KubernetesClient(Connection.open(this.kubeconfig), 'lab');
    return this.#kubernetes;
  }

  get controller(): LabProcess | undefined {
    return this.#controller;
  }

  /** Starts the API server and registers the nodes. */
  async startApi(): Promise<void> {
    await this.startApiServer();
    for (const node of this.nodes) {
      const labels = { 'kubernetes.io/hostname': node.name, 'kubernetes.io/os': 'linux' };
      const body = { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name, labels } };
      await this.kubernetes.request({ method: 'POST', path: collectionPath('nodes'), body });
      const status = {
        addresses: [{ type: 'InternalIP', address: node.address }],
        conditions: [{ type: 'Ready', status: 'True' }],
      };
      await this.kubernetes.request({
        method: 'PATCH',
        path: objectPath('nodes', `/${node.name}`, 'status'),
        contentType: MERGE_PATCH,
        body: { status },
      });
    }
  }

  /** Everything that a cluster has: API server, controller, speakers, and the stand-in. */
  async startAll(): Promise<void> {
    await this.startApi();
    this.startController();
    await this.startSpeakers();
    this.startStandIn();
  }

  /** Applies manifests of users, by the names of their files. Throws what kubectl says. */
  applyManifests(...files: readonly string[]): void {
    for (const file of files) {
      const { status, stderr } = this.kubectl(['apply', '-f', join(MANIFESTS, file)]);
      if (status !== 0) throw new Error(stderr);
    }
  }

  /** Applies objects as text. Throws what kubectl says. */
  apply(text: string): string {
    const { status, stdout, stderr } = this.kubectl(['apply', '-f', '-'], text);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }

  /** Only the server process: also how it is started again after `killApiServer`. */
  async startApiServer(): Promise<void> {
    if (this.#realApi !== undefined) return this.#realApi.revive();
    if (hasRealApi) return this.#startRealApi();
    const command = [
      METALLB,
      'standalone',
      '--api-only',
      '--data-dir',
      join(this.directory, 'api'),
      '--listen',
      `${SWITCH_ADDRESS}:7443`,
    ];
    this.#api = start('api', command, join(this.directory, 'api.log'));
    await until(
      'the embedded API answers',
      () => existsSync(this.kubeconfig) && this.kubectl(['get', '--raw', '/readyz']).status === 0,
    );
  }

  async #startRealApi(): Promise<void> {
    const [binaries, helm] = [findBinaries(), findTool(HELM)];
    if (typeof binaries === 'string') throw new Error(binaries);
    if (typeof helm === 'string') throw new Error(helm);
    const place = { address: SWITCH_ADDRESS, port: 7443 };
    this.#realApi = await startRealApi(binaries, join(this.directory, 'api'), place);
    if (this.#bare) return;
    this.kubectl(['create', 'namespace', this.#namespace]);
    const values = ['crds.enabled=false', 'controller.webhookMode=disabled'].flatMap((value) => ['--set', value]);
    const chart = resolve(import.meta.dirname, '../../charts/metallb');
    const text = must([helm.path, 'template', 'metallb', chart, '--namespace', this.#namespace, ...values]);
    // What runs is started by ourselves: of the chart only the rights are wanted.
    const rights = (parseAllYaml(text) as (KubernetesObject | null)[]).filter((object) =>
      /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(object?.kind ?? ''),
    );
    this.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: rights }));
    // Some moments later the authorizer knows it too.
    for (const component of ['controller', 'speaker']) {
      const as = `--as=system:serviceaccount:${this.#namespace}:metallb-${component}`;
      for (const [resource, where] of [
        ['services', '--all-namespaces'],
        ['ipaddresspools', `--namespace=${this.#namespace}`],
      ] as const)
        await until(
          `the ${component} may watch ${resource}`,
          () => this.kubectl(['auth', 'can-i', 'watch', resource, where, as]).status === 0,
        );
    }
  }

  /** The kubeconfig of a process: on a real API server with the token of its ServiceAccount. */
  #kubeconfigOf(component: 'controller' | 'speaker'): string {
    if (!hasRealApi) return this.kubeconfig;
    const file = join(this.directory, 'api', `${component}.kubeconfig`);
    if (!existsSync(file)) writeTokenKubeconfig(this.kubeconfig, this.#namespace, `metallb-${component}`, file);
    return file;
  }

  async killApiServer(): Promise<void> {
    this.#wasKilled = true;
    if (this.#realApi !== undefined) return this.#realApi.kill();
    this.#api?.kill('SIGKILL');
    await this.#api?.exited;
  }

  startController(): void {
    const flags = ['--kubeconfig', this.#kubeconfigOf('controller'), '--namespace', this.#namespace];
    this.#controller = start(
      'controller',
      this.#program('controller', 'controller', flags),
      join(this.directory, 'controller.log'),
    );
  }

  /** Starts a speaker on every node, each as a Pod that the others know of. */
  async startSpeakers(): Promise<void> {
    const key = randomBytes(16).toString('base64').replace(/=+$/, '');
    for (const node of this.nodes) this.writeKeys(node, { secretkey: key });
    await Promise.all(this.nodes.map((node) => this.startSpeaker(node)));
    for (const node of this.nodes) await this.speakerReady(node);
  }

  /** Where the speaker of a node finds its keys. */
  keyDirectory(node: LanHost): string {
    return join(this.directory, 'memberlist', node.name);
  }

  /** All keys of one speaker, exchanged at once as the kubelet does. */
  writeKeys(node: LanHost, keys: Readonly<Record<string, string>>): void {
    const directory = this.keyDirectory(node);
    const version = `..${randomBytes(4).toString('hex')}`;
    mkdirSync(join(directory, version), { recursive: true });
    for (const [name, key] of Object.entries(keys)) writeFileSync(join(directory, version, name), key, { mode: 0o600 });
    symlinkSync(version, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    const linked = readdirSync(directory).filter((name) => !name.startsWith('..'));
    for (const name of linked) if (!(name in keys)) unlinkSync(join(directory, name));
    for (const name of Object.keys(keys))
      if (!linked.includes(name)) symlinkSync(join('..data', name), join(directory, name));
  }

  /** Waits until the speaker of a node knows the cluster. */
  async speakerReady(node: LanHost): Promise<void> {
    const probe = ['curl', '-s', '-f', '-o', '/dev/null', '--max-time', '10', 'http://127.0.0.1:17472/readyz'];
    await until(`the speaker on ${node.name} is ready`, async () => (await node.runAsync(probe)).status === 0);
  }

  async startSpeaker(node: LanHost): Promise<LabProcess> {
    const name = `speaker-${node.name}`;
    await this.addPod(this.#namespace, name, node, { app: 'metallb', component: 'speaker' });
    const flags = [
      '--kubeconfig',
      this.#kubeconfigOf('speaker'),
      '--namespace',
      this.#namespace,
      '--node-name',
      node.name,
    ];
    const liveness = [
      '--ml-bindaddr',
      node.address,
      '--ml-labels',
      'app=metallb,component=speaker',
      '--ml-secret-key-path',
      this.keyDirectory(node),
    ];
    const speaker = node.start(
      name,
      this.#program('speaker', name, [...flags, ...liveness, '--answer-ping', ...this.#speakerFlags]),
      join(this.directory, `${name}.log`),
    );
    this.speakers.set(node.name, speaker);
    return speaker;
  }

  /** A pod on a node's network that runs, as far as the API server knows. It may be there already. */
  async addPod(
    namespace: string,
    name: string,
    node: LanHost,
    labels: Readonly<Record<string, string>>,
  ): Promise<void> {
    const containers = [{ name: 'speaker', image: 'metallb-ts' }];
    const spec = { nodeName: node.name, hostNetwork: true, containers };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec };
    await this.kubernetes
      .request({ method: 'POST', path: collectionPath('pods', namespace), body: pod })
      .catch(() => {});
    const path = objectPath('pods', `${namespace}/${name}`, 'status');
    const body = { status: { phase: 'Running', podIP: node.address } };
    await this.kubernetes.request({ method: 'PATCH', path, contentType: MERGE_PATCH, body });
  }

  startStandIn(): void {
    this.#standIn = new StandIn(this.kubernetes, this.nodes, this.directory);
    this.#standIn.start();
  }

  /** Powers the node off: the speaker and all replicas die at once, and the link goes down. */
  async killNode(node: LanHost): Promise<void> {
    node.unplug();
    this.speakers.get(node.name)?.kill('SIGKILL');
    await this.#standIn?.loseNode(node.name);
  }

  kubectl(args: readonly string[], input?: string): Result {
    const env = { KUBECONFIG: this.kubeconfig };
    return run([process.env.KUBECTL ?? 'kubectl', ...args], input === undefined ? { env } : { env, input });
  }

  /** The node that has this MAC. */
  nodeByMac(mac: string | undefined): LanHost | undefined {
    return this.nodes.find((node) => node.mac === mac);
  }

  /** The address of a Service, as soon as it has one. */
  addressOf(namespace: string, name: string): string | undefined {
    const { stdout } = this.kubectl([
      'get',
      'service',
      '-n',
      namespace,
      name,
      '-o',
      'jsonpath={.status.loadBalancer.ingress[0].ip}',
    ]);
    return stdout || undefined;
  }

  async stop(): Promise<void> {
    await this.#standIn?.stop();
    await Promise.all([...this.speakers.values(), this.#controller].map((process) => process?.stop()));
    await this.#api?.stop();
    await this.#realApi?.stop();
    removeLan([...this.nodes, this.client]);
    // An API server that has just come back refuses everybody until it has read who may do what.
    if (this.#wasKilled) return;
    for (const process of [...this.speakers.values(), this.#controller]) {
      const refused = /[^"]*is forbidden: User [^}]*/.exec(process?.log() ?? '')?.[0];
      if (refused !== undefined) throw new Error(`${process?.name} may not what it does: ${refused}`);
    }
  }
}
