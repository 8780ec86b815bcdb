/**
 * What `npm run demo -- --bgp` tells: two routers, three nodes, traffic that spreads, a node that is drained, a node that dies.
 * @module
 */
import { resolve } from 'node:path';
import type { Cluster } from '../kubernetes/cluster.ts';
import { addHost, type LanHost, removeHosts } from '../net/lan.ts';
import { must, run } from '../net/shell.ts';
import { spreadWhile } from '../net/spread.ts';
import { until } from '../net/waiting.ts';
import { type FrrRouter, type Router, startBird, startFrr, whyNoRouters } from '../routers/routers.ts';
import { milliseconds, proved, say, show, step } from './output.ts';

const EDGE = '192.168.1.2';
const SECOND = '192.168.1.3';

const EDGE_CONFIG = `frr defaults traditional
bfd
 profile quick
  receive-interval 50
  transmit-interval 50
 exit
exit
router bgp 64501
 bgp router-id ${EDGE}
 no bgp ebgp-requires-policy
 bgp bestpath as-path multipath-relax
 neighbor NODES peer-group
 neighbor NODES remote-as 64500
 neighbor NODES bfd profile quick
 bgp listen range 192.168.1.0/24 peer-group NODES
 address-family ipv4 unicast
  maximum-paths 16
 exit-address-family
exit
`;
const SECOND_CONFIG = `
protocol bgp nodes { local as 64502; neighbor range 192.168.1.0/24 as 64500; dynamic name "node_"; direct; ipv4 { import all; export none; }; }
`;

const OBJECTS = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: routed, namespace: metallb-system}
spec: {addresses: [198.51.100.0/24], avoidBuggyIPs: true}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: quick, namespace: metallb-system}
spec: {receiveInterval: 50, transmitInterval: 50}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: edge, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64501, peerAddress: ${EDGE}, bfdProfile: quick}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: second, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64502, peerAddress: ${SECOND}}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: everything, namespace: metallb-system}
`;

interface Scene {
  readonly cluster: Cluster;
  readonly edge: FrrRouter;
  readonly second: Router;
  readonly address: string;
}

/** Why the demo cannot run here; undefined: it can. */
export const whyNoBgpDemo = whyNoRouters;

export async function tellBgp(cluster: Cluster): Promise<void> {
  const hosts: LanHost[] = [];
  const routers: Router[] = [];
  const host = (name: string, address: string, last: string) => {
    const added = addHost(name, address, `02:00:5e:00:03:${last}`);
    hosts.push(added);
    return added;
  };
  try {
    step('A LAN of three nodes, a client and two routers: FRR (AS 64501) and BIRD (AS 64502)');
    const edgeHost = host('edge', EDGE, '02');
    // Connections are spread by their ports; and the client goes on sending to the router, though the nodes are on its own network.
    for (const [path, value] of [
      ['ipv4/ip_forward', 1],
      ['ipv4/fib_multipath_hash_policy', 1],
      ['ipv4/conf/all/send_redirects', 0],
      ['ipv4/conf/eth0/send_redirects', 0],
    ])
      must(edgeHost.inside(['sh', '-c', `echo ${value} > /proc/sys/net/${path}`]));
    cluster.client.run(['ip', 'route', 'add', '198.51.100.0/24', 'via', EDGE]);
    const edge = await startFrr(edgeHost, cluster.directory, EDGE_CONFIG);
    routers.push(edge);
    const second = await startBird(host('second', SECOND, '03'), cluster.directory, SECOND_CONFIG);
    routers.push(second);
    await cluster.startAll();
    for (const node of cluster.nodes) say(`${node.name}  ${node.address}`);
    const address = await sessions(cluster, { edge, second });
    const scene = { cluster, edge, second, address };
    await spreading(scene);
    await draining(scene);
    await dying(scene);
  } finally {
    for (const router of routers) await router.stop();
    removeHosts(hosts);
  }
}

const metallb = (cluster: Cluster, ...args: string[]) =>
  run([resolve(import.meta.dirname, '../../bin/metallb'), ...args, '--kubeconfig', cluster.kubeconfig]).stdout;

async function sessions(cluster: Cluster, { edge, second }: Pick<Scene, 'edge' | 'second'>): Promise<string> {
  step('A pool, two BGPPeers and a BGPAdvertisement: every node talks to both routers');
  show('kubectl apply -f bgp.yaml', cluster.apply(OBJECTS));
  cluster.applyManifests('raspberry-hello-deployment.yaml');
  must(['kubectl', 'patch', 'deployment', 'echo-deployment', '-p', '{"spec":{"replicas":3}}'], kubectlOptions(cluster));
  const began = performance.now();
  const address = await until('echo-service gets an address', () => cluster.addressOf('default', 'echo-service'));
  for (const router of [edge, second])
    await until(`${router.host.name} knows three ways`, () => router.paths(`${address}/32`).length === 3);
  const took = milliseconds(began);
  await until('all sessions are up', () => {
    const { status } = run([
      resolve(import.meta.dirname, '../../bin/metallb'),
      'status',
      'bgp',
      '--kubeconfig',
      cluster.kubeconfig,
    ]);
    return status === 0;
  });
  await until('the speakers have said what they sent', () => !metallb(cluster, 'status', 'bgp').includes('0 of 1'));
  show('metallb status bgp', metallb(cluster, 'status', 'bgp'));
  show(`vtysh -c 'show bgp ipv4 unicast ${address}/32'   (on FRR)`, edge.show(`show bgp ipv4 unicast ${address}/32`));
  show('metallb explain service echo-service', metallb(cluster, 'explain', 'service', 'echo-service'));
  proved(`both routers know ${address} by three ways, ${took} after the Service`);
  return address;
}

function kubectlOptions(cluster: Cluster) {
  return { env: { KUBECONFIG: cluster.kubeconfig } };
}

const TIMING = { interval: 10, duration: 3000 };

function tell(nodes: readonly LanHost[], seen: readonly number[]): void {
  const all = seen.reduce((sum, count) => sum + count, 0);
  for (const [i, { name }] of nodes.entries())
    say(`${name}  ${seen[i]} connections, ${Math.round((100 * seen[i]!) / all)} %`);
}

async function spreading({ cluster, edge, address }: Scene): Promise<void> {
  step('Traffic spreads: the client opens connections, the router gives each to a node');
  await until('the page', () =>
    cluster.client
      .run(['curl', '-s', '--connect-timeout', '1', '--max-time', '10', `http://${address}/`])
      .stdout.includes('hello-world'),
  );
  show(`ip route show ${address}   (on FRR)`, edge.host.run(['ip', 'route', 'show', address]).stdout);
  const { seen, attempts, failed } = await spreadWhile(cluster.nodes, cluster.client, address, TIMING);
  tell(cluster.nodes, seen);
  if (seen.some((count) => count < attempts / 6)) throw new Error('a node gets next to nothing');
  proved(`${attempts} connections, ${failed.length} lost`);
}

async function draining({ cluster, edge, address }: Scene): Promise<void> {
  const [, node] = cluster.nodes;
  step(`${node!.name} is drained: its routes carry GRACEFUL_SHUTDOWN (RFC 8326), routers prefer the others`);
  const annotate = ['annotate', 'node', node!.name, 'metallb.io/drain=for a new disk'];
  const { attempts, failed } = await spreadWhile(cluster.nodes, cluster.client, address, TIMING, async () => {
    show(`kubectl ${annotate.join(' ')}`, must(['kubectl', ...annotate], kubectlOptions(cluster)));
    await until(
      'the router prefers others',
      () => !edge.host.run(['ip', 'route', 'show', address]).stdout.includes(node!.address),
    );
  });
  show(`ip route show ${address}   (on FRR)`, edge.host.run(['ip', 'route', 'show', address]).stdout);
  const after = await spreadWhile(cluster.nodes, cluster.client, address, { ...TIMING, duration: 1500 });
  tell(cluster.nodes, after.seen);
  if (after.seen[1]! > 0) throw new Error(`${node!.name} is still sent connections`);
  proved(`${attempts} connections while it was drained, ${failed.length} lost`);
  must(['kubectl', 'annotate', 'node', node!.name, 'metallb.io/drain-'], kubectlOptions(cluster));
  await until('it is back', () => edge.host.run(['ip', 'route', 'show', address]).stdout.includes(node!.address));
}

async function dying({ cluster, edge, address }: Scene): Promise<void> {
  const node = cluster.nodes[2]!;
  step(`${node.name} dies: power off, cable dead; BFD at 50 ms notices`);
  await until('BFD with all nodes', () => edge.bfdPeers().length === 3);
  let took = '';
  const { attempts, failed } = await spreadWhile(cluster.nodes, cluster.client, address, TIMING, async () => {
    const began = performance.now();
    const killing = cluster.killNode(node);
    await until(
      'the route is gone',
      () => !edge.host.run(['ip', 'route', 'show', address]).stdout.includes(node.address),
      { interval: 5 },
    );
    took = milliseconds(began);
    await killing;
  });
  show(`ip route show ${address}   (on FRR)`, edge.host.run(['ip', 'route', 'show', address]).stdout);
  proved(`the way by ${node.name} was gone ${took} after it died; ${attempts} connections, ${failed.length} lost`);
}
