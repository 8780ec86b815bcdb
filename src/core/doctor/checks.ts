/**
 * What on a node keeps a speaker from working, judged by facts gathered there. Each finding says how to fix it.
 * @module
 */

import type { Pool } from '../config/config.ts';
import { examinePools, type Network } from './pools.ts';

/** One link of the node, as far as it matters here. */
export interface LinkFacts {
  readonly name: string;
  readonly arp: boolean;
  readonly ndp: boolean;
  readonly wireless: boolean;
  /** net.ipv4.conf.NAME.rp_filter. */
  readonly reversePathFilter: number;
  readonly mtu: number;
}

/** Undefined: unknown. */
export interface NodeFacts {
  readonly netRaw: boolean;
  readonly links: readonly LinkFacts[];
  /** kube-proxy in IPVS mode holds every Service address on a link of its own (kube-ipvs0). */
  readonly ipvs: boolean;
  /** net.ipv4.conf.all. */
  readonly all: { readonly arpIgnore: number; readonly arpAnnounce: number; readonly reversePathFilter: number };
  /** UDP port of the liveness messages, and who holds it; `holder` undefined: nobody does. */
  readonly livenessPort: { readonly port: number; readonly holder: string | undefined };
  /** Seconds by which this node's clock is ahead of the API server's. */
  readonly clockAhead: number | undefined;
  /** Names of Pods of k3s' ServiceLB (Klipper). */
  readonly serviceLb: readonly string[] | undefined;
  readonly network: Network;
  readonly pools: readonly Pool[] | undefined;
}

export type Verdict = 'good' | 'warning' | 'problem' | 'unknown';

export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  readonly cure?: string;
}

/** What came of asking for an address that another node lends. */
export function examineAnswers(
  address: string,
  links: readonly string[],
  answers: readonly { readonly link: string; readonly mac: string }[],
): Finding {
  const check = 'answers for addresses that are not the node’s own';
  const stations = new Set(answers.map(({ mac }) => mac));
  const seen = answers.map(({ link, mac }) => `${mac} on ${link}`).join(', ');
  if (stations.size === 1) return { check, verdict: 'good', detail: `${address} is answered by ${seen}` };
  if (stations.size > 1)
    return {
      check,
      verdict: 'problem',
      detail: `${address} is answered by several stations: ${seen}`,
      cure: 'find out which other machines use it: lend a free address, for an address has one owner',
    };
  return {
    check,
    verdict: 'problem',
    detail: `nobody answers for ${address} on ${links.join(', ') || 'any link: none is usable'}`,
    cure: 'if the other node lends it on the same network, something in between drops answers for addresses that were not assigned to the machine: turn off anti-spoofing for both (allowed address pairs in OpenStack, forged transmits and MAC changes in VMware, IP filtering in Proxmox and libvirt); most clouds do not allow that: use BGP or their own load balancer there',
  };
}

/** The result of every check, passed ones included. */
export function examineNode(facts: NodeFacts): Finding[] {
  return CHECKS.flatMap(([check, find]) => {
    const found = find(facts);
    return (Array.isArray(found) ? found : [found]).map((finding) => ({ check, ...finding }));
  });
}

type Found = Omit<Finding, 'check'>;

const UNREACHABLE: Found = {
  verdict: 'unknown',
  detail: 'the API server could not be reached',
  cure: 'give --kubeconfig',
};

const good = (detail: string): Found => ({ verdict: 'good', detail });

/** IPv6 needs at least this MTU (RFC 8200 §5). */
const SMALLEST_IPV6_MTU = 1280;
/** Seconds. Certificates and Leases tolerate more, but logs of two nodes would be hard to compare. */
const CLOCK_TOLERANCE = 5;

const CHECKS: readonly (readonly [string, (facts: NodeFacts) => Found | Found[]])[] = [
  [
    'capability NET_RAW',
    ({ netRaw }) =>
      netRaw
        ? good('ARP and NDP can be answered')
        : {
            verdict: 'problem',
            detail: 'this process lacks it, so it can answer neither ARP nor NDP',
            cure: 'run as root, or grant it (securityContext.capabilities.add: [NET_RAW], setcap cap_net_raw+ep)',
          },
  ],
  [
    'links',
    ({ links }) => {
      const fit = links.filter(({ arp, ndp }) => arp || ndp);
      if (fit.length === 0)
        return {
          verdict: 'problem',
          detail: 'no link can be announced on: none is Ethernet, up, and not a port of a bridge or bond',
          cure: 'bring a link up (ip link set eth0 up), or correct the exclusion in /etc/metallb/excludel2.yaml',
        };
      const describe = ({ name, arp, ndp }: LinkFacts) =>
        `${name} (${[arp && 'IPv4', ndp && 'IPv6'].filter(Boolean).join(', ')})`;
      return good(fit.map(describe).join(', '));
    },
  ],
  [
    'IPv6',
    ({ links }) =>
      links.some(({ ndp }) => ndp) || links.every(({ arp }) => !arp)
        ? good('at least one link has a link-local address')
        : {
            verdict: 'warning',
            detail: 'no link has an IPv6 link-local address, so IPv6 addresses cannot be announced from here',
            cure: 'sysctl -w net.ipv6.conf.all.disable_ipv6=0, if the cluster has IPv6 Services',
          },
  ],
  [
    'kube-proxy',
    ({ ipvs, all }) => {
      if (!ipvs) return good('not in IPVS mode');
      if (all.arpIgnore >= 1 && all.arpAnnounce >= 2) return good('in IPVS mode with strictARP');
      return {
        verdict: 'problem',
        detail: 'in IPVS mode without strictARP: the kernel of every node answers ARP for every Service address',
        cure: 'set ipvs.strictARP: true in the ConfigMap kube-system/kube-proxy and restart kube-proxy',
      };
    },
  ],
  [
    'reverse path filter',
    ({ links, all }) => {
      // The kernel takes the larger of the two.
      const strict = links.filter(({ reversePathFilter }) => Math.max(reversePathFilter, all.reversePathFilter) === 1);
      if (strict.length === 0) return good('off or loose');
      const names = strict.map(({ name }) => name);
      return {
        verdict: 'warning',
        detail: `strict on ${names.join(', ')}: packets whose answer would leave by another link are dropped`,
        cure: `harmless with one link; with several: ${names.map((name) => `sysctl -w net.ipv4.conf.${name}.rp_filter=2`).join('; ')}`,
      };
    },
  ],
  [
    'Wi-Fi',
    ({ links }) => {
      const names = links.filter(({ wireless }) => wireless).map(({ name }) => name);
      if (names.length === 0) return good('no wireless link');
      return {
        verdict: 'warning',
        detail: `${names.join(', ')}: many access points and cards (Raspberry Pi) do not pass on ARP for addresses that they do not know`,
        cure: `use a cable, or try: ip link set ${names[0]} promisc on`,
      };
    },
  ],
  [
    'MTU',
    ({ links }) => {
      const small = links.filter(({ ndp, mtu }) => ndp && mtu < SMALLEST_IPV6_MTU);
      if (small.length === 0) return good('large enough for IPv6');
      return {
        verdict: 'problem',
        detail: `${small.map(({ name, mtu }) => `${name} has ${mtu}`).join(', ')}, and IPv6 needs ${SMALLEST_IPV6_MTU}`,
        cure: `ip link set ${small[0]!.name} mtu ${SMALLEST_IPV6_MTU} or more`,
      };
    },
  ],
  [
    'port of the liveness messages',
    ({ livenessPort: { port, holder } }) =>
      holder === undefined
        ? good(`UDP ${port} is free`)
        : {
            verdict: /metallb|node/.test(holder) ? 'good' : 'problem',
            detail: `UDP ${port} is in use by ${holder}`,
            ...(/metallb|node/.test(holder) ? {} : { cure: `stop it, or choose another --ml-bindport on every node` }),
          },
  ],
  [
    'clock',
    ({ clockAhead }) => {
      if (clockAhead === undefined) return UNREACHABLE;
      if (Math.abs(clockAhead) <= CLOCK_TOLERANCE) return good('agrees with the API server');
      const [far, direction] = [Math.abs(Math.round(clockAhead)), clockAhead > 0 ? 'ahead of' : 'behind'];
      return {
        verdict: 'warning',
        detail: `${far} s ${direction} the API server`,
        cure: 'run a time service (chrony, systemd-timesyncd)',
      };
    },
  ],
  [
    'other load balancers',
    ({ serviceLb }) => {
      if (serviceLb === undefined) return UNREACHABLE;
      if (serviceLb.length === 0) return good('none seen');
      return {
        verdict: 'problem',
        detail: `k3s' ServiceLB runs (${serviceLb.slice(0, 3).join(', ')}): it fights over the status of every Service`,
        cure: 'start k3s with --disable servicelb',
      };
    },
  ],
  [
    'pools',
    ({ pools, network }) => {
      if (pools === undefined)
        return { verdict: 'unknown', detail: 'IPAddressPools could not be read', cure: 'give --kubeconfig' };
      const found = examinePools(pools, network);
      if (found.length === 0)
        return good('none has an address of this node, of its gateways, or where it has one by DHCP');
      return found.map((finding): Found => ({ verdict: 'warning', ...finding }));
    },
  ],
];
