/**
 * BGP beyond the plain session, with real routers: other transports, who connects, unnumbered links, restarts, weights, and what the
 * users' documents show.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, MANIFESTS } from '../../lab/kubernetes/cluster.ts';
import { addHost, connect, LAN6, probeWhile, removeHosts, removeLan } from '../../lab/net/lan.ts';
import { countPackets } from '../../lab/net/packet-counter.ts';
import { isInside, prepareInside } from '../../lab/net/sandbox.ts';
import { must, run } from '../../lab/net/shell.ts';
import { spreadWhile } from '../../lab/net/spread.ts';
import { until } from '../../lab/net/waiting.ts';
import {
  type BmpStation,
  type FrrRouter,
  type Router,
  startBird,
  startBmpStation,
  startFrr,
  startOpenBgpd,
  whyNoRouters,
} from '../../lab/routers/routers.ts';

if (!isInside()) throw new Error('the lab tests build networks: run them by `npm test`, which gives them a sandbox');

const obstacle = whyNoRouters();

const NODES = ['192.168.1.11', '192.168.1.12'];
const FRR = '192.168.1.2';
/** Also what the kernel of node-1 names first. */
const SECOND_SOURCE = `${LAN6}1:11`;
const NODES6 = [`${LAN6}12`, SECOND_SOURCE];

const neighborsOf = (address: string) => `
 neighbor ${address} remote-as 64500
 neighbor ${address} passive
 address-family ipv4 unicast
  neighbor ${address} activate
 exit-address-family
 address-family ipv6 unicast
  neighbor ${address} activate
 exit-address-family`;
const FRR_CONFIG = `frr defaults traditional
bfd
 profile patient
  receive-interval 300
  transmit-interval 300
 exit
exit
router bgp 64501
 bgp router-id ${FRR}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax${NODES.map(neighborsOf).join('')}
 neighbor ${NODES[0]} bfd profile patient
 neighbor ${NODES[1]} bfd profile patient
 address-family ipv4 unicast
  maximum-paths 16
 exit-address-family
exit
`;
const LEAF_CONFIG = `frr defaults traditional
interface uplink
 ipv6 nd ra-interval 1
 no ipv6 nd suppress-ra
exit
router bgp 64510
 bgp router-id 192.168.1.6
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor uplink interface remote-as external
 address-family ipv4 unicast
  neighbor uplink activate
 exit-address-family
 address-family ipv6 unicast
  neighbor uplink activate
 exit-address-family
exit
`;
const PFSENSE_CONFIG = `frr defaults traditional
router bgp 64501
 bgp router-id ROUTER
 no bgp ebgp-requires-policy
 neighbor NODES peer-group
 neighbor NODES remote-as 64500
 bgp listen range 192.168.33.0/24 peer-group NODES
 address-family ipv4 unicast
  maximum-paths 16
 exit-address-family
exit
`;
const ECHO_CONFIG = `frr defaults traditional
bfd
 profile echo
  detect-multiplier 5
  echo-mode
  echo transmit-interval 200
  echo receive-interval 200
 exit
exit
router bgp 64511
 bgp router-id 192.168.1.9
 no bgp ebgp-requires-policy
 neighbor ${NODES[0]} remote-as 64500
 neighbor ${NODES[0]} bfd profile echo
 neighbor ${NODES[0]} passive
exit
`;
const ECHO = `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: echo, namespace: metallb-system}
spec: {echoMode: true, echoInterval: 200, detectMultiplier: 5}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: echoing, namespace: metallb-system}
spec:
  myASN: 64500
  peerASN: 64511
  peerAddress: 192.168.1.9
  connectTime: 1s
  bfdProfile: echo
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: node-1}}]
`;
const DISTANT_CONFIG = `frr defaults traditional
bfd
 profile far
  minimum-ttl 200
 exit
exit
router bgp 64512
 bgp router-id 10.99.0.9
 no bgp ebgp-requires-policy
${NODES.map(
  (address) => ` neighbor ${address} remote-as 64500
 neighbor ${address} ebgp-multihop 2
 neighbor ${address} update-source 10.99.0.9
 neighbor ${address} bfd profile far
 neighbor ${address} passive
`,
).join('')}exit
`;
const DISTANT = `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: distant, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64512, peerAddress: 10.99.0.9, ebgpMultiHop: true, bfdProfile: far, connectTime: 1s, routerID: 10.1.2.3}
`;
interface FrrNeighbor {
  readonly bgpTimerHoldTimeMsecs: number;
  readonly remoteRouterId: string;
  readonly messageStats: { readonly keepalivesRecv: number; readonly keepalivesSent: number };
}
const PODINFO = `
apiVersion: v1
kind: Service
metadata: {name: podinfo, annotations: {metallb.io/address-pool: default}}
spec: {type: LoadBalancer, selector: {app: echo-server}, ports: [{port: 80, targetPort: http-port}]}
`;
/** By IPv6, from one source address only; and a session that BIRD itself begins, with a password. */
const BIRD_CONFIG = `
protocol bgp by6 { local ${LAN6}3 port 1179 as 64502; neighbor ${SECOND_SOURCE} as 64500; passive; error wait time 1, 2; ipv6 { import all; export none; }; }
protocol bgp eager { local 192.168.1.3 as 64500; neighbor ${NODES[1]} as 64500; password "hush"; connect delay time 1; connect retry time 1; error wait time 1, 2;
  multihop; bfd on; ipv4 { import all; export none; }; }
protocol bfd { multihop { interval 300 ms; multiplier 3; }; }
`;
const OPENBGPD_CONFIG = `AS 64503
group "nodes" {
  remote-as 64500
  neighbor 192.168.1.0/24 {
    announce IPv4 unicast
    announce IPv6 unicast
    ttl-security yes
    passive
  }
}
allow from any
`;

const objects = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: routed, namespace: metallb-system, labels: {kind: public}}
spec: {addresses: [198.51.100.0/24, "2001:db8:5::/64"]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: plain, namespace: metallb-system}
spec: {ipAddressPools: [routed], peers: [frr, by6, leaf, eager]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata:
  name: far
  namespace: metallb-system
  annotations: {metallb.io/as-path-prepend: "2", metallb.io/med: "50"}
spec: {ipAddressPools: [routed], peers: [by-annotation], communities: ["64500:3", "large:64500:1:2"]}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: patient, namespace: metallb-system}
spec: {receiveInterval: 300, transmitInterval: 300, detectMultiplier: 5, passiveMode: true}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: far, namespace: metallb-system}
spec: {receiveInterval: 300, transmitInterval: 300, minimumTtl: 60}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: frr, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64501, peerAddress: ${FRR}, dualStackAddressFamily: true, enableGracefulRestart: true, bfdProfile: patient, connectTime: 1s, holdTime: 9s, keepaliveTime: 1s}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: by6, namespace: metallb-system}
spec:
  myASN: 64500
  peerASN: 64502
  peerAddress: ${LAN6}3
  peerPort: 1179
  sourceAddress: ${SECOND_SOURCE}
  connectTime: 1s
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: node-1}}]
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: eager, namespace: metallb-system, annotations: {metallb.io/passive: "true", metallb.io/delay-open: 2s}}
spec:
  myASN: 64500
  peerASN: 64500
  peerAddress: 192.168.1.3
  password: hush
  bfdProfile: far
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: node-2}}]
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: leaf, namespace: metallb-system}
spec:
  myASN: 64500
  dynamicASN: external
  interface: uplink
  connectTime: 1s
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: node-1}}]
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata:
  name: by-annotation
  namespace: metallb-system
  annotations: {metallb.io/peer-address-from: node-annotation/example.com/tor, metallb.io/ttl-security-hops: "1"}
spec: {myASN: 64500, peerASN: 64503, dualStackAddressFamily: true, connectTime: 1s}
`;

describe.skipIf(obstacle !== undefined)(`BGP, more${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-bgp-'));
  let cluster: Cluster;
  let frr: FrrRouter;
  let leaf: FrrRouter;
  let bird: Router;
  let openbgpd: Router;
  let station: BmpStation;
  const kubectl = (...args: string[]) => {
    const { status, stdout, stderr } = cluster.kubectl(args);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  };
  const apply = (text: string) => cluster.apply(text);
  const nextHops = (router: Router, prefix: string) => router.paths(prefix).map(({ nextHop }) => nextHop);
  const all = (router: Router, prefix: string, expected: readonly string[]) => {
    let known: unknown;
    return until(
      `${router.host.name} knows ${prefix} by ${expected.join(', ') || 'nobody'}`,
      () => {
        known = nextHops(router, prefix);
        return String(known) === expected.join();
      },
      { seen: () => known },
    );
  };
  const metallb = (...args: string[]) => run([resolve('bin/metallb'), ...args, '--kubeconfig', cluster.kubeconfig]);
  const logOf = (node: string) => readFileSync(join(directory, `speaker-${node}.log`), 'utf8');

  beforeAll(async () => {
    prepareInside();
    cluster = new Cluster({
      directory,
      nodes: 2,
      speakerFlags: ['--bgp-listen-port=179', '--bmp-station=192.168.1.50:1790'],
    });
    station = startBmpStation(cluster.client, directory);
    const [one] = cluster.nodes;
    must(['ip', '-n', one!.name, 'address', 'add', `${SECOND_SOURCE}/64`, 'dev', 'eth0', 'nodad']);
    const leafHost = addHost('leaf', '192.168.1.6', '02:00:5e:00:03:06');
    connect(one!, leafHost, 'uplink');
    frr = await startFrr(addHost('frr', FRR, '02:00:5e:00:03:02'), directory, FRR_CONFIG);
    leaf = await startFrr(leafHost, directory, LEAF_CONFIG);
    bird = await startBird(addHost('bird', '192.168.1.3', '02:00:5e:00:03:03'), directory, BIRD_CONFIG);
    openbgpd = await startOpenBgpd(addHost('openbgpd', '192.168.1.5', '02:00:5e:00:03:05'), directory, OPENBGPD_CONFIG);
    await cluster.startAll();
    for (const node of cluster.nodes) kubectl('annotate', 'node', node.name, 'example.com/tor=192.168.1.5');
    cluster.applyManifests('raspberry-hello-deployment.yaml');
    apply(objects);
    const patch = { spec: { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] } };
    kubectl('patch', 'service', 'echo-service', '-p', JSON.stringify(patch));
    kubectl('patch', 'deployment', 'echo-deployment', '-p', '{"spec":{"replicas":3}}');
  });
  afterAll(async () => {
    const routers = [frr, leaf, bird, openbgpd];
    for (const router of [...routers, station]) await router?.stop();
    await cluster?.stop();
    removeLan(routers.flatMap((router) => router?.host ?? []));
    rmSync(directory, { recursive: true, force: true });
  });

  it('tells OpenBGPD, which it finds by an annotation of the Node, of both families, with MED and a longer path', async () => {
    await all(openbgpd, '198.51.100.0/32', NODES);
    await all(openbgpd, '2001:db8:5::/128', NODES6);
    expect(openbgpd.paths('198.51.100.0/32')[0]).toMatchObject({
      asPath: '64500 64500 64500',
      med: 50,
      communities: '64500:3',
      largeCommunities: '64500:1:2',
    });
  });

  it('reaches BIRD over IPv6, from the source address that it is told', async () => {
    await all(bird, '2001:db8:5::/128', [SECOND_SOURCE]);
    expect(bird.paths('198.51.100.0/32').every(({ nextHop }) => nextHop === NODES[1])).toBe(true);
  });

  it('lets a router connect that is to do so (BIRD, iBGP, TCP-MD5), and has BFD with it over some hops', async () => {
    await all(bird, '198.51.100.0/32', [NODES[1]!]);
    const { stdout } = cluster.nodes[1]!.run(['ss', '-Htn', 'state', 'established', 'sport', '=', ':179']);
    expect(stdout).toContain('192.168.1.3:');
    await until('BFD', () => logOf('node-2').includes('BFD with eager is up'));
  });

  it('finds the router of an unnumbered link, and gives it IPv4 routes with an IPv6 next hop (RFC 8950)', async () => {
    const linkLocal = /inet6 (fe80::[0-9a-f:]+)/.exec(
      cluster.nodes[0]!.run(['ip', 'address', 'show', 'uplink']).stdout,
    )![1]!;
    await until('the route', () => leaf.paths('198.51.100.0/32').length === 1);
    await until('the other family', () => leaf.paths('2001:db8:5::/128').length === 1);
    const { paths } = JSON.parse(leaf.show('show bgp ipv4 unicast 198.51.100.0/32 json')) as {
      paths: { nexthops: { ip: string }[] }[];
    };
    expect(paths[0]!.nexthops.map(({ ip }) => ip)).toContain(linkLocal);
    await until('it is used', () =>
      leaf.host.run(['ip', 'route', 'show', '198.51.100.0/32']).stdout.includes(`via inet6 ${linkLocal} dev uplink`),
    );
    expect(logOf('node-1')).toContain('the router on uplink is fe80::');
  });

  it('says of every session how it stands: in objects, by `metallb status bgp`, and in explain', async () => {
    const stdout = await until('all are up', () => {
      const answer = metallb('status', 'bgp');
      return answer.status === 0 && answer.stdout;
    });
    const rows = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/ {2,}/));
    expect(rows.map(([node, peer, address, asn, state]) => [node, peer, address, asn, state].join(' '))).toEqual([
      'node-1 by-annotation 192.168.1.5 64503 Established',
      'node-2 by-annotation 192.168.1.5 64503 Established',
      `node-1 by6 ${LAN6}3 64502 Established`,
      'node-2 eager 192.168.1.3 64500 Established',
      'node-1 frr 192.168.1.2 64501 Established',
      'node-2 frr 192.168.1.2 64501 Established',
      expect.stringMatching(/^node-1 leaf fe80::[0-9a-f:]+%uplink 64510 Established$/),
    ]);
    kubectl('-n', 'metallb-system', 'patch', 'bgppeer', 'by6', '--type=merge', '-p', '{"spec":{"peerASN":64999}}');
    await until('the reason', () => {
      const { status, stdout: text } = metallb('status', 'bgp');
      return status === 1 && /node-1 +by6 .*Active.*the router is AS 64502; the BGPPeer expects AS 64999/.test(text);
    });
    const explained = metallb('explain', 'service', 'echo-service').stdout;
    expect(explained).toContain('Sessions that are not up (BGPSessionStatus):\n  node-1 with by6: the router');
    expect(explained).toContain(
      '198.51.100.0/32: communities 64500:3 large:64500:1:2, our AS 3 times in the path, MED 50 (node-1, node-2 to by-annotation)',
    );
    expect(explained).toContain(
      '198.51.100.0/32: not sent: its session carries ipv6 only: set dualStackAddressFamily (node-1 to by6)',
    );
    kubectl('-n', 'metallb-system', 'patch', 'bgppeer', 'by6', '--type=merge', '-p', '{"spec":{"peerASN":64502}}');
    await all(bird, '2001:db8:5::/128', [SECOND_SOURCE]);
  });

  it('keeps the times that BGPPeer and BFDProfile give', async () => {
    const neighbor = () => {
      const all = JSON.parse(frr.show('show bgp neighbors json')) as Record<string, FrrNeighbor>;
      return all[NODES[0]!]!;
    };
    await until('the hold time', () => neighbor().bgpTimerHoldTimeMsecs === 9000, {
      seen: () => neighbor().bgpTimerHoldTimeMsecs,
    });
    // One a second. FRR, which sends one in each third of the hold time, is the clock.
    const before = neighbor().messageStats;
    await until('keepalives', () => neighbor().messageStats.keepalivesRecv >= before.keepalivesRecv + 8);
    expect(neighbor().messageStats.keepalivesSent - before.keepalivesSent).toBeLessThanOrEqual(4);
    const bfd = JSON.parse(frr.show('show bfd peers json')) as Record<string, unknown>[];
    expect(bfd.find(({ peer }) => peer === NODES[0])).toMatchObject({
      'remote-receive-interval': 300,
      'remote-transmit-interval': 300,
      'remote-detect-multiplier': 5,
    });
    // BIRD's packets of a multihop session come with TTL 64.
    kubectl('-n', 'metallb-system', 'patch', 'bfdprofile', 'far', '--type=merge', '-p', '{"spec":{"minimumTtl":250}}');
    const news = () => logOf('node-2').split('BFD with eager is up').length;
    const control = join(directory, `${bird.host.name}-bird.ctl`);
    await until(
      'BIRD has lost it',
      () => !/ Up /.test(bird.host.run(['birdc', '-s', control, 'show', 'bfd', 'sessions']).stdout),
    );
    const ups = news();
    const far = countPackets(cluster.nodes[1]!, 'prerouting', 'udp dport 4784');
    await until('more of them', () => far.packets() > 3);
    far.end();
    expect(news()).toBe(ups);
    kubectl('-n', 'metallb-system', 'patch', 'bfdprofile', 'far', '--type=merge', '-p', '{"spec":{"minimumTtl":60}}');
    await until('BFD is back', () => news() > ups);
    // Attempts of a peer whose router is not there: one after each connectTime, give or take a quarter.
    const absent = `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: absent, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64999, peerAddress: 192.168.1.50, connectTime: 1s, nodeSelectors: [{matchLabels: {kubernetes.io/hostname: node-1}}]}
`;
    const [node] = cluster.nodes;
    const attempts = countPackets(node!, 'output', 'ip daddr 192.168.1.50 tcp dport 179 tcp flags syn');
    apply(absent);
    await until('some attempts', () => attempts.packets() >= 5);
    // Said once, and not with each attempt.
    expect(logOf('node-1').split('no BGP session with absent')).toHaveLength(2);
    attempts.end();
    kubectl('-n', 'metallb-system', 'delete', 'bgppeer', 'absent');
  });

  it('gives routes as the selectors of a BGPAdvertisement say: of pools, of nodes, of Services', async () => {
    apply(`
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: picky, namespace: metallb-system}
spec:
  ipAddressPoolSelectors: [{matchLabels: {kind: public}}]
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: node-2}}]
  serviceSelectors: [{matchLabels: {marked: "yes"}}]
  communities: ["64500:99"]
  peers: [frr]
`);
    const communities = () => frr.paths('198.51.100.0/32').map((path) => path.communities);
    // What was applied later is there, and so this was looked at.
    apply(
      'apiVersion: metallb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {name: later, namespace: metallb-system}\nspec: {communities: ["64500:98"], peers: [frr]}\n',
    );
    await until('the later one', () => communities().join() === '64500:98,64500:98');
    kubectl('-n', 'metallb-system', 'delete', 'bgpadvertisement', 'later');
    await until('it is gone', () => communities().join() === ',');
    kubectl('label', 'service', 'echo-service', 'marked=yes');
    await until('the community', () => communities().join() === ',64500:99');
    kubectl('label', 'ipaddresspool', '-n', 'metallb-system', 'routed', 'kind=private', '--overwrite');
    await until('it is gone', () => communities().join() === ',');
    kubectl('-n', 'metallb-system', 'delete', 'bgpadvertisement', 'picky');
  });

  it('reaches a router some hops away, and has BFD with it there (ebgpMultiHop)', async () => {
    const host = addHost('distant', '192.168.1.19', '02:00:5e:00:03:19');
    must(['ip', '-n', host.name, 'address', 'add', '10.99.0.9/32', 'dev', 'lo']);
    for (const node of cluster.nodes) must(node.inside(['ip', 'route', 'add', '10.99.0.9', 'via', host.address]));
    const router = await startFrr(host, directory, DISTANT_CONFIG);
    try {
      apply(DISTANT);
      await until('the session', () => router.neighbors().length === 2);
      const known = JSON.parse(router.show('show bgp neighbors json')) as Record<string, FrrNeighbor>;
      expect(known[NODES[0]!]!.remoteRouterId).toBe('10.1.2.3');
      await until('BFD', () => router.bfdPeers().join() === NODES.join());
      expect(router.show('show bfd peers')).toContain('peer 192.168.1.11 multihop local-address 10.99.0.9');
    } finally {
      kubectl('-n', 'metallb-system', 'delete', 'bgppeer', 'distant');
      await router.stop();
      removeHosts([host]);
    }
  });

  it('tells a BMP station of its sessions and of every route that it sends', async () => {
    const about = (more: object) =>
      station.messages().filter((message) => Object.entries(more).every(([key, value]) => message[key] === value));
    const far = { peer_ip: '192.168.1.5', log_type: 'update', ip_prefix: '198.51.100.0/32', bmp_router: NODES[0] };
    const route = await until('the route', () => about(far)[0]);
    expect(route).toMatchObject({
      as_path: '64500 64500 64500',
      med: 50,
      comms: '64500:3',
      lcomms: '64500:1:2',
      bgp_nexthop: NODES[0],
      is_out: 1,
      is_post: 1,
    });
    const up = about({ bmp_msg_type: 'peer_up', peer_ip: FRR, bmp_router: NODES[1] })[0];
    expect(up).toMatchObject({ peer_asn: 64501, local_ip: NODES[1], remote_port: 179 });
    expect(JSON.stringify(about({ bmp_msg_type: 'init' }))).toContain('node-1');
  });

  it('restarts without losing a packet: a router that can keeps the routes (RFC 4724)', async () => {
    await all(frr, '198.51.100.0/32', NODES);
    const speaker = cluster.speakers.get('node-1')!;
    const { attempts, failed } = await probeWhile(
      frr.host,
      '198.51.100.0',
      { interval: 10, duration: 6000 },
      async () => {
        await speaker.stop();
        // The session is gone, the route is not.
        await until('the session is gone', () => !frr.neighbors().includes(NODES[0]!));
        expect(nextHops(frr, '198.51.100.0/32')).toEqual(NODES);
        expect(frr.show('show bgp ipv4 unicast 198.51.100.0/32')).toContain('(stale)');
        await cluster.startSpeaker(cluster.nodes[0]!);
        await until('it is fresh', () => !frr.show('show bgp ipv4 unicast 198.51.100.0/32').includes('(stale)'));
      },
    );
    expect(attempts).toBeGreaterThan(300);
    expect(failed).toEqual([]);
    expect(nextHops(frr, '198.51.100.0/32')).toEqual(NODES);
  });

  it('loses no packet either when a change of the BGPPeer takes new sessions', async () => {
    const patch = (holdTime: string) => {
      const change = ['patch', 'bgppeer', 'frr', '--type', 'merge', '-p', JSON.stringify({ spec: { holdTime } })];
      return cluster.kubectl(['-n', 'metallb-system', ...change]).stderr;
    };
    const renewed = (times: number) => () =>
      NODES.every((_, i) => logOf(`node-${i + 1}`).split('ended: the BGPPeer was changed: holdTime').length > times);
    const fresh = () => {
      const table = frr.show('show bgp ipv4 unicast 198.51.100.0/32');
      return frr.neighbors().length === NODES.length && !table.includes('(stale)');
    };
    const { failed } = await probeWhile(frr.host, '198.51.100.0', { interval: 10, duration: 4000 }, async () => {
      expect(patch('12s')).toContain('because of holdTime; routers with graceful restart keep its routes meanwhile');
      await until('new sessions', renewed(1));
      expect(nextHops(frr, '198.51.100.0/32')).toEqual(NODES);
      await until('all are fresh', fresh);
    });
    expect(failed).toEqual([]);
    patch('9s');
    await until('new sessions', renewed(2));
    await until('all are fresh', fresh);
    expect(nextHops(frr, '198.51.100.0/32')).toEqual(NODES);
  });

  it('takes its routes with it when the node was drained before, whatever the router could keep', async () => {
    kubectl('annotate', 'node', 'node-1', 'metallb.io/drain=for good');
    await until('the community', () => frr.paths('198.51.100.0/32')[0]?.communities.includes('graceful-shutdown'));
    await cluster.speakers.get('node-1')!.stop();
    await all(frr, '198.51.100.0/32', [NODES[1]!]);
    kubectl('annotate', 'node', 'node-1', 'metallb.io/drain-');
    await cluster.startSpeaker(cluster.nodes[0]!);
    await all(frr, '198.51.100.0/32', NODES);
  });

  /** Of the connections that FRR makes to the address, the share that each node gets. */
  const shares = async () => {
    const timing = { interval: 5, duration: 2500 };
    const { attempts, failed, seen } = await spreadWhile(cluster.nodes, frr.host, '198.51.100.0', timing);
    expect(attempts).toBeGreaterThan(300);
    // The nodes hide the client behind their own ports, which come to an end in so short a time: a few have to try again.
    expect(failed.length / attempts).toBeLessThan(0.02);
    return seen.map((count) => count / attempts);
  };

  it('spreads what comes for the address over the nodes, connection by connection', async () => {
    frr.host.run(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/fib_multipath_hash_policy']);
    const seen = await shares();
    // Half each, give or take.
    for (const share of seen) expect(share).toBeGreaterThan(0.4);
  });

  it('weighs nodes by their endpoints, where the advertisement says so', async () => {
    kubectl('patch', 'service', 'echo-service', '-p', '{"spec":{"externalTrafficPolicy":"Local"}}');
    const annotation = { metadata: { annotations: { 'metallb.io/link-bandwidth': 'endpoints' } } };
    kubectl(
      '-n',
      'metallb-system',
      'patch',
      'bgpadvertisement',
      'plain',
      '--type=merge',
      '-p',
      JSON.stringify(annotation),
    );
    // Three endpoints on two nodes: the one with two gets twice as much.
    const weights = await until('the weights', () => {
      const { stdout } = frr.host.run(['ip', 'route', 'show', '198.51.100.0/32']);
      const found = [...stdout.matchAll(/via (\S+) .*?weight (\d+)/g)].map(
        ([, via, weight]) => [via, Number(weight)] as const,
      );
      return found.length === 2 && found[0]![1] !== found[1]![1] && found;
    });
    const [low, high] = weights.map(([, weight]) => weight).sort((a, b) => a - b);
    expect(high! / low!).toBeGreaterThan(1.8);
    expect(high! / low!).toBeLessThan(2.2);
    const seen = await shares();
    expect(Math.max(...seen)).toBeGreaterThan(0.58);
    expect(Math.min(...seen)).toBeGreaterThan(0.25);
    kubectl('patch', 'service', 'echo-service', '-p', '{"spec":{"externalTrafficPolicy":"Cluster"}}');
    kubectl('-n', 'metallb-system', 'annotate', 'bgpadvertisement', 'plain', 'metallb.io/link-bandwidth-');
  });

  it('comes back to routers that restart, also when they do so again and again', async () => {
    for (let i = 0; i < 3; i++) {
      await openbgpd.stop();
      openbgpd = await startOpenBgpd(openbgpd.host, directory, OPENBGPD_CONFIG);
      await all(openbgpd, '198.51.100.0/32', NODES);
    }
    const log = `${logOf('node-1')}${logOf('node-2')}`;
    expect(log).toContain('BGP session with by-annotation ended: ');
    await all(openbgpd, '2001:db8:5::/128', NODES6);
  });

  it('follows the annotation of a Node to another router', async () => {
    kubectl('annotate', 'node', 'node-2', 'example.com/tor-');
    await all(openbgpd, '198.51.100.0/32', [NODES[0]!]);
    await until('the reason', () =>
      logOf('node-2').includes('the Node has no annotation example.com/tor: set it to the address of the router'),
    );
    kubectl('annotate', 'node', 'node-2', 'example.com/tor=192.168.1.5');
    await all(openbgpd, '198.51.100.0/32', NODES);
  });

  it('has BFD echo with a router: what both send comes back', async () => {
    const host = addHost('echoing', '192.168.1.9', '02:00:5e:00:03:09');
    const forward = (value: 0 | 1) => must(host.inside(['sh', '-c', `echo ${value} > /proc/sys/net/ipv4/ip_forward`]));
    forward(1);
    const router = await startFrr(host, directory, ECHO_CONFIG);
    try {
      apply(ECHO);
      await until('BFD', () => router.bfdPeers().includes(NODES[0]!));
      // FRR restarts its BFD session when BGP is up.
      const counters = () =>
        (JSON.parse(router.show('show bfd peers counters json')) as Record<string, unknown>[]).find(
          ({ peer }) => peer === NODES[0],
        ) ?? {};
      // Theirs come back by our kernel, ours by theirs: nobody misses one.
      await until('their echoes', () => Number(counters()['echo-packet-input']) > 60);
      expect(counters()['session-down']).toBe(0);
      expect(logOf('node-1')).not.toContain('the router sends no BFD echo back');
      forward(0);
      await until('the reason', () => logOf('node-1').includes('BFD with echoing: the router sends no BFD echo back'));
    } finally {
      kubectl('-n', 'metallb-system', 'delete', 'bgppeer', 'echoing');
      await router.stop();
      removeHosts([host]);
    }
  });

  it('does what the users’ pfSense example says: two firewalls in AS 64501, the nodes in AS 64500', async () => {
    // pfSense's BGP is FRR; the firewalls are on the nodes' network, as in the example.
    const firewalls = await Promise.all(
      ['192.168.33.2', '192.168.33.4'].map((address, i) => {
        const host = addHost(`pfsense-${i + 1}`, `192.168.1.${7 + i}`, `02:00:5e:00:03:0${7 + i}`);
        must(['ip', '-n', host.name, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
        return startFrr(host, directory, PFSENSE_CONFIG.replace('ROUTER', address));
      }),
    );
    const nodes = cluster.nodes.map(({ name }, i) => {
      must(['ip', '-n', name, 'address', 'add', `192.168.33.2${i + 1}/24`, 'dev', 'eth0']);
      return `192.168.33.2${i + 1}`;
    });
    try {
      const converted = run([resolve('bin/metallb'), 'convert', '-f', join(MANIFESTS, 'flux-configmap-bgp.yaml')]);
      expect(converted.stderr).toBe('');
      apply(converted.stdout);
      apply(PODINFO);
      const address = await until('podinfo gets its address', () => cluster.addressOf('default', 'podinfo'));
      // Of 192.168.32.0/24; .0 is "buggy", which the example wants to avoid.
      expect(address).toBe('192.168.32.1');
      for (const firewall of firewalls) {
        await all(firewall, `${address}/32`, nodes);
        expect(firewall.paths(`${address}/32`)[0]!.asPath).toBe('64500');
        await until(
          'the page',
          () => firewall.host.run(['curl', '-s', '--max-time', '1', `http://${address}/`]).stdout === 'hello-world\n',
        );
      }
    } finally {
      for (const firewall of firewalls) await firewall.stop();
      removeHosts(firewalls.map(({ host }) => host));
    }
  });
});
