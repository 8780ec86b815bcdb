import { describe, expect, it } from 'vitest';
import { pool } from '../../../test/builders.ts';
import { resolveConfig } from '../config/resolve.ts';
import { examineNode, type LinkFacts, type NodeFacts } from './checks.ts';

const LINK: LinkFacts = {
  name: 'eth0',
  arp: true,
  ndp: true,
  wireless: false,
  reversePathFilter: 0,
  mtu: 1500,
};
const HEALTHY: NodeFacts = {
  netRaw: true,
  links: [LINK],
  ipvs: false,
  all: { arpIgnore: 0, arpAnnounce: 0, reversePathFilter: 0 },
  livenessPort: { port: 7946, holder: undefined },
  clockAhead: 0.3,
  serviceLb: [],
  network: { addresses: [], gateways: [] },
  pools: [],
};
const { pools: POOLS } = resolveConfig({ ipaddresspools: [pool('p', ['192.0.2.0/24'])] }).config;
const OWN = [{ address: '192.0.2.7', length: 24, link: 'eth0', dynamic: false }];
const findings = (facts: Partial<NodeFacts>) =>
  examineNode({ ...HEALTHY, ...facts }).filter(({ verdict }) => verdict !== 'good');

describe('the doctor', () => {
  it('finds nothing on a healthy node, and says what it looked at', () => {
    expect(findings({})).toEqual([]);
    expect(examineNode(HEALTHY).map(({ check }) => check)).toEqual([
      'capability NET_RAW',
      'links',
      'IPv6',
      'kube-proxy',
      'reverse path filter',
      'Wi-Fi',
      'MTU',
      'port of the liveness messages',
      'clock',
      'other load balancers',
      'pools',
    ]);
  });

  it.each<[string, Partial<NodeFacts>, string, string]>([
    ['no NET_RAW', { netRaw: false }, 'problem', 'NET_RAW'],
    ['no link', { links: [{ ...LINK, arp: false, ndp: false }] }, 'problem', 'ip link set eth0 up'],
    ['no IPv6', { links: [{ ...LINK, ndp: false }] }, 'warning', 'disable_ipv6=0'],
    ['IPVS without strictARP', { ipvs: true }, 'problem', 'strictARP: true'],
    [
      'a strict reverse path filter',
      { links: [{ ...LINK, reversePathFilter: 1 }] },
      'warning',
      'conf.eth0.rp_filter=2',
    ],
    [
      'the same by net.ipv4.conf.all',
      { all: { arpIgnore: 0, arpAnnounce: 0, reversePathFilter: 1 } },
      'warning',
      'rp_filter=2',
    ],
    ['Wi-Fi', { links: [{ ...LINK, name: 'wlan0', wireless: true }] }, 'warning', 'promisc on'],
    ['an MTU too small for IPv6', { links: [{ ...LINK, mtu: 1000 }] }, 'problem', 'mtu 1280'],
    [
      'a port that somebody holds',
      { livenessPort: { port: 7946, holder: 'serf (pid 7)' } },
      'problem',
      '--ml-bindport',
    ],
    ['a clock that is wrong', { clockAhead: -40 }, 'warning', 'time service'],
    ["k3s' own load balancer", { serviceLb: ['svclb-web-x7'] }, 'problem', '--disable servicelb'],
    [
      'a pool with an address of the node',
      { pools: POOLS, network: { addresses: OWN, gateways: [] } },
      'warning',
      'leave it out of the pool',
    ],
    ['no pools that it may read', { pools: undefined }, 'unknown', '--kubeconfig'],
    ['no API server', { clockAhead: undefined }, 'unknown', '--kubeconfig'],
  ])('finds %s, with the cure', (_, facts, verdict, cure) => {
    const found = findings(facts);
    expect(found.map((finding) => finding.verdict)).toEqual([verdict]);
    expect(found[0]!.cure).toContain(cure);
  });

  it('knows that strictARP is on, and that a loose filter overrides a strict one', () => {
    const all = { arpIgnore: 1, arpAnnounce: 2, reversePathFilter: 2 };
    expect(findings({ ipvs: true, all, links: [{ ...LINK, reversePathFilter: 1 }] })).toEqual([]);
  });
});
