/**
 * What kubelets would do with the Deployment and the DaemonSet of a chart or a manifest: pods, each a process with the arguments, the environment,
 * the Secret and the ServiceAccount's token that its template asks for. The controller runs on the control plane's host, speakers on the nodes.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MERGE_PATCH } from '../../src/adapters/kubernetes/client.ts';
import { objectPath } from '../../src/adapters/kubernetes/resources.ts';
import type { KubernetesObject } from '../../src/core/api/kubernetes.ts';
import { type LanHost, SWITCH_ADDRESS } from '../net/lan.ts';
import { type LabProcess, must, run, start } from '../net/shell.ts';
import { until } from '../net/waiting.ts';
import type { Cluster } from './cluster.ts';
import { writeTokenKubeconfig } from './real-api.ts';

const METALLB = resolve(import.meta.dirname, '../../bin/metallb');

interface Workload extends KubernetesObject {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly hostNetwork?: boolean;
        readonly containers: readonly {
          readonly name: string;
          readonly image: string;
          readonly args: readonly string[];
          readonly env: readonly {
            readonly name: string;
            readonly value?: string;
            readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
          }[];
        }[];
        readonly volumes?: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
      };
    };
  };
}

export class ChartPods {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #directory: string;
  readonly #processes: LabProcess[] = [];
  readonly #pods: string[] = [];

  constructor(cluster: Cluster, namespace: string, directory: string) {
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  /** Starts everything, and resolves when every process is ready. */
  async start(): Promise<void> {
    const list = this.#kubectl('get', 'deployments,daemonsets', '-o', 'json');
    const workloads = (JSON.parse(list) as { items: Workload[] }).items;
    const controller = workloads.find(({ kind }) => kind === 'Deployment');
    if (controller !== undefined) {
      this.#connectWebhooks();
      await this.#startPod(controller, undefined);
    }
    const speakers = workloads.find(({ kind }) => kind === 'DaemonSet');
    if (speakers !== undefined) for (const node of this.#cluster.nodes) await this.#startPod(speakers, node);
  }

  async stop(): Promise<void> {
    for (const process of this.#processes) await process.stop();
    for (const pod of this.#pods)
      this.#kubectl('delete', 'pod', pod, '--grace-period=0', '--force', '--ignore-not-found');
    run(['nft', 'delete', 'table', 'ip', 'webhooks']);
  }

  async #startPod(workload: Workload, node: LanHost | undefined): Promise<void> {
    const { metadata, spec } = workload.spec.template;
    const suffix = Math.random().toString(36).slice(2, 7);
    const name = `${workload.metadata.name}-${node === undefined ? '7f6b8b7fdd-' : ''}${suffix}`;
    const address = node?.address ?? SWITCH_ADDRESS;
    const { args, env, image, name: container } = spec.containers[0]!;
    const nodeName = node?.name ?? this.#cluster.nodes[0]!.name;
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: this.#namespace, labels: metadata.labels },
      spec: { nodeName, hostNetwork: spec.hostNetwork === true, containers: [{ name: container, image }] },
    };
    this.#cluster.apply(JSON.stringify(pod));
    this.#pods.push(name);
    const fields: Readonly<Record<string, string>> = {
      'metadata.name': name,
      'metadata.namespace': this.#namespace,
      'spec.nodeName': nodeName,
      'status.hostIP': address,
      'status.podIP': address,
    };
    const given = Object.fromEntries(
      env.map(({ name: variable, value, valueFrom }) => [variable, value ?? fields[valueFrom!.fieldRef.fieldPath]!]),
    );
    const secret = spec.volumes?.find((volume) => volume.secret !== undefined)?.secret?.secretName;
    const own = { ...given, ...(secret !== undefined && { METALLB_ML_SECRET_KEY_PATH: await this.#mount(secret) }) };
    const kubeconfig = join(this.#directory, `${name}.kubeconfig`);
    writeTokenKubeconfig(this.#cluster.kubeconfig, this.#namespace, spec.serviceAccountName, kubeconfig);
    const log = join(this.#directory, `${name}.log`);
    const command = [METALLB, ...args];
    const variables = { ...own, KUBECONFIG: kubeconfig };
    this.#processes.push(
      node === undefined ? start(name, command, log, variables) : node.start(name, command, log, variables),
    );
    const probe = ['curl', '-s', '-f', '-o', '/dev/null', '--max-time', '10', 'http://127.0.0.1:17472/readyz'];
    await this.#tell(name, address, false);
    await until(
      `${name} is ready`,
      async () => (node === undefined ? run(probe) : await node.runAsync(probe)).status === 0,
      { patience: 30_000 },
    );
    await this.#tell(name, address, true);
  }

  async #tell(name: string, address: string, isReady: boolean): Promise<void> {
    const ready = isReady ? 'True' : 'False';
    const state = { running: { startedAt: new Date().toISOString() } };
    const container = { name: 'c', image: '', imageID: '', restartCount: 0, ready: isReady, started: true, state };
    const status = {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: ready }],
      containerStatuses: [container],
    };
    const path = objectPath('pods', `${this.#namespace}/${name}`, 'status');
    await this.#cluster.kubernetes.request({ method: 'PATCH', path, contentType: MERGE_PATCH, body: { status } });
  }

  /** A Secret as files; a pod waits for one that is yet to be made. */
  async #mount(secret: string): Promise<string> {
    const get = ['get', 'secret', secret, '-n', this.#namespace, '-o', 'json'];
    const text = await until(`the Secret ${secret}`, () => {
      const { status, stdout } = this.#cluster.kubectl(get);
      return status === 0 && stdout;
    });
    const { data } = JSON.parse(text) as { data: Record<string, string> };
    const folder = join(this.#directory, secret);
    mkdirSync(folder, { recursive: true });
    for (const [file, value] of Object.entries(data))
      writeFileSync(join(folder, file), Buffer.from(value, 'base64'), { mode: 0o600 });
    return folder;
  }

  /** What kube-proxy would do on the API server's host. */
  #connectWebhooks(): void {
    const service = ['get', 'service', 'metallb-webhook-service', '-o', 'jsonpath={.spec.clusterIP}'];
    const address = this.#kubectl(...service);
    run(['nft', 'delete', 'table', 'ip', 'webhooks']);
    // A packet has to have some way before it can be sent another one.
    must(['ip', 'route', 'replace', '10.96.0.0/12', 'dev', 'br0']);
    must(['nft', '-f', '-'], {
      input: `table ip webhooks {
        chain output { type nat hook output priority -100; ip daddr ${address} tcp dport 443 dnat to ${SWITCH_ADDRESS}:9443; }
      }`,
    });
  }

  #kubectl(...args: string[]): string {
    const { status, stdout, stderr } = this.#cluster.kubectl(['-n', this.#namespace, ...args]);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }
}
