/**
 * Allocation in big pools, against the plain way: walk the pool from its first address until one is not taken.
 * @module
 */
import { Bench } from 'tinybench';
import { parseAddressEntry } from '../src/core/config/address-entry.ts';
import type { Pool } from '../src/core/config/config.ts';
import { Allocator } from '../src/core/ipam/allocator.ts';
import type { AllocationRequest } from '../src/core/ipam/request.ts';
import { formatAddress, type IpFamily } from '../src/core/net/address.ts';
import { printTable, show } from './table.ts';

function pool(entry: string): Pool {
  const parsed = parseAddressEntry(entry);
  if (!parsed.ok) throw new Error(parsed.message);
  return { name: 'p', labels: {}, ranges: [parsed.range], autoAssign: true, avoidBuggyIPs: false };
}

const request = (service: string, family: IpFamily): AllocationRequest => ({
  service,
  namespace: 'default',
  labels: {},
  families: [family],
  requireBoth: true,
  use: { sharingKey: '', backendKey: '', ports: ['TCP/80'] },
});

function filled(entry: string, taken: number, family: IpFamily = 'ipv4'): Allocator {
  const allocator = new Allocator();
  allocator.setPools([pool(entry)]);
  for (let i = 0; i < taken; i++) allocator.allocate(request(`s${i}`, family));
  return allocator;
}

/** The peer: what a walk over the taken addresses costs, with the same texts as keys. */
function walk(base: bigint, size: number, taken: ReadonlySet<string>): string | undefined {
  for (let i = 0; i < size; i++) {
    const text = formatAddress({ family: 'ipv4', value: base + BigInt(i) });
    if (!taken.has(text)) return text;
  }
  return undefined;
}

export async function benchIpam(): Promise<void> {
  const rows: string[][] = [];
  for (const [what, entry, taken, family] of [
    ['/16, empty', '10.0.0.0/16', 0, 'ipv4'],
    ['/16, half full', '10.0.0.0/16', 32_768, 'ipv4'],
    ['/16, 65,000 taken', '10.0.0.0/16', 65_000, 'ipv4'],
    ['/16, full', '10.0.0.0/16', 65_536, 'ipv4'],
    ['IPv6 /64, 65,000 taken', '2001:db8::/64', 65_000, 'ipv6'],
  ] as const) {
    const allocator = filled(entry, taken, family);
    const names = new Set(
      Array.from({ length: taken }, (_, i) => formatAddress({ family: 'ipv4', value: 0x0a000000n + BigInt(i) })),
    );
    const bench = new Bench({ time: 300 });
    // Services come and go: one of those there leaves, a new one comes. The same name over and over would measure
    // how V8 chains deleted keys of one bucket, not us.
    const holders = Array.from({ length: taken }, (_, i) => `s${i}`);
    let n = 0;
    bench.add('ours', () => {
      const leaving = taken === 0 ? 0 : (n * 7919) % taken;
      if (taken > 0) allocator.release(holders[leaving]!);
      const coming = `n${n++}`;
      allocator.allocate(request(coming, family));
      if (taken > 0) holders[leaving] = coming;
      else allocator.release(coming);
    });
    if (family === 'ipv4') bench.add('walk', () => void walk(0x0a000000n, 65_536, names));
    await bench.run();
    const time = (name: string) => bench.getTask(name)?.result;
    const micro = (name: string) => {
      const result = time(name);
      return result !== undefined && 'latency' in result ? result.latency.p50 * 1000 : undefined;
    };
    const [ours, peer] = [micro('ours')!, micro('walk')];
    rows.push([
      what,
      show(ours, 'µs'),
      peer === undefined ? '–' : show(peer, 'µs'),
      peer === undefined ? '–' : `${(peer / ours).toFixed(1)}`,
    ]);
  }
  printTable(
    'One Service leaves, one comes: release and allocation',
    ['pool', 'ours, median', 'walk, median', 'walk / ours'],
    rows,
  );
}
