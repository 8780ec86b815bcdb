/**
 * What the controller's own thinking costs, without any I/O: the first decision about many pending Services, and taking in
 * the answers to all of its writes.
 * @module
 */
import type { KubernetesObject, Service } from '../src/core/api/kubernetes.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  controllerMachine,
  initialController,
} from '../src/core/reconcile/controller.ts';
import { median, printTable, show } from './table.ts';

const SIZES = [1000, 10_000, 20_000];
const RUNS = 5;

export async function benchDecide(): Promise<void> {
  const rows = SIZES.map((size) => {
    const runs = Array.from({ length: RUNS }, () => decide(size));
    return [
      size.toLocaleString('en'),
      show(median(runs.map(({ first }) => first)), 'ms'),
      show(median(runs.map(({ answers }) => answers)), 'ms'),
      show(median(runs.map(({ longest }) => longest)), 'ms'),
    ];
  });
  printTable(
    `Decisions about pending Services, no I/O; medians of ${RUNS}`,
    ['Services', 'first decision about all', 'all answers taken in', 'longest of these steps'],
    rows,
  );
}

function decide(size: number): { first: number; answers: number; longest: number } {
  let state = initialController({ loadBalancerClass: '' });
  let longest = 0;
  const writes: Extract<ControllerOutput, { kind: 'write-service' }>[] = [];
  const feed = (input: ControllerInput) => {
    const began = performance.now();
    const { next, outputs } = controllerMachine.step(state, input, began);
    state = next;
    longest = Math.max(longest, performance.now() - began);
    for (const output of outputs) if (output.kind === 'write-service') writes.push(output);
  };
  const pool = {
    metadata: { name: 'p', namespace: 'm', resourceVersion: '1' },
    spec: { addresses: ['198.18.0.0/15'] },
  };
  const objects: Readonly<Record<string, readonly KubernetesObject[]>> = {
    services: Array.from({ length: size }, (_, i) => pending(i)),
    ipaddresspools: [pool],
  };
  for (const resource of CONTROLLER_RESOURCES) feed({ kind: 'replaced', resource, objects: objects[resource] ?? [] });
  const first = longest;
  longest = 0;
  const began = performance.now();
  for (const { key, addresses, annotations } of writes.splice(0)) {
    const old = state.cache.get<Service>('services', key)!;
    const metadata = { ...old.metadata, annotations, resourceVersion: `w${old.metadata.resourceVersion}` };
    const ingress = addresses.map((ip) => ({ ip }));
    feed({
      kind: 'written',
      resource: 'services',
      object: { ...old, metadata, status: { loadBalancer: { ingress } } } as KubernetesObject,
    });
  }
  return { first, answers: performance.now() - began, longest };
}

function pending(i: number): Service {
  return {
    metadata: { name: `s${i}`, namespace: 'default', uid: `${i}`, resourceVersion: `${i}` },
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port: 80 }] },
    status: { loadBalancer: {} },
  };
}
