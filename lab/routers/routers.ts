/**
 * Real routers on hosts of the LAN: FRR, BIRD, GoBGP and OpenBGPD, with their own tools to look into them.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LanHost } from '../net/lan.ts';
import { hasOtherUsers } from '../net/sandbox.ts';
import { type LabProcess, must, run } from '../net/shell.ts';
import { until } from '../net/waiting.ts';

/** One path to a prefix, as a router sees it. */
export interface Path {
  readonly nextHop: string;
  readonly asPath: string;
  readonly localPref: number | undefined;
  readonly communities: string;
  readonly largeCommunities: string;
  readonly med?: number | undefined;
}

export interface Router {
  readonly host: LanHost;
  /** The paths that the router has for a prefix, in the order of their next hops. */
  paths(prefix: string): Path[];
  stop(): Promise<void>;
}

export interface FrrRouter extends Router {
  /** What one of FRR's own commands says. */
  show(command: string): string;
  /** Addresses of the neighbors that its BFD sees. */
  bfdPeers(): string[];
  /** Addresses of the neighbors with which it has a session. */
  neighbors(): string[];
  /** How many KEEPALIVEs a neighbor has sent. */
  keepalives(neighbor: string): number;
}

/** Why no routers are available here; undefined: they are. */
export function whyNoRouters(): string | undefined {
  const missing = [
    '/usr/lib/frr/bgpd',
    '/usr/sbin/bird',
    '/usr/bin/vtysh',
    '/usr/bin/gobgpd',
    '/usr/sbin/bgpctl',
    '/usr/sbin/pmbmpd',
  ].filter((path) => run(['test', '-x', path]).status !== 0);
  if (!hasOtherUsers()) return 'FRR has to be started as root';
  return missing.length === 0
    ? undefined
    : `these are missing: ${missing.join(', ')} (as root: apt-get install frr bird2 gobgpd openbgpd pmacct)`;
}

const ZEBRA_BUFFER = '90000000';

/** `config` in FRR's own words. */
export async function startFrr(host: LanHost, directory: string, config: string): Promise<FrrRouter> {
  const space = host.name;
  mkdirSync(`/run/frr/${space}`, { recursive: true });
  writeFileSync('/run/frr/vtysh.conf', '');
  writeFileSync(`/run/frr/${space}/vtysh.conf`, '');
  must(['chown', '-R', 'frr:frr', '/run/frr']);
  const file = join(directory, `${space}-frr.conf`);
  writeFileSync(file, config);
  const processes: LabProcess[] = [];
  for (const daemon of ['zebra', 'bfdd', 'bgpd']) {
    const flags = ['-N', space, '-u', 'frr', '-g', 'frr', '-A', '127.0.0.1', '-P', '0', '-f', '/dev/null'];
    const extra = daemon === 'zebra' ? ['-s', ZEBRA_BUFFER] : [];
    const log = `/run/frr/${space}/${daemon}.log`;
    const output = join(directory, `${space}-${daemon}.log`);
    processes.push(host.start(daemon, [`/usr/lib/frr/${daemon}`, ...flags, ...extra, '--log', `file:${log}`], output));
    await until(`${daemon} listens`, () => run(['test', '-S', `/run/frr/${space}/${daemon}.vty`]).status === 0);
  }
  const vtysh = (...args: string[]) => host.run(['vtysh', '--config_dir', '/run/frr', '-N', space, ...args]);
  const loaded = vtysh('-f', file);
  if (loaded.status !== 0) throw new Error(`FRR does not take its configuration: ${loaded.stdout}${loaded.stderr}`);
  const json = <T>(command: string) => JSON.parse(vtysh('-c', command).stdout || '{}') as T;
  return {
    host,
    show: (command) => vtysh('-c', command).stdout,
    paths: (prefix) => {
      const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
      const { paths = [] } = json<{ paths?: FrrPath[] }>(`show bgp ${family} unicast ${prefix} json`);
      return sorted(
        paths.map(({ nexthops, aspath, locPrf, community, largeCommunity }) => ({
          nextHop: nexthops.find(({ scope }) => scope !== 'link-local')?.ip ?? '',
          asPath: aspath.string,
          localPref: locPrf,
          communities: community?.string ?? '',
          largeCommunities: largeCommunity?.string ?? '',
        })),
      );
    },
    bfdPeers: () =>
      json<{ peer: string; status: string }[]>('show bfd peers json')
        .filter(({ status }) => status === 'up')
        .map(({ peer }) => peer)
        .sort(),
    neighbors: () =>
      Object.entries(json<Record<string, { bgpState: string }>>('show bgp neighbors json'))
        .filter(([, neighbor]) => neighbor.bgpState === 'Established')
        .map(([address]) => address)
        .sort(),
    keepalives: (neighbor) =>
      json<Record<string, { messageStats: { keepalivesRecv: number } }>>(`show bgp neighbors ${neighbor} json`)[
        neighbor
      ]!.messageStats.keepalivesRecv,
    stop: async () => {
      for (const process of processes.reverse()) await process.stop();
    },
  };
}

interface FrrPath {
  readonly aspath: { readonly string: string };
  readonly locPrf?: number;
  readonly community?: { readonly string: string };
  readonly largeCommunity?: { readonly string: string };
  readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[];
}

/** `config` in BIRD's own words; device and kernel protocols are there already. */
export async function startBird(host: LanHost, directory: string, config: string): Promise<Router> {
  const file = join(directory, `${host.name}-bird.conf`);
  const control = join(directory, `${host.name}-bird.ctl`);
  writeFileSync(file, `router id ${host.address};\nprotocol device { }\nprotocol direct { ipv4; ipv6; }\n${config}`);
  const log = join(directory, `${host.name}-bird.log`);
  const bird = host.start('bird', ['bird', '-f', '-c', file, '-s', control], log);
  const birdc = (...args: string[]) => host.run(['birdc', '-s', control, ...args]).stdout;
  await until('BIRD answers', () => birdc('show', 'status').includes('Daemon is up'));
  return {
    host,
    paths: (prefix) => {
      const blocks = birdc('show', 'route', 'for', prefix.split('/')[0]!, 'all').split(/(?=\bunicast\b)/);
      const field = (block: string, name: string) => new RegExp(`BGP\\.${name}: (.*)`).exec(block)?.[1]?.trim() ?? '';
      return sorted(
        blocks
          .filter((block) => block.includes('BGP.next_hop'))
          .map((block) => ({
            nextHop: field(block, 'next_hop').split(' ')[0]!,
            asPath: field(block, 'as_path'),
            localPref: Number(field(block, 'local_pref')) || undefined,
            communities: field(block, 'community').replaceAll(/[()]/g, '').replaceAll(',', ':'),
            largeCommunities: field(block, 'large_community').replaceAll(/[()]/g, '').replaceAll(', ', ':'),
          })),
      );
    },
    stop: () => bird.stop(),
  };
}

/** GoBGP in AS `asn`, which takes every host of the LAN in AS `theirs` for a neighbor. */
export async function startGoBgp(host: LanHost, directory: string, asn: number, theirs: number): Promise<Router> {
  const file = join(directory, `${host.name}-gobgp.json`);
  const families = ['ipv4-unicast', 'ipv6-unicast'].map((name) => ({ config: { 'afi-safi-name': name } }));
  const group = { config: { 'peer-group-name': 'nodes', 'peer-as': theirs }, 'afi-safis': families };
  const range = { config: { prefix: '192.168.1.0/24', 'peer-group': 'nodes' } };
  const global = { config: { as: asn, 'router-id': host.address } };
  writeFileSync(file, JSON.stringify({ global, 'peer-groups': [group], 'dynamic-neighbors': [range] }));
  const daemon = host.start('gobgpd', ['gobgpd', '-t', 'json', '-f', file], join(directory, `${host.name}.log`));
  const json = <T>(...args: string[]) => JSON.parse(host.run(['gobgp', '-j', ...args]).stdout || 'null') as T;
  await until('GoBGP answers', () => host.run(['gobgp', 'global']).status === 0);
  return {
    host,
    paths: (prefix) => {
      const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
      const table = json<Record<string, { attrs: GoBgpAttribute[] }[]> | null>('global', 'rib', '-a', family) ?? {};
      return sorted((table[prefix] ?? []).map(({ attrs }) => goBgpPath(attrs)));
    },
    stop: () => daemon.stop(),
  };
}

interface GoBgpAttribute {
  readonly type: number;
  readonly nexthop?: string;
  readonly as_paths?: readonly { readonly asns: readonly number[] }[];
  readonly value?: unknown;
  readonly communities?: readonly number[];
}

function goBgpPath(attributes: readonly GoBgpAttribute[]): Path {
  const of = (type: number) => attributes.find((attribute) => attribute.type === type);
  const large = (of(32)?.value ?? []) as { ASN: number; LocalData1: number; LocalData2: number }[];
  return {
    nextHop: of(3)?.nexthop ?? of(14)?.nexthop ?? '',
    asPath: (of(2)?.as_paths ?? []).flatMap(({ asns }) => asns).join(' '),
    localPref: of(5)?.value as number | undefined,
    communities: (of(8)?.communities ?? []).map((value) => `${value >>> 16}:${value & 0xffff}`).join(' '),
    largeCommunities: large.map((value) => `${value.ASN}:${value.LocalData1}:${value.LocalData2}`).join(' '),
  };
}

/** What a BMP station has been told, one object for each message. */
export interface BmpStation {
  readonly messages: () => Readonly<Record<string, unknown>>[];
  stop(): Promise<void>;
}

/** pmacct's BMP daemon on port 1790 of a host. */
export function startBmpStation(host: LanHost, directory: string): BmpStation {
  const [config, told] = [join(directory, 'bmp.conf'), join(directory, 'bmp.json')];
  const settings = { ip: '0.0.0.0', port: 1790, msglog_file: told, msglog_output: 'json' };
  writeFileSync(
    config,
    Object.entries(settings)
      .map(([key, value]) => `bmp_daemon_${key}: ${value}\n`)
      .join(''),
  );
  const daemon = host.start('pmbmpd', ['/usr/sbin/pmbmpd', '-f', config], join(directory, 'bmp.log'));
  return {
    messages: () =>
      run(['cat', told])
        .stdout.split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    stop: () => daemon.stop(),
  };
}

/** `config` in OpenBGPD's own words; it never touches routes of the kernel. */
export async function startOpenBgpd(host: LanHost, directory: string, config: string): Promise<Router> {
  const file = join(directory, `${host.name}-openbgpd.conf`);
  const control = `/run/${host.name}.sock`;
  // Where its parts lock themselves in.
  mkdirSync('/run/openbgpd', { recursive: true });
  const head = `router-id ${host.address}\nfib-update no\nsocket "${control}"\nlisten on ${host.address}\nlisten on ${host.address6}\n`;
  writeFileSync(file, `${config.split('\n', 1)[0]}\n${head}${config.slice(config.indexOf('\n'))}`, { mode: 0o600 });
  const daemon = host.start('bgpd', ['/usr/sbin/bgpd', '-d', '-f', file], join(directory, `${host.name}.log`));
  const bgpctl = (...args: string[]) => host.run(['bgpctl', '-j', '-s', control, ...args]);
  await until('OpenBGPD answers', () => bgpctl('show', 'neighbor').status === 0);
  return {
    host,
    paths: (prefix) => {
      const { rib = [] } = JSON.parse(bgpctl('show', 'rib', 'detail', prefix).stdout || '{}') as {
        rib?: OpenBgpdPath[];
      };
      return sorted(
        rib
          .filter((entry) => entry.prefix === prefix)
          .map(({ exit_nexthop: nextHop, aspath, localpref, metric, communities, large_communities: large }) => ({
            nextHop,
            asPath: aspath,
            localPref: localpref,
            communities: (communities ?? []).join(' '),
            largeCommunities: (large ?? []).join(' '),
            med: metric,
          })),
      );
    },
    stop: () => daemon.stop(),
  };
}

interface OpenBgpdPath {
  readonly prefix: string;
  readonly exit_nexthop: string;
  readonly aspath: string;
  readonly localpref?: number;
  readonly metric?: number;
  readonly communities?: readonly string[];
  readonly large_communities?: readonly string[];
}

function sorted(paths: readonly Path[]): Path[] {
  return [...paths].sort((a, b) => (a.nextHop < b.nextHop ? -1 : 1));
}
