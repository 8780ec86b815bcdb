/**
 * The controller's machine with an API server that does at once what it is told.
 * @module
 */
import { POOL_ANNOTATION } from '../src/core/api/annotations.ts';
import { type KubernetesObject, objectKey, type Service } from '../src/core/api/kubernetes.ts';
import { controllerMachine } from '../src/core/controller/fsm.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  type ControllerResource,
  type ControllerSettings,
  initialController,
} from '../src/core/controller/state.ts';
import { ALLOCATED_CONDITION, withConditions } from '../src/core/reasons/conditions.ts';
import { LAN, namespace, pool } from './builders.ts';

export interface Start extends Partial<ControllerSettings> {
  readonly pools?: readonly KubernetesObject[];
  readonly services?: readonly Service[];
}

export function controller({ pools = [pool('p', ['192.0.2.0/30'])], services: initial = [], ...settings }: Start = {}) {
  let state = initialController({ loadBalancerClass: '', ...settings });
  let now = 0;
  let version = 1_000_000;
  let failWith: number | undefined;
  const services = new Map<string, Service>();
  const events: string[] = [];
  const logged: string[] = [];
  const writes: string[] = [];
  const feed = (input: ControllerInput | { kind: 'tick' }): void => {
    const { next, outputs } = controllerMachine.step(state, input, now);
    state = next;
    for (const output of outputs) perform(output);
  };
  const perform = (output: ControllerOutput): void => {
    if (output.kind === 'emit-event') {
      events.push(`${output.target.name} ${output.reason}: ${output.message}`);
      logged.push(output.detail ?? output.message);
    }
    if (output.kind === 'write-status') {
      const { resource, key, usage, wishes } = output;
      const said = wishes.flatMap(({ note }) => (note?.status === 'False' || note?.type === 'Accepted' ? note : []));
      const words = said.map(({ status, message }) => ` ${status} ${message}`);
      writes.push(`${key} ${JSON.stringify(usage ?? {})}${words.join()}`);
      feed({ kind: 'written', resource, object: state.cache.get(resource, key)! });
    }
    if (output.kind !== 'write-service') return;
    if (failWith !== undefined) {
      feed({ kind: 'write-failed', resource: 'services', key: output.key, status: failWith, message: 'no' });
      return;
    }
    const old = services.get(output.key)!;
    const annotations = { ...old.metadata.annotations, ...output.annotations } as Record<string, string>;
    for (const [key, value] of Object.entries(annotations)) if (value === null) delete annotations[key];
    const ingress = output.addresses.map((ip) => ({ ip }));
    const updated: Service = {
      ...old,
      metadata: { ...old.metadata, annotations, resourceVersion: String(version++) },
      status: {
        loadBalancer: { ingress },
        conditions: withConditions(output.conditions, output.wishes, '2026-01-01T00:00:00Z'),
      },
    };
    services.set(output.key, updated);
    writes.push(`${output.key} ${output.addresses.join()}`);
    feed({ kind: 'written', resource: 'services', object: updated });
  };
  const put = (object: Service) => {
    services.set(objectKey(object), object);
    feed({ kind: 'applied', resource: 'services', object });
  };
  for (const object of initial) services.set(objectKey(object), object);
  const objects: Partial<Record<ControllerResource, readonly KubernetesObject[]>> = {
    namespaces: [namespace('default')],
    services: initial,
    ipaddresspools: pools,
    l2advertisements: [LAN],
  };
  for (const resource of CONTROLLER_RESOURCES) feed({ kind: 'replaced', resource, objects: objects[resource] ?? [] });
  return {
    events,
    /** What the log says of the same. */
    logged,
    writes,
    put,
    feed,
    /** Somebody else writes these addresses into the status. */
    intrude: (name: string, ...addresses: string[]) => {
      const old = services.get(`default/${name}`)!;
      put({
        ...old,
        metadata: { ...old.metadata, resourceVersion: String(version++) },
        status: { ...old.status, loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } },
      });
    },
    change: (name: string, spec: object) => {
      const old = services.get(`default/${name}`)!;
      put({
        ...old,
        metadata: { ...old.metadata, resourceVersion: String(version++) },
        spec: { ...old.spec, ...spec },
      });
    },
    annotate: (name: string, annotations: Record<string, string | undefined>) => {
      const old = services.get(`default/${name}`)!;
      put({
        ...old,
        metadata: {
          ...old.metadata,
          resourceVersion: String(version++),
          annotations: { ...old.metadata.annotations, ...annotations } as Record<string, string>,
        },
      });
    },
    remove: (name: string) => {
      const object = services.get(`default/${name}`)!;
      services.delete(`default/${name}`);
      feed({ kind: 'deleted', resource: 'services', object });
    },
    configure: (resource: ControllerResource, object: KubernetesObject) => feed({ kind: 'applied', resource, object }),
    /** The answer to a list of the resource, as it is. */
    listAgain: (resource: ControllerResource) =>
      feed({ kind: 'replaced', resource, objects: state.cache.all(resource) }),
    pools: (...objects: KubernetesObject[]) => feed({ kind: 'replaced', resource: 'ipaddresspools', objects }),
    address: (name: string) =>
      (services.get(`default/${name}`)?.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join(),
    conditions: (name: string) => services.get(`default/${name}`)?.status?.conditions,
    unserved: (name: string) => state.services.get(`default/${name}`).unserved,
    condition: (name: string) =>
      services.get(`default/${name}`)?.status?.conditions?.find(({ type }) => type === ALLOCATED_CONDITION),
    annotation: (name: string) => services.get(`default/${name}`)?.metadata.annotations?.[POOL_ANNOTATION],
    fail: (status: number | undefined) => {
      failWith = status;
    },
    wait: (ms: number) => {
      const end = now + ms;
      for (
        let next = controllerMachine.nextDeadline(state);
        next !== undefined && next.at <= end;
        next = controllerMachine.nextDeadline(state)
      ) {
        now = Math.max(now, next.at);
        feed({ kind: 'tick' });
      }
      now = end;
    },
  };
}
