/**
 * MetalLB's own controller and speakers on the lab's LAN, as their pods would run them.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LanHost } from '../net/lan.ts';
import { type LabProcess, start } from '../net/shell.ts';
import type { Cluster } from './cluster.ts';
import { findTool, METALLB_CONTROLLER, METALLB_SPEAKER } from './go-tool.ts';

export class Upstream {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #directory: string;
  readonly #programs: { readonly controller: string; readonly speaker: string };
  #controller: LabProcess | undefined;
  readonly #speakers = new Map<string, LabProcess>();

  /** Throws, in words, when its programs cannot be had. */
  constructor(cluster: Cluster, namespace: string, directory: string) {
    const [controller, speaker] = [findTool(METALLB_CONTROLLER), findTool(METALLB_SPEAKER)];
    if (typeof controller === 'string') throw new Error(controller);
    if (typeof speaker === 'string') throw new Error(speaker);
    this.#programs = { controller: controller.path, speaker: speaker.path };
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#directory = directory;
  }

  /** The pods that its processes want to find themselves in, and the key that its speakers share. */
  async prepare(): Promise<void> {
    mkdirSync(this.keyFolder, { recursive: true });
    writeFileSync(join(this.keyFolder, 'secretkey'), 'c2VjcmV0IG9mIHRoZSBzd2Fw', { mode: 0o600 });
    await this.#cluster.addPod(this.#namespace, 'their-controller', this.#cluster.nodes[0]!, {
      app: 'metallb',
      component: 'controller',
    });
    for (const node of this.#cluster.nodes)
      await this.#cluster.addPod(this.#namespace, `their-${node.name}`, node, { app: 'metallb', component: 'speaker' });
  }

  get keyFolder(): string {
    return join(this.#directory, 'their-key');
  }

  start(): void {
    const env = { ...this.#env, METALLB_POD_NAME: 'their-controller' };
    const flags = [...this.#flags, '--webhook-mode=disabled'];
    const log = join(this.#directory, 'their-controller.log');
    this.#controller = start('their-controller', [this.#programs.controller, ...flags], log, env);
    for (const node of this.#cluster.nodes) this.startSpeaker(node);
  }

  startSpeaker(node: LanHost): void {
    const name = `their-${node.name}`;
    const env = {
      ...this.#env,
      METALLB_NODE_NAME: node.name,
      METALLB_POD_NAME: name,
      METALLB_HOST: node.address,
      METALLB_ML_BIND_ADDR: node.address,
      METALLB_ML_LABELS: 'app=metallb,component=speaker',
      METALLB_ML_SECRET_KEY_PATH: this.keyFolder,
    };
    const command = [this.#programs.speaker, ...this.#flags, `--host=${node.address}`];
    this.#speakers.set(node.name, node.start(name, command, join(this.#directory, `${name}.log`), env));
  }

  speaker(node: LanHost): LabProcess {
    return this.#speakers.get(node.name)!;
  }

  async stop(): Promise<void> {
    for (const process of [this.#controller, ...this.#speakers.values()]) await process?.stop();
  }

  get #flags(): string[] {
    return [`--namespace=${this.#namespace}`, '--port=0'];
  }

  get #env(): NodeJS.ProcessEnv {
    return { KUBECONFIG: this.#cluster.kubeconfig, METALLB_BGP_TYPE: 'native', METALLB_NAMESPACE: this.#namespace };
  }
}
