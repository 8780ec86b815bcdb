/**
 * Many routes to a router: from the session until the last one is in its table, and until the last one is gone, beside BIRD and GoBGP in the
 * same run; one changed route among many; many peers. Has to run inside a sandbox; `main.ts` sees to that.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { addHost, createLan, type LanHost, removeLan } from '../lab/net/lan.ts';
import { prepareInside } from '../lab/net/sandbox.ts';
import { must } from '../lab/net/shell.ts';
import { sleep, until } from '../lab/net/waiting.ts';
import { type FrrRouter, type Router, startBird, startFrr, startGoBgp, whyNoRouters } from '../lab/routers/routers.ts';
import { median, printTable, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 3);
const SIZES = (process.env.BENCH_SIZES ?? '1000,10000,100000').split(',').map(Number);
const SENDER = '192.168.1.2';
const LIMIT = 120_000;
const MANY_PEERS = 200;
const ROUTES_OF_EACH = 1000;

const now = () => performance.timeOrigin + performance.now();

/** A router that routes are sent to. */
interface Receiver {
  readonly name: string;
  readonly address: string;
  established(): boolean;
  /** Routes of the peer in its table. */
  count(): number;
}

const control = (host: LanHost) => join(directory, `${host.name}-bird.ctl`);
const birdc = (host: LanHost, ...args: string[]) => host.run(['birdc', '-s', control(host), ...args]).stdout;

function birdReceiver({ host }: Router): Receiver {
  return {
    name: 'BIRD',
    address: host.address,
    established: () => birdc(host, 'show', 'protocols', 'peer').includes('Established'),
    count: () =>
      Number(/(\d+) of \d+ routes/.exec(birdc(host, 'show', 'route', 'count', 'protocol', 'peer'))?.[1] ?? 0),
  };
}

function frrReceiver(router: FrrRouter): Receiver {
  const peer = () => {
    const { ipv4Unicast } = JSON.parse(router.show('show bgp summary json')) as {
      ipv4Unicast?: { peers: Record<string, { state: string; pfxRcd?: number }> };
    };
    return ipv4Unicast?.peers[SENDER];
  };
  return {
    name: 'FRR',
    address: router.host.address,
    established: () => peer()?.state === 'Established',
    count: () => peer()?.pfxRcd ?? 0,
  };
}

/** As the router sees it: from then on it takes routes. Looked at every few milliseconds, which is what the numbers are good to. */
const established = (receiver: Receiver) =>
  until('the session', () => (receiver.established() ? now() : undefined), { patience: LIMIT, interval: 2 });
const untilCount = (receiver: Receiver, count: number) =>
  until(`${count} routes`, () => (receiver.count() === count ? now() : undefined), { patience: LIMIT, interval: 2 });

interface Times {
  readonly announced: number;
  readonly withdrawn: number;
  readonly cpu?: number;
  readonly memory?: number;
}

/** Our own sender, and what it says. */
function startSender(count: number, routers: readonly string[]) {
  const script = resolve(import.meta.dirname, 'bgp-sender.ts');
  const own = [process.execPath, '--disable-warning=ExperimentalWarning', script, '64500', '64501', String(count)];
  const [program, ...args] = sender.inside([...own, ...routers]);
  const child: ChildProcess = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = new Map<string, number[]>();
  child.stdout!.on('data', (data) => {
    for (const line of String(data).trim().split('\n')) {
      const [what = '', ...numbers] = line.split(' ');
      said.set(what, numbers.map(Number));
    }
  });
  const tell = async (what: string) => {
    said.delete('used');
    child.stdin!.write(`${what}\n`);
    const [at] = await until(what, () => said.get(what), { patience: LIMIT, interval: 2 });
    return at!;
  };
  const used = () => until('the sums', () => said.get('used'), { patience: LIMIT, interval: 2 });
  const stop = async () => {
    child.kill('SIGKILL');
    await sleep(500);
  };
  return { tell, used, stop };
}

async function ours(receiver: Receiver, count: number): Promise<Times> {
  const { tell, used, stop } = startSender(count, [receiver.address]);
  try {
    const up = await established(receiver);
    const announced = (await untilCount(receiver, count)) - up;
    const began = await tell('withdraw');
    const withdrawn = (await untilCount(receiver, 0)) - began;
    const [cpu, memory] = await used();
    return { announced, withdrawn, cpu: cpu!, memory: memory! };
  } finally {
    await stop();
  }
}

/** As many static routes, in BIRD's words; `upstream` holds them back until it is enabled. */
const birdConfig = (count: number, asn: number, to: string, theirs: number) => {
  const all = Array.from({ length: count }, (_, i) => `route 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32 blackhole;`);
  return `protocol static many { ipv4; ${all.join('\n')} }
protocol bgp upstream { disabled; local as ${asn}; neighbor ${to} as ${theirs}; connect delay time 1;
  ipv4 { import none; export where proto = "many"; next hop self; }; }
`;
};

async function birds(receiver: Receiver, count: number): Promise<Times> {
  const bird = await startBird(sender, directory, birdConfig(count, 64500, receiver.address, 64501));
  try {
    birdc(sender, 'enable', 'upstream');
    const up = await established(receiver);
    const announced = (await untilCount(receiver, count)) - up;
    const began = now();
    birdc(sender, 'disable', 'many');
    const withdrawn = (await untilCount(receiver, 0)) - began;
    return { announced, withdrawn };
  } finally {
    await bird.stop();
    await sleep(500);
  }
}

/** GoBGP, which has the routes from a BIRD behind it before it gets to know the router. */
async function goBgps(receiver: Receiver, count: number): Promise<Times> {
  const gobgp = await startGoBgp(sender, directory, 64500, 64499);
  const bird = await startBird(feeder, directory, birdConfig(count, 64499, SENDER, 64500));
  const go = (...args: string[]) => must(sender.inside(['gobgp', ...args]), { timeout: LIMIT });
  try {
    birdc(feeder, 'enable', 'upstream');
    await until('GoBGP has them', () => go('global', 'rib', 'summary').includes(`Destination: ${count},`), {
      patience: LIMIT,
      interval: 200,
    });
    go('neighbor', 'add', receiver.address, 'as', '64501');
    const up = await established(receiver);
    const announced = (await untilCount(receiver, count)) - up;
    const began = now();
    birdc(feeder, 'disable', 'many');
    const withdrawn = (await untilCount(receiver, 0)) - began;
    return { announced, withdrawn };
  } finally {
    await gobgp.stop();
    await bird.stop();
    await sleep(500);
  }
}

async function routes(receivers: readonly Receiver[]): Promise<void> {
  const rows: string[][] = [];
  for (const receiver of receivers)
    for (const count of SIZES)
      for (const [who, send] of [
        ['metallb-ts', ours],
        ['BIRD', birds],
        ['GoBGP', goBgps],
      ] as const) {
        const times: Times[] = [];
        for (let i = 0; i < RUNS; i++) times.push(await send(receiver, count));
        const middle = (key: keyof Times) => {
          const values = times.flatMap((each) => each[key] ?? []);
          return values.length === 0 ? undefined : median(values);
        };
        const [cpu, memory] = [middle('cpu'), middle('memory')];
        rows.push([
          receiver.name,
          count.toLocaleString('en'),
          who,
          show(middle('announced')!, 'ms'),
          show(middle('withdrawn')!, 'ms'),
          cpu === undefined ? '–' : show(cpu, 'ms'),
          memory === undefined ? '–' : show(memory / 2 ** 20, 'MiB'),
        ]);
      }
  const header = [
    'router',
    'routes',
    'sender',
    'session until the last is there',
    'withdrawal of all',
    'CPU',
    'memory',
  ];
  printTable(`Routes to a router, ${RUNS} runs each, medians`, header, rows);
}

async function oneAmongMany(receiver: Receiver, host: LanHost): Promise<void> {
  const times: number[] = [];
  const most = SIZES.at(-1)!;
  for (let i = 0; i < RUNS; i++) {
    const { tell, stop } = startSender(most, [receiver.address]);
    await untilCount(receiver, most);
    // To ask for the route takes longer than its way: BIRD writes down when it has it.
    birdc(host, 'debug', 'peer', '{', 'routes', '}');
    const known = readFileSync(TRACE, 'utf8').length;
    const began = await tell('change');
    const line = () =>
      /^(\S+) (\S+) <TRACE> peer(?:\.ipv4)? > (?:added|updated).* 10\.0\.0\.4\/32/m.exec(
        readFileSync(TRACE, 'utf8').slice(known),
      );
    const [, day, time] = await until('the change', () => line() ?? undefined, { patience: LIMIT, interval: 5 });
    times.push(Date.parse(`${day}T${time}Z`) + Number(time!.slice(-3)) / 1000 - began);
    birdc(host, 'debug', 'peer', 'off');
    await stop();
  }
  const title = `One changed route among ${most.toLocaleString('en')}, until it is in BIRD's table`;
  printTable(
    title,
    ['runs', 'median', 'longest'],
    [[String(RUNS), show(median(times), 'ms'), show(Math.max(...times), 'ms')]],
  );
}

async function manyPeers(): Promise<void> {
  const host = addHost('many', '192.168.1.20', '02:00:5e:00:03:20');
  must(['ip', '-n', host.name, 'address', 'add', '10.200.255.1/16', 'dev', 'eth0']);
  // BIRD has one session with each address: every session of ours comes from another one.
  const sources = Array.from({ length: MANY_PEERS }, (_, i) => `10.200.0.${i + 1}`);
  for (const source of sources) must(['ip', '-n', sender.name, 'address', 'add', `${source}/16`, 'dev', 'eth0']);
  const protocols = sources.map(
    (source, i) =>
      `protocol bgp p${i} { local as 64501; neighbor ${source} as 64500; passive; ipv4 { import all; export none; }; }`,
  );
  const bird = await startBird(host, directory, `${protocols.join('\n')}\n`);
  const count = () => Number(/(\d+) of \d+ routes/.exec(birdc(host, 'show', 'route', 'count'))?.[1] ?? 0);
  const base = count();
  const times: { took: number; cpu: number; memory: number }[] = [];
  for (let i = 0; i < RUNS; i++) {
    const began = now();
    const { tell, used, stop } = startSender(
      ROUTES_OF_EACH,
      sources.map((source) => `10.200.255.1/${source}`),
    );
    const all = base + MANY_PEERS * ROUTES_OF_EACH;
    const took =
      (await until('all routes', () => (count() === all ? now() : undefined), { patience: LIMIT, interval: 5 })) -
      began;
    await tell('withdraw');
    const [cpu, memory] = await used();
    times.push({ took, cpu: cpu!, memory: memory! });
    await stop();
    await until('they are gone', () => count() === base, { patience: LIMIT });
  }
  const middle = (key: 'took' | 'cpu' | 'memory') => median(times.map((each) => each[key]));
  printTable(
    `${MANY_PEERS} sessions of one speaker, ${ROUTES_OF_EACH.toLocaleString('en')} routes to each, to one BIRD; ${RUNS} runs, medians`,
    ['start of the process until all is there', 'CPU', 'memory'],
    [[show(middle('took'), 'ms'), show(middle('cpu'), 'ms'), show(middle('memory') / 2 ** 20, 'MiB')]],
  );
  await bird.stop();
  removeLan([host]);
}

const obstacle = whyNoRouters();
if (obstacle !== undefined) {
  console.log(`bgp did not run: ${obstacle}`);
  process.exit();
}
prepareInside();
const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-bgp-'));
const TRACE = join(directory, 'routes.log');
createLan();
const sender = addHost('sender', SENDER, '02:00:5e:00:03:02');
const feeder = addHost('feeder', '192.168.1.9', '02:00:5e:00:03:09');
const bird = await startBird(
  addHost('router', '192.168.1.3', '02:00:5e:00:03:03'),
  directory,
  `log "${TRACE}" { trace }; timeformat log iso long us;\nprotocol bgp peer { local as 64501; neighbor ${SENDER} as 64500; passive; ipv4 { import all; export none; }; }\n`,
);
const frr = await startFrr(
  addHost('frr', '192.168.1.4', '02:00:5e:00:03:04'),
  directory,
  `frr defaults traditional
router bgp 64501
 bgp router-id 192.168.1.4
 no bgp ebgp-requires-policy
 neighbor ${SENDER} remote-as 64500
 neighbor ${SENDER} passive
exit
`,
);
try {
  const receivers = [birdReceiver(bird), frrReceiver(frr)];
  await routes(receivers);
  await oneAmongMany(receivers[0]!, bird.host);
  await manyPeers();
} finally {
  await bird.stop();
  await frr.stop();
  removeLan([sender, feeder, bird.host, frr.host]);
  rmSync(directory, { recursive: true, force: true });
}
process.exit();
