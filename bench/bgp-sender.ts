/**
 * Our BGP with many routes, in a process of its own; see bgp.ts. `ASN PEER-ASN COUNT ADDRESS[/SOURCE] …`: connects to each router; on a line on
 * standard input it does what the line says: `change` gives the fifth route a community, `withdraw` withdraws all.
 * @module
 */
import { createInterface } from 'node:readline';
import { BgpSessions } from '../src/apps/speaker/bgp-sessions.ts';
import { keyOf, type Route } from '../src/core/bgp/rib/route.ts';
import { RouteTable } from '../src/core/bgp/rib/route-table.ts';
import type { Peer } from '../src/core/config/config.ts';
import { parseAddress } from '../src/core/net/address.ts';

const [asn = '', peerAsn = '', count = '', ...routers] = process.argv.slice(2);
const peers = routers.map((router): Peer => {
  const [address = '', source] = router.split('/');
  return {
    name: router,
    myASN: Number(asn),
    peerASN: Number(peerAsn),
    target: { kind: 'address', address: parseAddress(address)! },
    port: 179,
    sourceAddress: source === undefined ? undefined : parseAddress(source),
    nodeSelectors: [],
    gracefulRestart: false,
    ebgpMultiHop: false,
    vrf: '',
    dualStack: false,
    disableMP: false,
    passive: false,
    delayOpen: 0,
    ttlSecurityHops: undefined,
  };
});
const routes = Array.from({ length: Number(count) }, (_, i): Route => {
  const base = parseAddress(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)!.value;
  return { prefix: { family: 'ipv4', base, length: 32 }, localPref: 0, communities: [], largeCommunities: [] };
});
const sessions = new BgpSessions({
  node: 'bench',
  listenPort: 0,
  onOutput: (output) => {
    if (output.kind === 'attempt-failed') console.error(output.why);
    if (output.kind === 'session' && output.output.kind === 'session-down') console.error(output.output.why);
  },
  onListenFailed: () => {},
});
const table = new RouteTable(1);
for (const route of routes) table.set(route);
const plans = peers.map((peer) => ({ peer, bfd: undefined, audience: table.audience }));
let told: number | undefined;
const set = () => {
  const update = table.updateSince(told);
  told = table.version;
  sessions.feed({ kind: 'wanted', plans, routes: update === undefined ? [] : [update] });
};
const say = (what: string) => console.log(`${what} ${performance.timeOrigin + performance.now()}`);
set();
createInterface({ input: process.stdin }).on('line', (line) => {
  say(line);
  if (line === 'change') table.set({ ...routes[4]!, communities: [[64500, 7]] });
  else for (const route of routes) table.delete(keyOf(route));
  set();
  const { user, system } = process.cpuUsage();
  console.log(`used ${(user + system) / 1000} ${process.memoryUsage.rss()}`);
});
