/**
 * What admission costs at worst: objects as large as the API server takes them, against a cluster with many others. It is work of the thread that
 * renews the Lease, so none of it may take long.
 * @module
 */
import { admit } from '../src/core/admission/admission.ts';
import type { KubernetesObject } from '../src/core/api/kubernetes.ts';
import type { Pool } from '../src/core/config/config.ts';
import { type ConfigObjects, type ConfigResource, resolveConfig } from '../src/core/config/resolve.ts';
import { Allocator } from '../src/core/ipam/allocator.ts';
import type { AllocationRequest } from '../src/core/ipam/request.ts';
import { median, printTable, show } from './table.ts';

const RUNS = 3;
/** Entries of the longest lists; an object of etcd's 1.5 MiB holds few more. */
const MANY = 20_000;
const NODES = 5000;

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

function object(name: string, spec: object): KubernetesObject {
  const metadata = { name, namespace: 'metallb-system', labels: { name } };
  return { metadata, spec } as KubernetesObject;
}

/** Every other address, so that no two entries could be one. */
const ipv4 = (i: number) => `10.${i >> 15}.${(i >> 7) & 255}.${(i << 1) & 255}/32`;
const otherIpv4 = (i: number) => ipv4(i).replace('10.', '11.');
/** Each consists of 126 CIDRs. */
const ipv6 = (i: number) => `2001:db8:0:${i.toString(16)}::1-2001:db8:0:${i.toString(16)}:ffff:ffff:ffff:fffe`;
const selectors = (count: number) => range(count).map((i) => ({ matchLabels: { zone: `z${i}` } }));
const pools = (count: number) => range(count).map((i) => object(`p${i}`, { addresses: [otherIpv4(i)] }));
const nodes = range(NODES).map((i) => ({
  metadata: { name: `node-${i}`, labels: { zone: `n${i}` } },
  spec: { podCIDRs: [`100.${64 + (i >> 8)}.${i & 255}.0/24`] },
  status: { addresses: [{ type: 'InternalIP', address: `172.16.${i >> 8}.${i & 255}` }] },
})) as KubernetesObject[];
const namespaces = range(NODES).map((i) => ({ metadata: { name: `ns-${i}`, labels: { zone: `n${i}` } } }));
const peer = (i: number) =>
  object(`r${i}`, {
    myASN: 64500,
    peerASN: 64501,
    peerAddress: `192.0.${i >> 8}.${i & 255}`,
    nodeSelectors: [{ matchLabels: { zone: `n${i}` } }],
  });

interface Case {
  readonly what: string;
  readonly resource: ConfigResource;
  readonly written: KubernetesObject;
  readonly stored: ConfigObjects;
  readonly engine?: 'frr-k8s';
}

const CASES: readonly Case[] = [
  {
    what: 'pool of 20,000 entries',
    resource: 'ipaddresspools',
    written: object('p', { addresses: range(MANY).map(ipv4) }),
    stored: {},
  },
  {
    what: 'the same beside another one',
    resource: 'ipaddresspools',
    written: object('p', { addresses: range(MANY).map(ipv4) }),
    stored: { ipaddresspools: [object('q', { addresses: range(MANY).map(otherIpv4) })] },
  },
  {
    what: 'pool of 20,000 faulty entries',
    resource: 'ipaddresspools',
    written: object('p', { addresses: range(MANY).map((i) => `x${i}`) }),
    stored: {},
  },
  {
    what: 'pool of 20,000 times one entry',
    resource: 'ipaddresspools',
    written: object('p', { addresses: range(MANY).map(() => ipv4(0)) }),
    stored: {},
  },
  {
    what: 'one pool more than 5,000',
    resource: 'ipaddresspools',
    written: object('p', { addresses: range(10).map(ipv4) }),
    stored: { ipaddresspools: pools(5000) },
  },
  {
    what: 'pool in a cluster of 5,000 nodes and 20,000 Services',
    resource: 'ipaddresspools',
    written: object('p', { addresses: range(MANY).map(ipv4) }),
    stored: {
      nodes,
      ipaddresspools: pools(100),
      services: range(MANY).map((i) => ({
        metadata: { name: `s${i}`, namespace: 'd' },
        spec: { clusterIP: `172.30.${i >> 8}.${i & 255}` },
      })),
    },
  },
  {
    what: 'pool of 20,000 namespaces and 10,000 namespace selectors, 5,000 namespaces',
    resource: 'ipaddresspools',
    written: object('p', {
      addresses: [ipv4(0)],
      serviceAllocation: { namespaces: range(MANY).map((i) => `a${i}`), namespaceSelectors: selectors(MANY / 2) },
    }),
    stored: { namespaces },
  },
  {
    what: 'L2Advertisement of 20,000 pools by name, 5,000 pools',
    resource: 'l2advertisements',
    written: object('a', { ipAddressPools: range(MANY).map((i) => `x${i}`) }),
    stored: { ipaddresspools: pools(5000) },
  },
  {
    what: 'L2Advertisement of 10,000 node selectors, 5,000 nodes',
    resource: 'l2advertisements',
    written: object('a', { nodeSelectors: selectors(MANY / 2) }),
    stored: { nodes },
  },
  {
    what: 'L2Advertisement with a selector of 100,000 values, 5,000 nodes',
    resource: 'l2advertisements',
    written: object('a', {
      nodeSelectors: [
        { matchExpressions: [{ key: 'zone', operator: 'In', values: range(100_000).map((i) => `v${i}`) }] },
      ],
    }),
    stored: { nodes },
  },
  {
    what: 'BGPAdvertisement of 20,000 peers beside one with another localPref',
    resource: 'bgpadvertisements',
    written: object('a', { localPref: 1, peers: range(MANY).map((i) => `a${i}`) }),
    stored: { ipaddresspools: pools(1), bgpadvertisements: [object('b', { peers: range(MANY).map((i) => `b${i}`) })] },
  },
  {
    what: 'BGPAdvertisement of 20,000 aliases, 500 Community objects',
    resource: 'bgpadvertisements',
    written: object('a', { communities: range(MANY).map((i) => `x${i}`) }),
    stored: { communities: range(500).map((i) => object(`c${i}`, { communities: [{ name: `c${i}`, value: '1:2' }] })) },
  },
  {
    what: 'BGPAdvertisement beside 200 others, pool of 20,000 entries',
    resource: 'bgpadvertisements',
    written: object('a', { localPref: 999, aggregationLength: 24 }),
    stored: {
      ipaddresspools: [object('q', { addresses: range(MANY).map(ipv4) })],
      bgpadvertisements: range(200).map((i) => object(`b${i}`, { localPref: i, peers: [`r${i}`] })),
    },
  },
  {
    what: 'BGPAdvertisement beside 50 others, pool of 5,000 IPv6 ranges',
    resource: 'bgpadvertisements',
    written: object('a', { aggregationLengthV6: 128 }),
    stored: {
      ipaddresspools: [object('q', { addresses: range(5000).map(ipv6) })],
      bgpadvertisements: range(50).map((i) => object(`b${i}`, {})),
    },
  },
  {
    what: 'Community of 20,000 aliases beside 20 others of 1,000',
    resource: 'communities',
    written: object('c', { communities: range(MANY).map((i) => ({ name: `x${i}`, value: '1:2' })) }),
    stored: {
      communities: range(20).map((c) =>
        object(`c${c}`, { communities: range(1000).map((i) => ({ name: `${c}-${i}`, value: '1:2' })) }),
      ),
    },
  },
  {
    what: 'BGPPeer beside 500 others, 5,000 nodes',
    resource: 'bgppeers',
    written: peer(999),
    stored: { nodes, bgppeers: range(500).map(peer) },
  },
  {
    what: 'the same with frr-k8s',
    resource: 'bgppeers',
    written: peer(999),
    stored: { nodes, bgppeers: range(500).map(peer) },
    engine: 'frr-k8s',
  },
];

export async function benchAdmission(): Promise<void> {
  const rows = CASES.map(({ what, resource, written, stored, engine }) => {
    const times = range(RUNS).map(() => timed(() => void admit(resource, structuredClone(written), stored, engine)));
    return [what, show(median(times), 'ms')];
  });
  printTable(`Admission of one object, no I/O; medians of ${RUNS}`, ['object', 'took'], rows);
  const held = range(RUNS).map(holding);
  printTable(
    `A pool of 20,000 entries in force, no I/O; medians of ${RUNS}`,
    ['step', 'took'],
    [
      [
        'its configuration comes while 10,000 Services have addresses of it',
        show(median(held.map(({ set }) => set)), 'ms'),
      ],
      ['1,000 more Services get addresses', show(median(held.map(({ more }) => more)), 'ms')],
      ['1,000 Services ask for addresses when all are taken', show(median(held.map(({ full }) => full)), 'ms')],
    ],
  );
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

function holding(): { set: number; more: number; full: number } {
  const configured = (): readonly Pool[] =>
    resolveConfig({ ipaddresspools: [object('p', { addresses: range(MANY).map(ipv4) })] }).config.pools;
  const allocator = new Allocator();
  const allocate = (from: number, to: number) => {
    for (let i = from; i < to; i++) allocator.allocate(request(i));
  };
  allocator.setPools(configured());
  allocate(0, MANY / 2);
  const again = configured();
  const set = timed(() => allocator.setPools(again));
  const more = timed(() => allocate(MANY / 2, MANY / 2 + 1000));
  allocate(MANY / 2 + 1000, MANY);
  const full = timed(() => allocate(MANY, MANY + 1000));
  return { set, more, full };
}

const request = (i: number): AllocationRequest => ({
  service: `s${i}`,
  namespace: 'd',
  labels: {},
  families: ['ipv4'],
  requireBoth: true,
  use: { sharingKey: '', backendKey: '', ports: ['TCP/80'] },
});
