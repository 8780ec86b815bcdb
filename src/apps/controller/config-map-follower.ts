/**
 * `--config-map`: keeps the custom resources as a ConfigMap in the format before 0.13 says.
 * @module
 */
import { parseYaml } from '../../adapters/files/yaml.ts';
import { APPLY_PATCH, type KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { Reflector } from '../../adapters/kubernetes/reflector.ts';
import { collectionPath, objectPath } from '../../adapters/kubernetes/resources.ts';
import type { Log } from '../../adapters/log/log.ts';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { formatFault, type Problem } from '../../core/api/problem.ts';
import { CONFIG_RESOURCES, type ConfigResource } from '../../core/config/resolve.ts';
import { type ConfigMapPlan, planConfigMap } from '../../core/migration/config-map.ts';
import { type EventNote, type EventTarget, eventTarget } from '../../core/reasons/reasons.ts';

export interface ConfigMapFollowerOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly name: string;
  readonly log: Log;
  readonly tell: (target: EventTarget, note: EventNote) => void;
  /** What is wrong with the ConfigMap now. */
  readonly onProblems: (problems: readonly Problem[]) => void;
}

type ConfigMap = KubernetesObject & { readonly data?: { readonly config?: string } };

const FIELD_MANAGER = 'metallb-config-map';
/** Milliseconds until a failed attempt is made again. */
const RETRY = 5000;

export class ConfigMapFollower {
  readonly #options: ConfigMapFollowerOptions;
  readonly #reflector: Reflector;
  #wanted: ConfigMap | undefined;
  #busy = false;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;
  #told = '';

  constructor(options: ConfigMapFollowerOptions) {
    this.#options = options;
    const { client, namespace, name, log } = options;
    this.#reflector = new Reflector({
      client,
      resource: 'configmaps',
      namespace,
      fieldSelector: `metadata.name=${name}`,
      onChange: (change) => {
        if (change.kind === 'applied') this.#follow(change.object);
        else if (change.kind === 'replaced' && change.objects[0] !== undefined) this.#follow(change.objects[0]);
        else
          log.warn(
            { event: 'noConfigMap', configMap: `${namespace}/${name}` },
            'the ConfigMap of --config-map is not there; the resources that were made from it stay',
          );
      },
      onTrouble: (what, message) => log.warn({ event: what, resource: 'configmaps', error: message }, message),
    });
  }

  start(): void {
    this.#reflector.start();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#reflector.stop();
  }

  #follow(configMap: ConfigMap): void {
    this.#wanted = configMap;
    if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    clearTimeout(this.#retry);
    while (this.#wanted !== undefined && !this.#stopped) {
      const configMap = this.#wanted;
      this.#wanted = undefined;
      try {
        await this.#carryOut(configMap);
      } catch (error) {
        const { message } = error as Error;
        this.#options.log.warn({ event: 'configMapNotFollowed', error: message }, message);
        this.#wanted ??= configMap;
        this.#retry = setTimeout(() => void this.#work(), RETRY);
        break;
      }
    }
    this.#busy = false;
  }

  async #carryOut(configMap: ConfigMap): Promise<void> {
    const { client, namespace, log, onProblems } = this.#options;
    const { writes, removals, problems } = await this.#plan(configMap);
    onProblems(problems);
    this.#tell(configMap, problems, writes.length);
    for (const { resource, object } of writes) {
      const path = objectPath(resource, `${namespace}/${object.metadata.name}`);
      const query = { fieldManager: FIELD_MANAGER, force: true };
      await client.request({ method: 'PATCH', path, query, contentType: APPLY_PATCH, body: object });
    }
    for (const { resource, name } of removals) {
      await client.remove(objectPath(resource, `${namespace}/${name}`));
      log.info({ event: 'configMapRemoved', resource, name }, `the ConfigMap no longer has ${resource} ${name}`);
    }
  }

  async #plan(configMap: ConfigMap): Promise<ConfigMapPlan> {
    const { client, namespace, name } = this.#options;
    const fault = (message: string, cure: string): ConfigMapPlan => {
      const object = { kind: 'ConfigMap', namespace, name };
      const consequence = 'until then the last good version stays in force';
      return {
        writes: [],
        removals: [],
        problems: [{ object, field: 'data.config', value: '', message, cure, consequence }],
      };
    };
    if (configMap.data?.config === undefined)
      return fault('the ConfigMap has no key config', 'put the configuration there, as MetalLB before 0.13 had it');
    let document: unknown;
    try {
      document = parseYaml(configMap.data.config);
    } catch (error) {
      return fault(`this is not YAML: ${(error as Error).message.split('\n')[0]}`, 'fix it');
    }
    const list = async (resource: ConfigResource) =>
      [resource, await client.list(collectionPath(resource, namespace))] as const;
    const present = Object.fromEntries(await Promise.all(CONFIG_RESOURCES.map(list)));
    return planConfigMap(document, name, namespace, present);
  }

  /** Once for each state of affairs. */
  #tell(configMap: ConfigMap, problems: readonly Problem[], count: number): void {
    const note: EventNote =
      problems.length > 0
        ? { reason: 'InvalidConfiguration', message: problems.map(formatFault).join('\n') }
        : { reason: 'ConfigurationConverted', message: `${count} resources match this ConfigMap` };
    const text = JSON.stringify([configMap.metadata.uid, note]);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.tell(eventTarget('v1', 'ConfigMap', configMap), note);
  }
}
