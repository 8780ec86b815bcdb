/**
 * What controller and speaker have in common: a machine that is fed by reflectors, tells Events, and can be recorded.
 * @module
 */
import type { Clock, WallClock } from '../adapters/driver/clock.ts';
import { Driver } from '../adapters/driver/driver.ts';
import { Recorder } from '../adapters/driver/recording.ts';
import { EventRecorder } from '../adapters/kubernetes/events.ts';
import { type ReflectedChange, Reflector } from '../adapters/kubernetes/reflector.ts';
import type { ResourceName } from '../adapters/kubernetes/resources.ts';
import { timestamp } from '../adapters/kubernetes/timestamp.ts';
import type { ApiTransport } from '../adapters/kubernetes/transport.ts';
import { Writer } from '../adapters/kubernetes/writer.ts';
import type { Log } from '../adapters/log/log.ts';
import type { Metrics } from '../adapters/metrics/metrics.ts';
import { formatProblem, type Problem } from '../core/api/problem.ts';
import type { Change } from '../core/kubernetes/cache.ts';
import type { AfterFailure } from '../core/kubernetes/reflector/fsm.ts';
import type { Machine } from '../core/machine.ts';
import {
  CONFIGURATION_STATES,
  type ConfigurationStateIdentity,
  configurationState,
} from '../core/reasons/configuration-state.ts';
import type { EventNote, EventTarget } from '../core/reasons/reasons.ts';

/** Options that both processes take. */
export interface ProcessOptions {
  readonly client: ApiTransport;
  /** Where configuration is read from; undefined: every namespace. */
  readonly namespace: string | undefined;
  readonly loadBalancerClass: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Own Pod, if this process runs in one. */
  readonly podName?: string;
  /** File that every input is recorded to. */
  readonly recordTo?: string | undefined;
  /** Default: the clock of this process. */
  readonly clock?: Clock | undefined;
  readonly wallClock?: WallClock | undefined;
  /** From 0 up to, but not including, 1; what makes the pauses of processes differ. Default: another in every process. */
  readonly random?: (() => number) | undefined;
}

/** What is watched of one resource; without a namespace, all of it. */
export interface Scope<R extends ResourceName> {
  readonly resource: R;
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** When its watch fails. Default: resume. */
  readonly afterFailure?: AfterFailure;
  /** What was fed of it may be out of date; the next change is `replaced`. */
  readonly onInterrupted?: () => void;
}

/** How the process is called in Events, in its ConfigurationState, and in its recording. */
export interface ProcessIdentity {
  readonly component: string;
  readonly machine: string;
  readonly host: string;
  readonly state: ConfigurationStateIdentity;
}

/** Where a process keeps its own objects that reads configuration from every namespace. */
export const DEFAULT_NAMESPACE = 'metallb-system';

export class MachineProcess<R extends ResourceName, S extends { readonly settings: unknown }, I, O> {
  readonly #options: ProcessOptions;
  readonly #driver: Driver<S, I | Change<R>, O>;
  readonly #reflectors: ReadonlyMap<R, Reflector>;
  readonly #events: EventRecorder;
  readonly #recorder: Recorder | undefined;
  readonly #identity: ProcessIdentity;
  readonly #configuration: Writer;
  readonly #followers = new Map<R, (change: ReflectedChange) => void>();

  constructor(
    options: ProcessOptions,
    identity: ProcessIdentity,
    machine: Machine<S, I | Change<R>, O>,
    initial: S,
    scopes: readonly Scope<R>[],
    perform: (output: O) => void,
    onStepped?: () => void,
  ) {
    this.#options = options;
    this.#identity = identity;
    const { component, host, state } = identity;
    const { client, log, metrics, clock, wallClock, random = Math.random } = options;
    this.#events = new EventRecorder({
      client,
      component,
      host,
      wallClock,
      onTrouble: (message) => log.warn({ event: 'eventNotWritten', error: message }, message),
    });
    this.#configuration = new Writer({
      client,
      clock,
      namespace: options.namespace ?? DEFAULT_NAMESPACE,
      watched: { [CONFIGURATION_STATES]: { fieldSelector: `metadata.name=${state.name}` } },
      whenMissing: () =>
        'there will be no ConfigurationState: this cluster has no such kind; install our CRDs to see it',
      fieldManager: state.fieldManager,
      podName: options.podName ?? '',
      identity: host,
      settings: { mark: state.labels },
      onTrouble: (message) => log.warn({ event: 'configurationStateNotWritten', error: message }, message),
    });
    this.#recorder = options.recordTo === undefined ? undefined : new Recorder(options.recordTo);
    this.#recorder?.write({ machine: identity.machine, settings: initial.settings });
    this.#driver = new Driver(machine, initial, {
      perform,
      onStepped,
      clock,
      record: this.#recorder?.record,
    });
    this.#reflectors = new Map(
      scopes.map((scope) => [
        scope.resource,
        new Reflector({
          client,
          clock,
          seed: Math.trunc(random() * 2 ** 32),
          ...scope,
          onChange: (change) => {
            metrics.updated();
            this.#driver.feed({ ...change, resource: scope.resource });
            this.#followers.get(scope.resource)?.(change);
          },
          onTrouble: (what, message) => {
            metrics.failed();
            log.warn({ event: what, resource: scope.resource, error: message }, message);
          },
        }),
      ]),
    );
  }

  get state(): S {
    return this.#driver.state;
  }

  feed(input: I): void {
    this.#driver.feed(input);
  }

  /** Writes an Event, and says the same in the log. */
  tell(target: EventTarget, { reason, message, detail = message }: EventNote): void {
    this.#options.log.info({ event: reason, object: `${target.kind} ${target.namespace}/${target.name}` }, detail);
    this.#events.record(target, { reason, message });
  }

  /** Says what is wrong with the configuration: in the log, as a metric, and in the ConfigurationState. */
  configured(problems: readonly Problem[]): void {
    for (const problem of problems) this.#options.log.error({ event: 'invalidConfiguration' }, formatProblem(problem));
    this.#options.metrics.configured(problems.length);
    const { state } = this.#identity;
    const now = timestamp(this.#options.wallClock?.());
    this.#configuration.set(CONFIGURATION_STATES, state.name, configurationState(state, problems, now));
  }

  /** Hands on what is seen of a watched resource, after the machine has taken it in. */
  follow(resource: R, listener: (change: ReflectedChange) => void): void {
    this.#followers.set(resource, listener);
  }

  relist(resource: R): void {
    this.#reflectors.get(resource)?.relist();
  }

  start(): void {
    for (const reflector of this.#reflectors.values()) reflector.start();
  }

  /** This process speaks for itself from now on: of several controllers only the one that leads does. */
  speak(): void {
    this.#configuration.start();
  }

  /** Calls back when everything that had to be said has been. */
  stop(onStopped: () => void): void {
    for (const reflector of this.#reflectors.values()) reflector.stop();
    this.#driver.stop();
    this.#configuration.stop(() =>
      this.#events.flush(() => {
        if (this.#recorder === undefined) onStopped();
        else void this.#recorder.close().then(onStopped);
      }),
    );
  }
}
