/**
 * Facts about this node for `metallb doctor`, from /proc and /sys.
 * @module
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { LinkFacts, NodeFacts } from '../../core/doctor/checks.ts';
import type { Interface } from '../../core/layer2/messages.ts';

/** What /proc and /sys say; the rest comes from the kernel and the API server. */
export type LocalFacts = Omit<NodeFacts, 'clockAhead' | 'serviceLb' | 'network' | 'pools'>;

/** CAP_NET_RAW of linux/capability.h. */
const CAP_NET_RAW = 13n;

/** The links of this node that are not excluded, and those of them that can be announced on. */
export interface NodeLinks {
  readonly names: readonly string[];
  readonly fit: readonly Interface[];
}

/** `port`: of the liveness messages. */
export function readNodeFacts({ names, fit }: NodeLinks, port: number): LocalFacts {
  return {
    netRaw: ((effectiveCapabilities() >> CAP_NET_RAW) & 1n) === 1n,
    links: names.map((name): LinkFacts => {
      const link = fit.find((candidate) => candidate.name === name);
      return {
        name,
        arp: link?.arp ?? false,
        ndp: link?.ndp ?? false,
        wireless: existsSync(`/sys/class/net/${name}/wireless`) || existsSync(`/sys/class/net/${name}/phy80211`),
        reversePathFilter: setting(name, 'rp_filter'),
        mtu: number(`/sys/class/net/${name}/mtu`),
      };
    }),
    ipvs: existsSync('/sys/class/net/kube-ipvs0'),
    all: {
      arpIgnore: setting('all', 'arp_ignore'),
      arpAnnounce: setting('all', 'arp_announce'),
      reversePathFilter: setting('all', 'rp_filter'),
    },
    livenessPort: { port, holder: holderOfUdp(port) },
  };
}

function effectiveCapabilities(): bigint {
  const status = readFileSync('/proc/self/status', 'utf8');
  return BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
}

function setting(link: string, name: string): number {
  return number(`/proc/sys/net/ipv4/conf/${link}/${name}`);
}

function number(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0;
  }
}

/** The process that has a UDP socket bound to the port, as text for users. */
function holderOfUdp(port: number): string | undefined {
  const inodes = ['/proc/net/udp', '/proc/net/udp6'].flatMap((path) => {
    const rows = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(1) : [];
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16) === port);
  });
  const inode = inodes[0]?.[9];
  if (inode === undefined) return undefined;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const holds = readdirSync(`/proc/${pid}/fd`).some(
        (fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`,
      );
      if (holds) return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
    } catch {
      // The process has ended, or belongs to another user.
    }
  }
  return 'a process that is not visible from here';
}
