/**
 * ARP answers: the kernel's own address and one of ours on the same host, asked in turn by a raw socket across a bridge.
 * Has to run inside a sandbox; `main.ts` sees to that.
 * @module
 */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { addHost, createLan, type LanHost } from '../lab/lan.ts';
import { prepareInside } from '../lab/sandbox.ts';
import { sleep } from '../lab/shell.ts';
import { printTable, quantile, show } from './table.ts';

const SAMPLES = 4000;
const ROUNDS = 3;

export async function benchArp(): Promise<void> {
  prepareInside();
  createLan();
  const node = addHost('node', '192.168.1.11', '02:00:5e:00:01:01');
  const client = addHost('client', '192.168.1.50', '02:00:5e:00:01:64');
  const script = (name: string) => [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    resolve(import.meta.dirname, name),
  ];
  const rows: string[][] = [];
  for (const mode of ['idle', 'main thread blocked 500 ms of every 1000'] as const) {
    const [command, ...args] = node.inside([...script('arp-responder.ts'), mode === 'idle' ? 'idle' : 'blocked']);
    const responder = spawn(command!, args, { stdio: 'inherit' });
    await sleep(1500);
    const times = await ask(client, script('arp-asker.ts'));
    responder.kill('SIGKILL');
    for (const [who, address] of [
      ['kernel', '192.168.1.11'],
      ['ours', '192.168.1.200'],
    ] as const) {
      const values = times[address]!;
      const [p50, p99, max] = [quantile(values, 0.5), quantile(values, 0.99), Math.max(...values)];
      const base = times['192.168.1.11']!;
      rows.push([
        mode,
        who,
        show(p50, 'µs'),
        show(p99, 'µs'),
        show(max, 'µs'),
        (p50 / quantile(base, 0.5)).toFixed(1),
        String(SAMPLES * ROUNDS - values.length),
      ]);
    }
  }
  printTable(
    `ARP answers, ${SAMPLES * ROUNDS} questions each`,
    ['speaker', 'who answers', 'median', '99 %', 'longest', 'median / kernel', 'lost'],
    rows,
  );
}

async function ask(client: LanHost, command: readonly string[]): Promise<Record<string, number[]>> {
  const { stdout, stderr } = await client.runAsync([...command, String(SAMPLES * ROUNDS)], { timeout: 120_000 });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, number[]>;
}

if (process.argv[1] === import.meta.filename) {
  await benchArp();
  process.exit();
}
