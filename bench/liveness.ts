/**
 * How soon a dead speaker is noticed, beside hashicorp/memberlist as MetalLB uses it; what liveness costs a node in clusters of
 * any size; and how often it is wrong on a network that loses packets.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort, run } from '../lab/net/shell.ts';
import { sleep } from '../lab/net/waiting.ts';
import { LivenessCluster } from '../sim/liveness-cluster.ts';
import { decodeMessage, encodeMessage } from '../src/core/liveness/codec.ts';
import { type LivenessInput, livenessMachine } from '../src/core/liveness/fsm.ts';
import type { Content, Update } from '../src/core/liveness/messages.ts';
import { initialLiveness, type LivenessState } from '../src/core/liveness/state.ts';
import type { Tick } from '../src/core/machine.ts';
import { printTable, quantile, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 10);
const NAMES = ['a', 'b', 'c'];
const address = (i: number) => `127.0.0.${i + 2}`;

/** Starts three, kills the first, and says after how many milliseconds the two others have noticed. */
async function detect(commandFor: (i: number, port: number) => string[], patience: number): Promise<number> {
  const port = await freePort();
  const output = NAMES.map(() => '');
  const processes: ChildProcess[] = [];
  try {
    for (const i of NAMES.keys()) {
      const [command, ...args] = commandFor(i, port);
      const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.on('data', (data) => {
        output[i] += String(data);
      });
      processes.push(child);
    }
    const until = async (ready: () => boolean, limit: number) => {
      for (const end = Date.now() + limit; !ready(); await sleep(10))
        if (Date.now() > end) throw new Error(`not within ${limit} ms: ${JSON.stringify(output)}`);
    };
    await until(() => output.every((text) => text.includes('ready')), 20_000);
    await sleep(1500 + Math.random() * 1000);
    output.fill('');
    const died = Date.now();
    processes[0]!.kill('SIGKILL');
    await until(() => output.slice(1).every((text) => text.includes('dead a ')), patience);
    return Math.max(...output.slice(1).map((text) => Number(/dead a (\d+)/.exec(text)![1]))) - died;
  } finally {
    for (const child of processes) child.kill('SIGKILL');
  }
}

function ours(i: number, port: number): string[] {
  const script = resolve(import.meta.dirname, 'liveness-member.ts');
  const members = NAMES.map((name, j) => `${name}=${address(j)}`);
  return [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    script,
    NAMES[i]!,
    address(i),
    String(port),
    ...members,
  ];
}

/** The peer, built from the Go module proxy; undefined, with a word about it, where that cannot be. */
function memberlist(): string | undefined {
  const binary = join(homedir(), '.cache', 'metallb-ts', 'memberlist');
  if (existsSync(binary)) return binary;
  mkdirSync(join(homedir(), '.cache', 'metallb-ts'), { recursive: true });
  const source = resolve(import.meta.dirname, 'memberlist');
  const { status, stderr } = run(['go', 'build', '-C', source, '-trimpath', '-o', binary, '.']);
  if (status === 0) return binary;
  console.log(`memberlist is not here to be measured beside us: ${stderr.trim().split('\n').at(-1)}`);
  return undefined;
}

async function benchDetection(): Promise<void> {
  const rows: string[][] = [];
  const row = async (who: string, count: number, commandFor: (i: number, port: number) => string[]) => {
    const times: number[] = [];
    for (let i = 0; i < count; i++) times.push(await detect(commandFor, 30_000));
    rows.push([who, String(count), show(quantile(times, 0.5), 'ms'), show(Math.max(...times), 'ms')]);
    return quantile(times, 0.5);
  };
  const own = await row('metallb-ts, 100 ms x 3', RUNS, ours);
  const binary = memberlist();
  if (binary !== undefined) {
    const theirs = await row('hashicorp/memberlist, LAN defaults (as MetalLB)', Math.ceil(RUNS / 2), (i, port) => [
      binary,
      NAMES[i]!,
      address(i),
      String(port),
      `${address(i === 0 ? 1 : 0)}:${port}`,
    ]);
    rows.push(['ratio', '', (own / theirs).toFixed(3), '']);
  }
  printTable('kill -9 of one of three members, until both others know', ['who', 'runs', 'median', 'longest'], rows);
}

/** One speaker in a cluster of any size: all the others answer its pings, and those that it watches ping it. */
class OneOfMany {
  readonly state: LivenessState;
  now = 0;
  readonly out = { datagrams: 0, bytes: 0 };
  readonly in = { datagrams: 0, bytes: 0 };
  #sequence = 0;

  constructor(size: number) {
    const settings = { interval: 100, misses: 3, fenced: false };
    this.state = initialLiveness({ self: 'node-0', incarnation: 1n, ...settings });
    const members = Array.from({ length: size }, (_, i) => ({ node: `node-${i}`, address: `node-${i}` }));
    this.#feed({ kind: 'start' });
    this.#feed({ kind: 'members', members });
    this.#feed({ kind: 'ready' });
    for (const { node } of members.slice(1)) this.#hear(node, { kind: 'gossip' });
  }

  run(milliseconds: number): void {
    for (const end = this.now + milliseconds; this.now < end; this.now += 10) {
      if (this.now % 100 === 50) for (const node of this.state.watched) this.#hear(node, { kind: 'ping' });
      const due = livenessMachine.nextDeadline(this.state)?.at;
      if (due !== undefined && due <= this.now) this.#feed({ kind: 'tick' });
    }
  }

  #feed(input: LivenessInput | Tick): void {
    for (const output of livenessMachine.step(this.state, input, this.now).outputs) {
      if (output.kind !== 'send-message') continue;
      this.out.datagrams++;
      this.out.bytes += encodeMessage(output.message).length;
      const { message, to } = output;
      if (message.kind === 'ping') this.#hear(to.node, { kind: 'ack', echo: message.sequence });
    }
  }

  #hear(node: string, content: Content): void {
    const from: Update = { node, incarnation: 1n, version: 1, status: 'active', age: 0, links: [], unheard: false };
    const head = { from, to: 0n, sequence: this.#sequence++, digest: this.state.digest, updates: [] };
    const bytes = encodeMessage({ ...content, ...head });
    this.in.datagrams++;
    this.in.bytes += bytes.length;
    const decoded = decodeMessage(bytes);
    if (decoded.ok) this.#feed({ kind: 'received', message: decoded.message });
  }
}

function benchCost(): void {
  const rows = [10, 100, 1000, 5000].map((size) => {
    const one = new OneOfMany(size);
    one.run(120_000);
    for (const count of [one.in, one.out]) Object.assign(count, { datagrams: 0, bytes: 0 });
    const began = process.cpuUsage();
    one.run(100_000);
    const { user, system } = process.cpuUsage(began);
    const perSecond = (key: 'datagrams' | 'bytes') => (one.in[key] + one.out[key]) / 100;
    return [
      size.toLocaleString('en'),
      String(Math.round(perSecond('datagrams'))),
      show(perSecond('bytes') / 1000, 'kB'),
      show((user + system) / 1000 / 100, 'ms'),
    ];
  });
  printTable(
    'What liveness costs a node each second when nothing happens, in and out (codec and machine, without sockets and encryption)',
    ['speakers', 'datagrams', 'bytes', 'CPU'],
    rows,
  );
}

function benchSpread(): void {
  const rows = [10, 100, 400].map((size) => {
    const told: number[] = [];
    const last: number[] = [];
    let missed = 0;
    const cluster = new LivenessCluster({ size, loss: 0.01 }).startAll();
    cluster.run(5000);
    for (const victim of cluster.names.slice(0, 5)) {
      cluster.run(1000 + cluster.random.between(0, 100));
      cluster.changes.length = 0;
      cluster.kill(victim);
      const died = cluster.clock.now();
      cluster.run(1500);
      const times = cluster.changes
        .filter(({ node, state }) => node === victim && state === 'dead')
        .map(({ at }) => at - died);
      told.push(...times);
      last.push(Math.max(...times));
      missed += cluster.running.length - times.length;
    }
    return [size.toLocaleString('en'), show(quantile(told, 0.5), 'ms'), show(Math.max(...last), 'ms'), String(missed)];
  });
  printTable(
    'From a death until all know it, in the simulation, with 1 % loss; five deaths each',
    ['speakers', 'median', 'last of all', 'never told'],
    rows,
  );
}

function benchFalseAlarms(): void {
  const rows = (
    [
      [0.01, 600],
      [0.05, 300],
      [0.1, 300],
      [0.2, 300],
      [0.3, 60],
    ] as const
  ).map(([loss, seconds]) => {
    const cluster = new LivenessCluster({ size: 100, loss, seed: 7 }).startAll();
    cluster.run(seconds * 1000);
    const victims = new Set(
      cluster.changes.filter(({ state }) => state === 'dead').map(({ at, node }) => `${node} ${Math.round(at / 1000)}`),
    );
    const perWeek = (victims.size / seconds) * 7 * 86_400;
    return [
      `${loss * 100} %`,
      `${seconds} s`,
      String(victims.size),
      victims.size > 0 ? Math.round(perWeek).toLocaleString('en') : `none seen`,
    ];
  });
  printTable(
    'Speakers taken for dead that were not, 100 speakers on a network that loses datagrams',
    ['loss', 'simulated', 'false verdicts', 'per week'],
    rows,
  );
}

export async function benchLiveness(): Promise<void> {
  await benchDetection();
  benchCost();
  benchSpread();
  benchFalseAlarms();
}
