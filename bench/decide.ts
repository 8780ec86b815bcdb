/**
 * What the machines' own thinking costs, without any I/O: the controller's first decision about many pending Services, and taking in the
 * answers to all of its writes; a speaker's when one Service of many changes what routers are to hold.
 * @module
 */
import { createHash } from 'node:crypto';
import type { KubernetesObject, Service } from '../src/core/api/kubernetes.ts';
import { follow, type Outbound, type Sent, synchronize } from '../src/core/bgp/rib/difference.ts';
import { applyUpdate, noRoutes } from '../src/core/bgp/rib/route-update.ts';
import { controllerMachine } from '../src/core/controller/fsm.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  initialController,
} from '../src/core/controller/state.ts';
import { speakerMachine } from '../src/core/speaker/fsm.ts';
import { initialSpeaker, SPEAKER_DEFAULTS, SPEAKER_RESOURCES, type SpeakerInput } from '../src/core/speaker/state.ts';
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
  printTable(
    `One Service of many gets its first endpoint: a speaker's step with BGP, and the UPDATE for one router, no I/O; medians of ${CHANGES}`,
    ['Services', 'until the UPDATE is made', 'longest'],
    SIZES.map((size) => {
      const times = changeRoutes(size);
      return [size.toLocaleString('en'), show(median(times), 'ms'), show(Math.max(...times), 'ms')];
    }),
  );
}

const CHANGES = 200;

/** Milliseconds for each of the changes. */
function changeRoutes(size: number): number[] {
  const machine = speakerMachine((text) => createHash('sha256').update(text).digest());
  let state = initialSpeaker({ ...SPEAKER_DEFAULTS, node: 'node-1' });
  const wanted = noRoutes();
  const sent: Sent = new Map();
  let updates: readonly Uint8Array[] = [];
  const feed = (input: SpeakerInput) => {
    const { next, outputs } = machine.step(state, input, performance.now());
    state = next;
    for (const update of outputs.flatMap((output) => (output.kind === 'bgp' ? output.routes : []))) {
      applyUpdate(wanted, update);
      updates = update.kind === 'delta' ? follow(sent, wanted, update, OUTBOUND) : synchronize(sent, wanted, OUTBOUND);
    }
  };
  const named = (name: string, spec: object) => ({ metadata: { name, namespace: 'm', resourceVersion: '1' }, spec });
  const address = (i: number) => `198.${18 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
  const slice = (i: number, node: string, resourceVersion: string) => ({
    metadata: {
      name: `s${i}`,
      namespace: 'd',
      resourceVersion,
      labels: { 'kubernetes.io/service-name': `s${i}` },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'], nodeName: node, conditions: { ready: true } }],
  });
  const all = Array.from({ length: size }, (_, i) => i);
  const objects: Readonly<Record<string, readonly KubernetesObject[]>> = {
    nodes: ['node-1', 'node-2'].map((name) => ({ metadata: { name, resourceVersion: '1' } })),
    ipaddresspools: [named('p', { addresses: ['198.18.0.0/15'] })],
    bgpadvertisements: [named('b', {})],
    bgppeers: [named('r', { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.1' })],
    services: all.map((i) => ({
      ...named(`s${i}`, { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }),
      metadata: { name: `s${i}`, namespace: 'd', resourceVersion: '1' },
      status: { loadBalancer: { ingress: [{ ip: address(i) }] } },
    })),
    endpointslices: all.map((i) => slice(i, i < CHANGES ? 'node-2' : 'node-1', '1')),
  };
  for (const resource of SPEAKER_RESOURCES) feed({ kind: 'replaced', resource, objects: objects[resource] ?? [] });
  return all.slice(0, CHANGES).map((i) => {
    const began = performance.now();
    feed({ kind: 'applied', resource: 'endpointslices', object: slice(i, 'node-1', '2') });
    const took = performance.now() - began;
    if (updates.length !== 1 || sent.size !== size - CHANGES + i + 1) throw new Error('it is not one route more');
    return took;
  });
}

const OUTBOUND: Outbound = {
  options: { fourOctetAs: true, extendedMessage: false },
  external: true,
  asn: 64500,
  families: ['ipv4'],
  nextHops: { ipv4: [{ family: 'ipv4', value: 0x0a000001n }] },
};

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
