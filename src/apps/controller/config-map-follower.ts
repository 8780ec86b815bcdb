/**
 * `--config-map`: keeps the custom resources as a ConfigMap in the format before 0.13 says.
 * @module
 */
import type { Clock } from '../../adapters/driver/clock.ts';
import { Driver } from '../../adapters/driver/driver.ts';
import { parseYaml } from '../../adapters/files/yaml.ts';
import { type ReflectedChange, Reflector } from '../../adapters/kubernetes/reflector.ts';
import type { ApiTransport } from '../../adapters/kubernetes/transport.ts';
import { Writer } from '../../adapters/kubernetes/writer.ts';
import type { Log } from '../../adapters/log/log.ts';
import type { Problem } from '../../core/api/problem.ts';
import { CONFIG_RESOURCES, type ConfigResource } from '../../core/config/resolve.ts';
import { ORIGIN_LABEL } from '../../core/migration/config-map.ts';
import {
  type ConfigDocument,
  type ConfigMap,
  type ConfigMapInput,
  type ConfigMapOutput,
  type ConfigMapState,
  configMapMachine,
  initialConfigMap,
} from '../../core/migration/config-map-follower.ts';
import type { EventNote, EventTarget } from '../../core/reasons/reasons.ts';

export interface ConfigMapFollowerOptions {
  readonly client: ApiTransport;
  readonly namespace: string;
  readonly name: string;
  /** Tells this process from the others. */
  readonly host: string;
  readonly log: Log;
  readonly tell: (target: EventTarget, note: EventNote) => void;
  /** What is wrong with the ConfigMap now. */
  readonly onProblems: (problems: readonly Problem[]) => void;
  readonly clock?: Clock | undefined;
}

export class ConfigMapFollower {
  readonly #options: ConfigMapFollowerOptions;
  readonly #reflector: Reflector;
  readonly #writer: Writer;
  readonly #driver: Driver<ConfigMapState, ConfigMapInput, ConfigMapOutput>;

  constructor(options: ConfigMapFollowerOptions) {
    this.#options = options;
    const { client, namespace, name, host, log, clock } = options;
    this.#driver = new Driver(configMapMachine, initialConfigMap(name, namespace), {
      perform: (output) => this.#perform(output),
      clock,
    });
    this.#reflector = new Reflector({
      client,
      clock,
      resource: 'configmaps',
      namespace,
      fieldSelector: `metadata.name=${name}`,
      onChange: (change) => this.#onConfigMap(change),
      onTrouble: (what, message) => log.warn({ event: what, resource: 'configmaps', error: message }, message),
    });
    this.#writer = new Writer({
      client,
      clock,
      namespace,
      watched: Object.fromEntries(CONFIG_RESOURCES.map((resource) => [resource, undefined])),
      whenMissing: (resource) => `this cluster has no ${resource}; install the CRDs`,
      fieldManager: 'metallb-config-map',
      podName: '',
      identity: host,
      // One after the other: what is referred to is there before what refers to it, and goes after it.
      settings: { mark: { [ORIGIN_LABEL]: name }, adopts: false, limit: 1 },
      onTrouble: (error) => log.warn({ event: 'configMapNotFollowed', error }, error),
      onDone: (what, resource, removed) => {
        if (what === 'removed')
          log.info(
            { event: 'configMapRemoved', resource, name: removed },
            `the ConfigMap no longer has ${resource} ${removed}`,
          );
      },
    });
  }

  /** Begins to follow: of several controllers only the one that leads does. */
  start(): void {
    this.#writer.start();
    this.#reflector.start();
  }

  /** What the process sees of the resources, from its start on. */
  observe(resource: ConfigResource, change: ReflectedChange): void {
    this.#writer.observe(resource, change);
    this.#driver.feed({ ...change, resource });
  }

  /** Calls back when the writes in flight have ended. */
  stop(onStopped: () => void): void {
    this.#reflector.stop();
    this.#driver.stop();
    this.#writer.stop(onStopped);
  }

  #onConfigMap(change: ReflectedChange): void {
    const configMap: ConfigMap | undefined =
      change.kind === 'replaced' ? change.objects[0] : change.kind === 'applied' ? change.object : undefined;
    if (configMap === undefined) this.#driver.feed({ kind: 'config-map-gone' });
    else this.#driver.feed({ kind: 'config-map', configMap, document: documentOf(configMap) });
  }

  #perform(output: ConfigMapOutput): void {
    const { namespace, name, log, tell, onProblems } = this.#options;
    switch (output.kind) {
      case 'set':
        this.#writer.set(output.resource, output.name, output.desired);
        return;
      case 'problems':
        onProblems(output.problems);
        return;
      case 'emit-event':
        tell(output.target, output.note);
        return;
      case 'config-map-missing':
        log.warn(
          { event: 'noConfigMap', configMap: `${namespace}/${name}` },
          'the ConfigMap of --config-map is not there; the resources that were made from it stay',
        );
    }
  }
}

function documentOf({ data }: ConfigMap): ConfigDocument {
  if (data?.config === undefined) return { kind: 'absent' };
  try {
    return { kind: 'read', value: parseYaml(data.config) };
  } catch (error) {
    return { kind: 'fault', fault: (error as Error).message.split('\n')[0]! };
  }
}
