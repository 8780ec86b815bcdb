/**
 * ARP and NDP answers: the kernel's own addresses and ours on the same host, asked in turn by a raw socket across a bridge; and what
 * the wire Worker uses with many addresses. Has to run inside a sandbox; `main.ts` sees to that.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { addHost, createLan, LAN6, type LanHost } from '../lab/net/lan.ts';
import { prepareInside } from '../lab/net/sandbox.ts';
import { sleep } from '../lab/net/waiting.ts';
import { median, printTable, quantile, show } from './table.ts';

const SAMPLES = 4000;
const FLOOD = '20000';

const script = (name: string, ...args: string[]) => [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  resolve(import.meta.dirname, name),
  ...args,
];

function launch(host: LanHost, command: readonly string[], onLine?: (line: string) => void): ChildProcess {
  const [program, ...args] = host.inside(command);
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (data) => {
    for (const line of String(data).trim().split('\n')) onLine?.(line);
  });
  return child;
}

async function benchAnswers(node: LanHost, client: LanHost, other: LanHost): Promise<void> {
  const rows: string[][] = [];
  for (const [mode, blocked, flood] of [
    ['idle', 'idle', false],
    ['main thread blocked 500 ms of every 1000', 'blocked', false],
    [`${FLOOD} more questions a second`, 'idle', true],
  ] as const) {
    let answers = 0;
    const responder = launch(node, script('arp-responder.ts', blocked, '0'), (line) => {
      answers = Math.max(answers, (JSON.parse(line) as { answers: number }).answers);
    });
    await sleep(1500);
    const flooder = flood ? launch(other, script('arp-asker.ts', 'flood', FLOOD)) : undefined;
    await sleep(500);
    const times = await ask(client);
    for (const child of [flooder, responder]) child?.kill('SIGKILL');
    console.log(`${mode}: up to ${answers.toLocaleString('en')} answers a second`);
    for (const [protocol, kernel, ours] of [
      ['ARP', '192.168.1.11', '192.168.1.200'],
      ['NDP', `${LAN6}11`, `${LAN6}200`],
    ] as const)
      for (const [who, address] of [
        ['kernel', kernel],
        ['ours', ours],
      ] as const) {
        const values = times[address]!;
        const [p50, p99, max] = [quantile(values, 0.5), quantile(values, 0.99), Math.max(...values)];
        const ratio = (p50 / quantile(times[kernel]!, 0.5)).toFixed(1);
        rows.push([
          mode,
          protocol,
          who,
          show(p50, 'µs'),
          show(p99, 'µs'),
          show(max, 'µs'),
          ratio,
          String(SAMPLES - values.length),
        ]);
      }
  }
  printTable(
    `Answers to neighbours, ${SAMPLES} questions each`,
    ['speaker', 'protocol', 'who answers', 'median', '99 %', 'longest', 'median / kernel', 'lost'],
    rows,
  );
}

async function benchAddresses(node: LanHost): Promise<void> {
  const rows: string[][] = [];
  for (const count of [1, 100, 10_000]) {
    const seconds: { cpu: number; memory: number }[] = [];
    const responder = launch(node, script('arp-responder.ts', 'idle', String(count)), (line) =>
      seconds.push(JSON.parse(line)),
    );
    // The first seconds are the takeover; the refresh of each address begins three quarters of a minute later.
    await sleep(66_000);
    responder.kill('SIGKILL');
    const settled = seconds.slice(50);
    rows.push([
      count.toLocaleString('en'),
      show(Math.max(...seconds.slice(0, 8).map(({ cpu }) => cpu)), 'ms'),
      show(settled.reduce((sum, { cpu }) => sum + cpu, 0) / settled.length, 'ms'),
      show(median(settled.map(({ memory }) => memory)) / 2 ** 20, 'MiB'),
    ]);
  }
  printTable(
    'The wire Worker with many addresses, refreshed each minute',
    ['addresses', 'CPU in the busiest second of the takeover', 'CPU per second later, mean', 'memory of the process'],
    rows,
  );
}

async function ask(client: LanHost): Promise<Record<string, number[]>> {
  const { stdout, stderr } = await client.runAsync(script('arp-asker.ts', String(SAMPLES)));
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, number[]>;
}

prepareInside();
createLan();
const node = addHost('node', '192.168.1.11', '02:00:5e:00:01:01');
const client = addHost('client', '192.168.1.50', '02:00:5e:00:01:64');
const other = addHost('other', '192.168.1.51', '02:00:5e:00:01:65');
await sleep(2000);
await benchAnswers(node, client, other);
await benchAddresses(node);
process.exit();
