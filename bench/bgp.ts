/**
 * Many routes to a router: from the session until the last one is in its table, and until the last one is gone; from us, and from BIRD
 * and GoBGP in the same run. Has to run inside a sandbox; `main.ts` sees to that.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { addHost, createLan, type LanHost, removeLan } from '../lab/lan.ts';
import { startBird, whyNoRouters } from '../lab/routers.ts';
import { prepareInside } from '../lab/sandbox.ts';
import { sleep, until } from '../lab/shell.ts';
import { median, printTable, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 3);
const SIZES = [1000, 10_000, 100_000];
const ROUTER = '192.168.1.3';
const LIMIT = 60_000;

const now = () => performance.timeOrigin + performance.now();
const control = (host: LanHost) => join(directory, `${host.name}-bird.ctl`);
const routeCount = (host: LanHost) =>
  Number(
    /(\d+) of \d+ routes/.exec(
      host.run(['birdc', '-s', control(host), 'show', 'route', 'count', 'protocol', 'peer']).stdout,
    )?.[1] ?? 0,
  );
/** As the router sees it: from then on it takes routes. */
const established = (host: LanHost) => {
  const show = ['birdc', '-s', control(host), 'show', 'protocols', 'peer'];
  return until('the session', () => (host.run(show).stdout.includes('Established') ? now() : undefined), LIMIT, 2);
};
/** Looked at every few milliseconds, which is what the numbers are good to. */
const untilCount = (host: LanHost, count: number) =>
  until(`${count} routes`, () => (routeCount(host) === count ? now() : undefined), LIMIT, 2);

interface Times {
  readonly announced: number;
  readonly withdrawn: number;
  readonly cpu?: number;
  readonly memory?: number;
}

async function ours(sender: LanHost, router: LanHost, count: number): Promise<Times> {
  const script = resolve(import.meta.dirname, 'bgp-sender.ts');
  const [program, ...args] = sender.inside([
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    script,
    ROUTER,
    '64500',
    '64501',
    String(count),
  ]);
  const child: ChildProcess = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = new Map<string, number[]>();
  child.stdout!.on('data', (data) => {
    for (const line of String(data).trim().split('\n')) {
      const [what = '', ...numbers] = line.split(' ');
      said.set(what, numbers.map(Number));
    }
  });
  try {
    const up = await established(router);
    const announced = (await untilCount(router, count)) - up;
    child.stdin!.write('now\n');
    const [began] = await until('the withdrawal', () => said.get('withdraw'), LIMIT, 2);
    const withdrawn = (await untilCount(router, 0)) - began!;
    const [cpu, memory] = await until('the sums', () => said.get('used'), LIMIT, 2);
    return { announced, withdrawn, cpu: cpu!, memory: memory! };
  } finally {
    child.kill('SIGKILL');
    await sleep(300);
  }
}

/** BIRD, with as many static routes, which it holds back until told. */
async function birds(sender: LanHost, router: LanHost, count: number): Promise<Times> {
  const routes = Array.from(
    { length: count },
    (_, i) => `route 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32 blackhole;`,
  );
  const config = `protocol static many { ipv4; ${routes.join('\n')} }
protocol bgp upstream { disabled; local as 64500; neighbor ${ROUTER} as 64501; connect delay time 1;
  ipv4 { import none; export where proto = "many"; next hop self; }; }
`;
  const bird = await startBird(sender, directory, config);
  const birdc = (...args: string[]) => sender.run(['birdc', '-s', control(sender), ...args]).stdout;
  try {
    birdc('enable', 'upstream');
    const up = await established(router);
    const announced = (await untilCount(router, count)) - up;
    const began = now();
    birdc('disable', 'many');
    const withdrawn = (await untilCount(router, 0)) - began;
    return { announced, withdrawn };
  } finally {
    await bird.stop();
    await sleep(300);
  }
}

const obstacle = whyNoRouters();
if (obstacle !== undefined) {
  console.log(`bgp did not run: ${obstacle}`);
  process.exit();
}
prepareInside();
const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-bgp-'));
createLan();
const sender = addHost('sender', '192.168.1.2', '02:00:5e:00:03:02');
const router = addHost('router', ROUTER, '02:00:5e:00:03:03');
const bird = await startBird(
  router,
  directory,
  'protocol bgp peer { local as 64501; neighbor 192.168.1.2 as 64500; passive; ipv4 { import all; export none; }; }\n',
);
const rows: string[][] = [];
try {
  for (const count of SIZES)
    for (const [who, run] of [
      ['metallb-ts', ours],
      ['BIRD', birds],
    ] as const) {
      const times: Times[] = [];
      for (let i = 0; i < RUNS; i++) times.push(await run(sender, router, count));
      const middle = (key: keyof Times) => {
        const values = times.flatMap((each) => each[key] ?? []);
        return values.length === 0 ? undefined : median(values);
      };
      const [cpu, memory] = [middle('cpu'), middle('memory')];
      rows.push([
        count.toLocaleString('en'),
        who,
        show(middle('announced')!, 'ms'),
        show(middle('withdrawn')!, 'ms'),
        cpu === undefined ? '–' : show(cpu, 'ms'),
        memory === undefined ? '–' : show(memory / 2 ** 20, 'MiB'),
      ]);
    }
  printTable(
    `Routes to BIRD, ${RUNS} runs each, medians`,
    ['routes', 'sender', 'session until the last is there', 'withdrawal of all', 'CPU of the process', 'its memory'],
    rows,
  );
} finally {
  await bird.stop();
  removeLan([sender, router]);
  rmSync(directory, { recursive: true, force: true });
}
process.exit();
