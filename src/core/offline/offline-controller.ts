/**
 * The controller without a cluster: the same machine, its writes applied in memory at once. For `plan` and `explain`.
 * @module
 */
import { POOL_ANNOTATION } from '../api/annotations.ts';
import { type KubernetesObject, objectKey, type Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { foreignProblems } from '../config/foreign-addresses.ts';
import { CONFIG_RESOURCES, type ConfigObjects } from '../config/resolve.ts';
import { controllerMachine } from '../controller/fsm.ts';
import { SURROUNDINGS_DELAY } from '../controller/look-around.ts';
import { poolsSetAside } from '../controller/services.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerResource,
  type ControllerSettings,
  type ControllerState,
  initialController,
} from '../controller/state.ts';
import type { Allocator } from '../ipam/allocator.ts';
import type { Tick } from '../machine.ts';
import { withConditions } from '../reasons/conditions.ts';
import type { EventNote } from '../reasons/reasons.ts';
import { currentAddresses } from '../service/current-addresses.ts';
import { withClusterIPs } from './cluster-ips.ts';

export type ControllerObjects = Readonly<Partial<Record<ControllerResource, readonly KubernetesObject[]>>>;

/** Conditions need a time, but offline there is none. */
const NEVER = '1970-01-01T00:00:00Z';

export class OfflineController {
  #state: ControllerState;
  readonly #services = new Map<string, Service>();
  readonly #events = new Map<string, EventNote[]>();
  #version = 0;
  /** Only `settle` lets time pass. */
  #now = 0;

  /** Loads a cluster as it is: existing addresses are adopted first, as when a controller starts. */
  constructor(objects: ControllerObjects, settings: Omit<ControllerSettings, 'standby'>) {
    this.#state = initialController(settings);
    for (const object of objects.services ?? []) this.#services.set(objectKey(object), object as Service);
    for (const resource of CONTROLLER_RESOURCES)
      this.#feed({ kind: 'replaced', resource, objects: objects[resource] ?? [] });
  }

  /** What `kubectl apply` would do: creates the object, or replaces its spec, labels and annotations. */
  apply(resource: ControllerResource, object: KubernetesObject): void {
    const old = this.#state.cache.get(resource, objectKey(object));
    const metadata = {
      // A new object is younger than every existing one.
      creationTimestamp: '9999-12-31T23:59:59Z',
      ...old?.metadata,
      ...object.metadata,
      annotations: { ...old?.metadata.annotations, ...object.metadata.annotations },
      resourceVersion: `offline-${++this.#version}`,
    };
    const merged = {
      ...old,
      ...object,
      metadata,
      ...(old !== undefined && 'status' in old && { status: old.status }),
    } as KubernetesObject;
    if (resource === 'services') {
      const { spec = {}, ...rest } = merged as Service;
      const known = this.#services.get(objectKey(merged))?.spec;
      const service: Service = { ...rest, spec: withClusterIPs(spec, known, this.#services.values()) };
      this.#services.set(objectKey(service), service);
      this.#feed({ kind: 'applied', resource, object: service });
    } else this.#feed({ kind: 'applied', resource, object: merged });
  }

  /** Lets time pass until no address waits for a pool any more (--pool-change-grace), and the controller has seen what its decisions are worth. */
  settle(): void {
    const end = this.#now + Math.max(this.#state.settings.poolChangeGrace ?? 0, SURROUNDINGS_DELAY);
    for (;;) {
      const due = controllerMachine.nextDeadline(this.#state);
      if (due === undefined || due.at > end) break;
      this.#now = Math.max(this.#now, due.at);
      this.#feed({ kind: 'tick' });
    }
    this.#now = end;
  }

  /** Addresses by `namespace/name`, of all Services that have one. */
  addresses(): ReadonlyMap<string, string> {
    const pairs = [...this.#services].map(([key, service]) => [key, currentAddresses(service).join(', ')] as const);
    return new Map(pairs.filter(([, text]) => text !== ''));
  }

  /** Keys of all Services. */
  get services(): IterableIterator<string> {
    return this.#services.keys();
  }

  service(key: string): Service | undefined {
    return this.#services.get(key);
  }

  /** All Events about a Service, oldest first. */
  eventsOf(key: string): readonly EventNote[] {
    return this.#events.get(key) ?? [];
  }

  get problems(): readonly Problem[] {
    return this.#state.problems;
  }

  /** The configuration as it is now. */
  get objects(): ConfigObjects {
    return this.#state.cache.of([...CONFIG_RESOURCES, 'namespaces']);
  }

  /** What the configuration names and is not there, and what is in a pool and should not be. */
  get remarks(): readonly Problem[] {
    const { surroundings, cache, config } = this.#state;
    return [
      ...(surroundings.unmatched ?? []),
      ...foreignProblems(cache.all('ipaddresspools'), config.pools, surroundings.foreign),
    ];
  }

  get setAside(): ReadonlySet<string> {
    return poolsSetAside(this.#state);
  }

  get config() {
    return this.#state.config;
  }

  get allocator(): Allocator {
    return this.#state.allocator;
  }

  #feed(input: ControllerInput | Tick): void {
    const { next, outputs } = controllerMachine.step(this.#state, input, this.#now);
    this.#state = next;
    for (const output of outputs) {
      if (output.kind === 'emit-event' && output.target.kind === 'Service') {
        const key = `${output.target.namespace}/${output.target.name}`;
        // Whoever asks has read all that is named here.
        const { reason, message, detail = message } = output;
        this.#events.set(key, [...(this.#events.get(key) ?? []), { reason, message: detail }]);
      }
      if (output.kind !== 'write-service') continue;
      const old = this.#services.get(output.key)!;
      const { [POOL_ANNOTATION]: _old, ...kept } = old.metadata.annotations ?? {};
      const pool = output.annotations[POOL_ANNOTATION];
      const annotations = pool ? { ...kept, [POOL_ANNOTATION]: pool } : kept;
      const written: Service = {
        ...old,
        metadata: { ...old.metadata, annotations, resourceVersion: `offline-${++this.#version}` },
        status: {
          loadBalancer: { ingress: output.addresses.map((ip) => ({ ip })) },
          conditions: withConditions(output.conditions, output.wishes, NEVER),
        },
      };
      this.#services.set(output.key, written);
      this.#feed({ kind: 'written', resource: 'services', object: written });
    }
  }
}
