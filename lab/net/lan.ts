/**
 * A small LAN: a bridge, and hosts that are network namespaces plugged into it. The namespace that this process runs in
 * is the switch and, with an address on the bridge, the control-plane host.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProbeResult } from './prober.ts';
import { type LabProcess, must, type Result, run, runAsync, start } from './shell.ts';
import { until } from './waiting.ts';

export interface LanHost {
  readonly name: string;
  readonly address: string;
  /** Its IPv6 address on the LAN. */
  readonly address6: string;
  readonly mac: string;
  /** Wraps a command so that it runs in this host's network. */
  inside(command: readonly string[]): string[];
  run(command: readonly string[], options?: Parameters<typeof run>[1]): Result;
  runAsync(command: readonly string[], options?: Parameters<typeof runAsync>[1]): Promise<Result>;
  start(name: string, command: readonly string[], logFile: string, env?: NodeJS.ProcessEnv): LabProcess;
  /** Takes the host off the network, as a pulled cable does. */
  unplug(): void;
  plug(): void;
}

export const SWITCH_ADDRESS = '192.168.1.10';
const PREFIX_LENGTH = 24;
/** The LAN's IPv6 network, a unique local one (RFC 4193); 64 bits long. */
export const LAN6 = 'fd00:192:168:1::';

/** Creates the switch. */
export function createLan(): void {
  must(['ip', 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0', 'mcast_snooping', '0']);
  must(['ip', 'address', 'add', `${SWITCH_ADDRESS}/${PREFIX_LENGTH}`, 'dev', 'br0']);
  must(['ip', 'link', 'set', 'br0', 'up']);
}

/** Removes the switch and its hosts; processes on the hosts must have ended. */
export function removeLan(hosts: readonly LanHost[]): void {
  removeHosts(hosts);
  run(['ip', 'link', 'delete', 'br0']);
}

export function removeHosts(hosts: readonly LanHost[]): void {
  for (const { name } of hosts) {
    // With its port the host's end goes at once; a namespace goes when the kernel finds the time.
    run(['ip', 'link', 'delete', `p-${name}`]);
    run(['ip', 'netns', 'delete', name]);
  }
}

/** Adds a host with one interface, eth0. `mac` in text. */
export function addHost(name: string, address: string, mac: string): LanHost {
  const port = `p-${name}`;
  must(['ip', 'netns', 'add', name]);
  must(['ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'address', mac, 'netns', name]);
  must(['ip', 'link', 'set', port, 'master', 'br0', 'up']);
  // Duplicate address detection would make every host wait for a second or two.
  must(['ip', 'netns', 'exec', name, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad']);
  must(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
  must(['ip', '-n', name, 'link', 'set', 'eth0', 'up']);
  const address6 = `${LAN6}${address.split('.').at(-1)}`;
  must(['ip', '-n', name, 'address', 'add', `${address6}/64`, 'dev', 'eth0', 'nodad']);
  must(['ip', '-n', name, 'address', 'add', `${address}/${PREFIX_LENGTH}`, 'dev', 'eth0']);
  const inside = (command: readonly string[]) => ['ip', 'netns', 'exec', name, ...command];
  must(
    inside([
      'sh',
      '-c',
      'echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/eth0/rp_filter',
    ]),
  );
  return {
    name,
    address,
    address6,
    mac,
    inside,
    run: (command, options) => run(inside(command), options),
    runAsync: (command, options) => runAsync(inside(command), options),
    start: (processName, command, logFile, env) => start(processName, inside(command), logFile, env),
    unplug: () => void must(['ip', 'link', 'set', port, 'down']),
    plug: () => void must(['ip', 'link', 'set', port, 'up']),
  };
}

/** Connects two hosts directly: an interface of this name on each, with link-local addresses only. */
export function connect(a: LanHost, b: LanHost, link: string): void {
  must(['ip', 'link', 'add', link, 'netns', a.name, 'type', 'veth', 'peer', 'name', link, 'netns', b.name]);
  for (const { name } of [a, b]) {
    must(['ip', 'netns', 'exec', name, 'sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${link}/accept_dad`]);
    must(['ip', '-n', name, 'link', 'set', link, 'up']);
  }
}

/** The neighbour table entry for an address on a host: its MAC, or undefined. */
export function neighbour(host: LanHost, address: string): string | undefined {
  const entries = JSON.parse(host.run(['ip', '-json', 'neighbour', 'show', address]).stdout || '[]') as {
    lladdr?: string;
  }[];
  return entries[0]?.lladdr;
}

/** The host that one answers for an address and whose MAC the client has in its table, once the two agree. */
export async function soleOwner(client: LanHost, hosts: readonly LanHost[], address: string): Promise<LanHost> {
  return until(`one host, and only one, answers for ${address}`, async () => {
    // The kernel asks for the address by itself when it has something to send there.
    await client.runAsync(['curl', '-s', '-o', '/dev/null', '--max-time', '0.5', `http://${address}/`]);
    const answers = await askByArp(client, address, 1);
    const owner = hosts.find(({ mac }) => mac === answers[0]);
    return answers.length === 1 && neighbour(client, address) === owner?.mac && owner;
  });
}

/** Who answers for an address, by ARP requests from the host: the MACs that answered. */
export async function askByArp(host: LanHost, address: string, requests = 3): Promise<string[]> {
  const { stdout } = await host.runAsync([
    'arping',
    '-I',
    'eth0',
    '-c',
    String(requests),
    '-w',
    String(requests + 1),
    address,
  ]);
  const macs = [...stdout.matchAll(/(?:reply from|bytes from).*?\b((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\b/gi)].map((match) =>
    match[1]!.toLowerCase(),
  );
  return [...new Set(macs)].sort();
}

/**
 * Opens connections from a host to an address, for `duration` at least and until `during` has ended, which begins after about a
 * second, at `at` on the prober's clock. Times in milliseconds.
 */
export async function probeWhile(
  host: LanHost,
  address: string,
  { interval, duration }: { readonly interval: number; readonly duration: number },
  during: () => Promise<void> | void,
): Promise<ProbeResult & { readonly at: number }> {
  const script = new URL('./prober.ts', import.meta.url).pathname;
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', script, address, '80'];
  const directory = mkdtempSync(join(tmpdir(), 'metallb-prober-'));
  const timing = [String(interval), String(duration)];
  const prober = host.start('prober', [...command, ...timing], join(directory, 'log'));
  try {
    await until('the prober has begun', () => prober.log().includes('ready'));
    const at = performance.timeOrigin + performance.now();
    await during();
    prober.kill('SIGTERM');
    await prober.exited;
    const line = prober
      .log()
      .split('\n')
      .find((text) => text.startsWith('{'));
    if (line === undefined) throw new Error(`the prober said nothing: ${prober.log()}`);
    const result = JSON.parse(line) as ProbeResult;
    return { ...result, at: at - result.began };
  } finally {
    prober.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Who answers for an IPv6 address, by a Neighbor Solicitation from the host: the MACs that answered. */
export async function askByNdp(host: LanHost, address: string): Promise<string[]> {
  const { stdout } = await host.runAsync(['ndisc6', '-m', '-r', '1', '-w', '700', address, 'eth0']);
  const macs = [...stdout.matchAll(/link-layer address:\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})/gi)].map((match) =>
    match[1]!.toLowerCase(),
  );
  return [...new Set(macs)].sort();
}

/** The page that a web server has at an address, IPv6 included; empty: none came. Only the connection has to be made within a second. */
export async function fetchPage(client: LanHost, address: string): Promise<string> {
  const host = address.includes(':') ? `[${address}]` : address;
  return (await client.runAsync(['curl', '-s', '-g', '--connect-timeout', '1', '--max-time', '10', `http://${host}/`]))
    .stdout;
}
