/**
 * From what happens to a node until routers no longer send there: with BFD (FRR) and without (BIRD), by real speakers. And BFD at 50 ms under
 * full load. Has to run inside a sandbox; `main.ts` sees to that.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '../lab/kubernetes/cluster.ts';
import { addHost, removeLan } from '../lab/net/lan.ts';
import { prepareInside } from '../lab/net/sandbox.ts';
import { start } from '../lab/net/shell.ts';
import { sleep, until } from '../lab/net/waiting.ts';
import { type FrrRouter, type Router, startBird, startFrr, whyNoRouters } from '../lab/routers/routers.ts';
import { median, printTable, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 5);
/** Seconds of full load. */
const LOAD_TIME = Number(process.env.BENCH_LOAD ?? 60);
const PREFIX = '198.51.100.0/32';
const FRR_CONFIG = `frr defaults traditional
bfd
 profile quick
  receive-interval 50
  transmit-interval 50
 exit
exit
router bgp 64501
 bgp router-id 192.168.1.2
 no bgp ebgp-requires-policy
 neighbor 192.168.1.11 remote-as 64500
 neighbor 192.168.1.11 passive
 neighbor 192.168.1.11 bfd profile quick
exit
`;
const BIRD_CONFIG = `
protocol bgp node { local as 64502; neighbor 192.168.1.11 as 64500; passive; error wait time 1, 2; ipv4 { import all; export none; }; }
`;
const OBJECTS = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: routed, namespace: metallb-system}
spec: {addresses: [198.51.100.0/24]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: all, namespace: metallb-system}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: quick, namespace: metallb-system}
spec: {receiveInterval: 50, transmitInterval: 50}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: frr, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64501, peerAddress: 192.168.1.2, bfdProfile: quick, connectTime: 1s, holdTime: 9s}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: bird, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64502, peerAddress: 192.168.1.3, connectTime: 1s, holdTime: 9s}
`;

const obstacle = whyNoRouters();
if (obstacle !== undefined) {
  console.log(`withdrawal did not run: ${obstacle}`);
  process.exit();
}
prepareInside();
const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-withdrawal-'));
const cluster = new Cluster({ directory, nodes: 1 });
const [node] = cluster.nodes as [(typeof cluster.nodes)[number]];
const frr: FrrRouter = await startFrr(addHost('frr', '192.168.1.2', '02:00:5e:00:03:02'), directory, FRR_CONFIG);
const bird: Router = await startBird(addHost('bird', '192.168.1.3', '02:00:5e:00:03:03'), directory, BIRD_CONFIG);

const isKnown = (router: Router) => router.paths(PREFIX).length > 0;
const settled = async () => {
  await until('both routers have the route', () => isKnown(frr) && isKnown(bird), { patience: 60_000 });
  await until('BFD', () => frr.bfdPeers().length === 1, { patience: 60_000 });
  await sleep(500);
};
/** Milliseconds from now until it is so at each: both are looked at in turns, some thirty milliseconds each. */
const both = async (isSo: (router: Router) => boolean) => {
  const began = performance.now();
  const found = new Map<Router, number>();
  await until(
    'both routers have noticed',
    () => {
      for (const router of [frr, bird])
        if (!found.has(router) && isSo(router)) found.set(router, performance.now() - began);
      return found.size === 2;
    },
    { patience: 60_000, interval: 1 },
  );
  return { withBfd: found.get(frr)!, without: found.get(bird)! };
};
const gone = async (event: () => void, after: () => unknown) => {
  await settled();
  event();
  const times = await both((router) => !isKnown(router));
  await after();
  return times;
};

const restart = () => cluster.startSpeaker(node);
const EVENTS: readonly (readonly [what: string, measure: () => Promise<{ withBfd: number; without: number }>])[] = [
  ['kill -9 of the speaker', () => gone(() => cluster.speakers.get(node.name)!.kill('SIGKILL'), restart)],
  [
    'link down',
    () =>
      gone(
        () => node.unplug(),
        () => node.plug(),
      ),
  ],
  [
    'the speaker hangs (SIGSTOP)',
    () =>
      gone(
        () => cluster.speakers.get(node.name)!.kill('SIGSTOP'),
        () => cluster.speakers.get(node.name)!.kill('SIGCONT'),
      ),
  ],
  [
    'drain, until GRACEFUL_SHUTDOWN is there',
    async () => {
      await settled();
      cluster.kubectl(['annotate', 'node', node.name, 'metallb.io/drain=x']);
      const isMarked = ({ paths }: Router) => /graceful-shutdown|65535:0/.test(paths(PREFIX)[0]?.communities ?? '');
      const times = await both(isMarked);
      cluster.kubectl(['annotate', 'node', node.name, 'metallb.io/drain-']);
      await until('it is over', () => !isMarked(frr) && !isMarked(bird));
      return times;
    },
  ],
];

try {
  await cluster.startAll();
  cluster.applyManifests('raspberry-hello-deployment.yaml');
  cluster.apply(OBJECTS);
  const rows: string[][] = [];
  for (const [what, measure] of EVENTS) {
    const times: { withBfd: number; without: number }[] = [];
    for (let i = 0; i < RUNS; i++) times.push(await measure());
    const cells = (['withBfd', 'without'] as const).flatMap((key) => {
      const values = times.map((each) => each[key]);
      return [show(median(values), 'ms'), show(Math.max(...values), 'ms')];
    });
    rows.push([what, ...cells]);
  }
  const header = ['event', 'FRR, BFD 50 ms × 3', 'longest', 'BIRD, hold time 9 s', 'longest'];
  printTable(`From the event until the router does not send there, ${RUNS} runs each, medians`, header, rows);

  await settled();
  const downs = () =>
    Number((JSON.parse(frr.show('show bfd peers counters json')) as Record<string, unknown>[])[0]?.['session-down']);
  const before = downs();
  const load = Array.from({ length: cpus().length * 2 }, (_, i) =>
    start(`load-${i}`, ['sh', '-c', 'while :; do :; done'], '/dev/null'),
  );
  await sleep(LOAD_TIME * 1000);
  for (const process of load) process.kill('SIGKILL');
  const header2 = ['busy processes', 'cores', 'time', 'times that BFD went down'];
  const row = [String(load.length), String(cpus().length), `${LOAD_TIME} s`, String(downs() - before)];
  printTable('BFD at 50 ms × 3 under full load', header2, [row]);
} finally {
  await frr.stop();
  await bird.stop();
  await cluster.stop();
  removeLan([frr.host, bird.host]);
  rmSync(directory, { recursive: true, force: true });
}
process.exit();
