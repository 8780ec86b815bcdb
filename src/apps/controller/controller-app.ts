/**
 * The controller process: wires reflectors, the controller machine and status writes together.
 * @module
 */
import { Driver } from '../../adapters/driver/driver.ts';
import { Recorder } from '../../adapters/driver/recording.ts';
import { ApiError, type KubernetesClient, MERGE_PATCH } from '../../adapters/kubernetes/client.ts';
import { EventRecorder } from '../../adapters/kubernetes/events.ts';
import { Reflector } from '../../adapters/kubernetes/reflector.ts';
import { objectPath } from '../../adapters/kubernetes/resources.ts';
import type { Log } from '../../adapters/log/log.ts';
import type { Metrics } from '../../adapters/metrics/metrics.ts';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { formatProblem } from '../../core/api/problem.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  type ControllerResource,
  type ControllerState,
  controllerMachine,
  initialController,
} from '../../core/reconcile/controller.ts';

export interface ControllerOptions {
  readonly client: KubernetesClient;
  /** Where configuration is read from; undefined: every namespace. */
  readonly namespace: string | undefined;
  readonly loadBalancerClass: string;
  readonly host: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** File that every input is recorded to. */
  readonly recordTo?: string | undefined;
}

const CONFIGURATION: readonly ControllerResource[] = ['ipaddresspools', 'l2advertisements'];

export class ControllerApp {
  readonly #options: ControllerOptions;
  readonly #driver: Driver<ControllerState, ControllerInput, ControllerOutput>;
  readonly #reflectors: readonly Reflector[];
  readonly #events: EventRecorder;
  readonly #recorder: Recorder | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { client, log, metrics } = options;
    this.#events = new EventRecorder(client, 'metallb-controller', options.host, (message) =>
      log.warn({ event: 'eventNotWritten', error: message }, message),
    );
    this.#recorder = options.recordTo === undefined ? undefined : new Recorder(options.recordTo);
    this.#driver = new Driver(controllerMachine, initialController({ loadBalancerClass: options.loadBalancerClass }), {
      perform: (output) => this.#perform(output),
      ...(this.#recorder !== undefined && { record: this.#recorder.record }),
    });
    this.#reflectors = CONTROLLER_RESOURCES.map(
      (resource) =>
        new Reflector({
          client,
          resource,
          namespace: CONFIGURATION.includes(resource) ? options.namespace : undefined,
          onChange: (change) => {
            metrics.updated();
            this.#driver.feed({ ...change, resource });
          },
          onTrouble: (what, message) => {
            metrics.failed();
            log.warn({ event: what, resource, error: message }, message);
          },
        }),
    );
  }

  get ready(): boolean {
    return this.#driver.state.cache.synced;
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  async stop(): Promise<void> {
    for (const reflector of this.#reflectors) reflector.stop();
    this.#driver.stop();
    await this.#events.flush();
    await this.#recorder?.close();
  }

  #perform(output: ControllerOutput): void {
    const { log, metrics } = this.#options;
    switch (output.kind) {
      case 'emit-event': {
        const { target, reason, message } = output;
        log.info({ event: reason, object: `${target.kind} ${target.namespace}/${target.name}` }, message);
        this.#events.record(target, { reason, message });
        return;
      }
      case 'configuration':
        for (const problem of output.problems) log.error({ event: 'invalidConfiguration' }, formatProblem(problem));
        log.info({ event: 'configLoaded', pools: output.config.pools.map(({ name }) => name) }, 'configuration loaded');
        metrics.configured(output.problems.length);
        return;
      case 'write-service': {
        const { resourceVersion, annotations, addresses } = output;
        const ingress = addresses.length === 0 ? null : addresses.map((ip) => ({ ip }));
        void this.#write('services', output.key, {
          metadata: { resourceVersion, annotations },
          status: { loadBalancer: { ingress } },
        });
        return;
      }
      case 'write-pool-status': {
        const { allocator, config } = this.#driver.state;
        metrics.pools(new Map(config.pools.map(({ name }) => [name, allocator.usage(name)])));
        void this.#write('ipaddresspools', output.key, { status: output.status });
      }
    }
  }

  async #write(resource: 'services' | 'ipaddresspools', key: string, body: object): Promise<void> {
    const { client, log, metrics } = this.#options;
    try {
      const path = objectPath(resource, key, 'status');
      const object = await client.request<KubernetesObject>({ method: 'PATCH', path, contentType: MERGE_PATCH, body });
      this.#driver.feed({ kind: 'written', resource, object });
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      const { message } = error as Error;
      metrics.failed();
      log.warn({ event: 'writeFailed', resource, key, error: message }, message);
      this.#driver.feed({ kind: 'write-failed', resource, key, status, message });
    }
  }
}
