/**
 * How long an address does not answer when its owner dies, and how many connections a planned move costs: ours and
 * keepalived's, on the same LAN in the same run. A client opens a connection every 5 ms. Has to run inside a sandbox.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Cluster, hasRealApi } from '../lab/kubernetes/cluster.ts';
import { Upstream } from '../lab/kubernetes/upstream.ts';
import { addHost, askByArp, createLan, type LanHost, probeWhile, removeLan } from '../lab/net/lan.ts';
import { prepareInside } from '../lab/net/sandbox.ts';
import { type LabProcess, run } from '../lab/net/shell.ts';
import { sleep, until } from '../lab/net/waiting.ts';
import { printTable, quantile, show } from './table.ts';

const RUNS = Number(process.env.BENCH_RUNS ?? 10);
const PROBE = { interval: 5, duration: 4000 };

type Probed = Awaited<ReturnType<typeof probeWhile>>;

/**
 * The longest time without a connection: from the last that opened before the first failure to the first that was begun after
 * it and opened; or how long the slowest one had to wait, where none failed.
 */
function outage({ failed, opened }: Probed): number {
  const slowest = Math.max(...opened.map(([, took]) => took));
  if (failed.length === 0) return slowest;
  const moments = failed.map(([at]) => at);
  const [first, last] = [Math.min(...moments), Math.max(...moments)];
  const before = Math.max(...opened.map(([at]) => at).filter((at) => at < first));
  const after = Math.min(...opened.map(([at]) => at).filter((at) => at > last));
  return Math.max(after - before, slowest);
}

/** One that did not end while it was watched has no length. */
function shown(outage: number): string {
  return Number.isFinite(outage) ? show(outage, 'ms') : 'to the end';
}

const rows: string[][] = [];

function row(who: string, what: string, probes: readonly Probed[]): void {
  const outages = probes.map(outage);
  const lost = probes.reduce((sum, { failed }) => sum + failed.length, 0);
  const attempts = probes.reduce((sum, probe) => sum + probe.attempts, 0);
  rows.push([
    who,
    what,
    String(probes.length),
    shown(quantile(outages, 0.5)),
    shown(Math.max(...outages)),
    `${lost} of ${attempts.toLocaleString('en')}`,
  ]);
}

/** The kernel's own table may still point to the dead owner; a client that comes new has no entry. */
function forget(client: LanHost, address: string): void {
  client.run(['ip', 'neighbour', 'flush', address]);
}

async function ours(directory: string): Promise<void> {
  const cluster = new Cluster({ directory, nodes: 3 });
  const { client } = cluster;
  const ownerOf = (address: string) =>
    until(`one node answers for ${address}`, async () => {
      const macs = await askByArp(client, address, 1);
      return macs.length === 1 ? cluster.nodeByMac(macs[0]) : undefined;
    });
  try {
    await cluster.startAll();
    cluster.applyManifests('raspberry-hello-deployment.yaml', 'raspberry-address-pool.yaml', 'l2-all-pools.yaml');
    // The only endpoint is on node-1, which must not be the owner: what happens to it is not what is measured.
    const address = await until('an address that node-1 does not own', async () => {
      const found = cluster.addressOf('default', 'echo-service');
      if (found === undefined) return undefined;
      if ((await ownerOf(found)).name !== 'node-1') return found;
      const next = found.replace(/\d+$/, (last) => String(Number(last) + 1));
      cluster.kubectl(['patch', 'service', 'echo-service', '-p', JSON.stringify({ spec: { loadBalancerIP: next } })]);
      await sleep(500);
      return undefined;
    });
    const owner = await ownerOf(address);
    // A node whose cable was pulled again and again is held down longer each time.
    const settled = () =>
      until('the owner is back', async () => (await ownerOf(address)).name === owner.name, { patience: 90_000 });

    const pulled: Probed[] = [];
    for (let i = 0; i < RUNS; i++) {
      await settled();
      pulled.push(await probeWhile(client, address, PROBE, () => owner.unplug()));
      owner.plug();
      await sleep(1000);
    }
    row('metallb-ts, pings of 100 ms', 'cable pulled', pulled);

    const killed: Probed[] = [];
    for (let i = 0; i < RUNS; i++) {
      await settled();
      killed.push(
        await probeWhile(client, address, PROBE, () => {
          cluster.speakers.get(owner.name)!.kill('SIGKILL');
          forget(client, address);
        }),
      );
      await cluster.startSpeaker(owner);
      await cluster.speakerReady(owner);
    }
    row('metallb-ts, pings of 100 ms', 'kill -9 of the speaker, client without an entry', killed);

    const moved: Probed[] = [];
    for (let i = 0; i < Math.ceil(RUNS / 2); i++) {
      await settled();
      moved.push(
        await probeWhile(client, address, { ...PROBE, duration: 8000 }, async () => {
          await cluster.speakers.get(owner.name)!.stop();
          await cluster.startSpeaker(owner);
          await cluster.speakerReady(owner);
        }),
      );
    }
    row('metallb-ts, pings of 100 ms', 'SIGTERM of the speaker, and its return', moved);
  } finally {
    await cluster.stop();
  }
}

/** MetalLB's own speakers on the same kind of LAN and API server; slower, so each run is longer and there are fewer. */
async function metallb(directory: string): Promise<void> {
  const cluster = new Cluster({ directory, nodes: 3, bare: true });
  const { client } = cluster;
  const probe = { ...PROBE, duration: 30_000 };
  const runs = Math.ceil(RUNS / 2);
  let upstream: Upstream | undefined;
  const ownerOf = async (address: string) => {
    const macs = await askByArp(client, address, 1);
    return macs.length === 1 ? cluster.nodeByMac(macs[0]) : undefined;
  };
  try {
    await cluster.startApi();
    cluster.kubectl(['create', 'namespace', 'metallb-system']);
    upstream = new Upstream(cluster, 'metallb-system', directory);
    await upstream.prepare();
    cluster.startStandIn();
    cluster.applyManifests('raspberry-hello-deployment.yaml', 'raspberry-address-pool.yaml', 'l2-all-pools.yaml');
    upstream.start();
    const address = await until(
      'an address that node-1 does not own',
      async () => {
        const found = cluster.addressOf('default', 'echo-service');
        const owner = found === undefined ? undefined : await ownerOf(found);
        if (found === undefined || owner === undefined) return undefined;
        if (owner.name !== 'node-1') return found;
        const next = found.replace(/\d+$/, (last) => String(Number(last) + 1));
        cluster.kubectl(['patch', 'service', 'echo-service', '-p', JSON.stringify({ spec: { loadBalancerIP: next } })]);
        await sleep(1500);
        return undefined;
      },
      { patience: 60_000 },
    );
    const owner = (await ownerOf(address))!;
    const settled = () =>
      until('the owner is back', async () => (await ownerOf(address))?.name === owner.name, {
        patience: 120_000,
        interval: 500,
      });
    const pulled: Probed[] = [];
    for (let i = 0; i < runs; i++) {
      await settled();
      pulled.push(await probeWhile(client, address, probe, () => owner.unplug()));
      owner.plug();
      await sleep(3000);
    }
    row('MetalLB 0.15.2, as it comes', 'cable pulled', pulled);
    const killed: Probed[] = [];
    for (let i = 0; i < runs; i++) {
      await settled();
      killed.push(
        await probeWhile(client, address, probe, () => {
          upstream!.speaker(owner).kill('SIGKILL');
          forget(client, address);
        }),
      );
      upstream.startSpeaker(owner);
      await sleep(3000);
    }
    row('MetalLB 0.15.2, as it comes', 'kill -9 of the speaker, client without an entry', killed);
  } finally {
    await upstream?.stop();
    await cluster.stop();
  }
}

const VIP = '192.168.1.200';

async function keepalived(directory: string, interval: string): Promise<void> {
  createLan();
  const hosts = [1, 2].map((i) => addHost(`vrrp-${i}`, `192.168.1.${20 + i}`, `02:00:5e:00:02:0${i}`));
  const client = addHost('client', '192.168.1.50', '02:00:5e:00:01:64');
  const processes: LabProcess[] = [];
  const replica = resolve(import.meta.dirname, '../lab/kubernetes/replica.ts');
  for (const [i, host] of hosts.entries()) {
    const file = join(directory, `${host.name}.conf`);
    writeFileSync(
      file,
      `global_defs {
  vrrp_version 3
  vrrp_garp_master_delay 0
}
vrrp_instance lab {
  state ${i === 0 ? 'MASTER' : 'BACKUP'}
  interface eth0
  virtual_router_id 7
  priority ${200 - i * 50}
  advert_int ${interval}
  virtual_ipaddress { ${VIP}/32 }
}
`,
    );
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', replica];
    processes.push(
      host.start('replica', [...node, '0.0.0.0', '80', host.name, 'r'], join(directory, `${host.name}-r.log`)),
    );
    const pids = ['-p', join(directory, `${host.name}.pid`), '-r', join(directory, `${host.name}-vrrp.pid`)];
    const command = ['keepalived', '-n', '-l', '-f', file, ...pids];
    processes.push(host.start('keepalived', command, join(directory, `${host.name}.log`)));
  }
  try {
    const settled = () =>
      until('the master answers', async () => (await askByArp(client, VIP, 1)).join() === hosts[0]!.mac, {
        patience: 60_000,
      });
    const pulled: Probed[] = [];
    for (let i = 0; i < Math.ceil(RUNS / 2); i++) {
      await settled();
      pulled.push(await probeWhile(client, VIP, { ...PROBE, duration: 8000 }, () => hosts[0]!.unplug()));
      hosts[0]!.plug();
      await sleep(2000);
    }
    row(`keepalived, adverts of ${interval} s`, 'cable pulled', pulled);
  } finally {
    for (const process of processes) await process.stop();
    removeLan([...hosts, client]);
  }
}

prepareInside();
const directory = mkdtempSync(join(tmpdir(), 'metallb-failover-'));
try {
  await ours(join(directory, 'ours'));
  if (hasRealApi) await metallb(join(directory, 'metallb'));
  else console.log('MetalLB itself is not measured beside us: it needs a real API server, which Go builds');
  if (run(['sh', '-c', 'command -v keepalived']).status === 0)
    for (const interval of ['1', '0.1', '0.01']) await keepalived(directory, interval);
  else console.log('keepalived is not here to be measured beside us (Debian: apt-get install keepalived)');
  printTable(
    'Failover, a new TCP connection every 5 ms',
    ['who', 'what happens', 'runs', 'outage, median', 'longest', 'connections lost'],
    rows,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit();
