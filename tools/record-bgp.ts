/**
 * `npm run record:bgp`: makes test/replay/bgp/routers.json again: what FRR, BIRD, GoBGP and OpenBGPD say to us, with routes of every kind.
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { addHost, createLan, LAN6, removeLan } from '../lab/net/lan.ts';
import { isInside, prepareInside, runInside } from '../lab/net/sandbox.ts';
import { sleep } from '../lab/net/waiting.ts';
import { type Router, startBird, startFrr, startGoBgp, startOpenBgpd } from '../lab/routers/routers.ts';

if (!isInside()) process.exit(await runInside(import.meta.filename, process.argv.slice(2)));

const FRR = `frr defaults traditional
router bgp 64501
 bgp router-id 192.168.1.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 192.168.1.11 remote-as 64500
 neighbor 192.168.1.11 passive
 address-family ipv4 unicast
  network 203.0.113.0/24 route-map OUT
  network 203.0.114.0/24
  neighbor 192.168.1.11 activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:1::/48 route-map OUT
  neighbor 192.168.1.11 activate
 exit-address-family
exit
route-map OUT permit 10
 set community 64501:1 64501:2
 set large-community 64501:1:2
 set extcommunity rt 64501:9
 set metric 77
 set as-path prepend 64501 64999
exit
`;
const BIRD = `
filter out4 { if source != RTS_STATIC then reject; bgp_community.add((64502,1)); bgp_large_community.add((64502,1,2)); bgp_ext_community.add((rt,64502,9)); bgp_med = 5; accept; }
protocol static mine4 { ipv4; route 203.0.113.0/24 blackhole; route 203.0.115.128/25 blackhole; route 0.0.0.0/0 blackhole; }
protocol static mine6 { ipv6; route 2001:db8:2::/48 blackhole; }
protocol bgp node { local as 64502; neighbor 192.168.1.11 as 64500; passive; graceful restart on;
  ipv4 { import all; export filter out4; }; ipv6 { import all; export where proto = "mine6"; }; }
`;
const OPENBGPD = `AS 64503
network 203.0.113.0/24 set { community 64503:1 large-community 64503:1:2 metric 5 prepend-self 2 }
network 2001:db8:3::/48
neighbor 192.168.1.11 {
  remote-as 64500
  passive
  announce IPv4 unicast
  announce IPv6 unicast
  announce add-path recv yes
  announce restart yes
}
allow from any
allow to any
`;

prepareInside();
const directory = mkdtempSync(join(tmpdir(), 'metallb-record-'));
createLan();
const node = addHost('node', '192.168.1.11', '02:00:5e:00:01:01');
const host = (name: string, last: number) => addHost(name, `192.168.1.${last}`, `02:00:5e:00:03:0${last}`);
const frr = await startFrr(host('frr', 2), directory, FRR);
const bird = await startBird(host('bird', 3), directory, BIRD);
const gobgp = await startGoBgp(host('gobgp', 4), directory, 64504, 64500);
const openbgpd = await startOpenBgpd(host('openbgpd', 5), directory, OPENBGPD);
const add = (...args: string[]) => gobgp.host.run(['gobgp', 'global', 'rib', 'add', ...args]);
add('203.0.113.0/24', 'community', '64504:1', 'large-community', '64504:1:2', 'med', '5', 'local-pref', '150');
add('-a', 'ipv6', '2001:db8:4::/48', 'nexthop', `${LAN6}4`);

// FRR does not listen to a neighbor in the first moments after it has got to know it.
await sleep(6000);
const recorded: Record<string, string[]> = {};
const TIME = 6000;
const script = resolve(import.meta.dirname, '../lab/routers/bgp-recorder.ts');
const listen = async (router: Router) => {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', script, router.host.address, '64500'];
  const { stdout, stderr } = await node.runAsync([...command, String(TIME)]);
  if (stdout === '') throw new Error(`${router.host.name} says nothing: ${stderr}`);
  recorded[router.host.name] = [...new Set(stdout.trim().split('\n'))];
};
const routers = [frr, bird, gobgp, openbgpd];
const all = Promise.all(routers.map(listen));
await sleep(4500);
// Something is withdrawn, and a router says goodbye.
frr.show('configure terminal\nrouter bgp 64501\naddress-family ipv4 unicast\nno network 203.0.114.0/24');
gobgp.host.run(['gobgp', 'global', 'rib', 'del', '203.0.113.0/24']);
openbgpd.host.run(['bgpctl', '-s', '/run/openbgpd.sock', 'neighbor', '192.168.1.11', 'down', 'new disks']);
await all;
for (const router of routers) await router.stop();
removeLan([node, ...routers.map((router) => router.host)]);
const target = resolve(import.meta.dirname, '../test/replay/bgp');
mkdirSync(target, { recursive: true });
writeFileSync(join(target, 'routers.json'), `${JSON.stringify(recorded, null, 2)}\n`);
rmSync(directory, { recursive: true, force: true });
for (const [name, messages] of Object.entries(recorded)) console.log(`${name}: ${messages.length} messages`);
process.exit();
