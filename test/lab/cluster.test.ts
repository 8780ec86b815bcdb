import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../../lab/kubernetes/cluster.ts';
import { askByArp, type LanHost, soleOwner } from '../../lab/net/lan.ts';
import { isInside, prepareInside } from '../../lab/net/sandbox.ts';
import { until } from '../../lab/net/waiting.ts';

if (!isInside()) throw new Error('the lab tests build networks: run them by `npm test`, which gives them a sandbox');

describe('a cluster on a LAN', () => {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-lab-'));
  let cluster: Cluster;
  let address: string;
  const getsPage = async (client: LanHost) =>
    (await client.runAsync(['curl', '-s', '--connect-timeout', '1', '--max-time', '10', `http://${address}/`]))
      .stdout === 'hello-world\n';
  const addresses = () =>
    cluster.kubectl([
      'get',
      'services',
      '-A',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name}={.status.loadBalancer.ingress[0].ip} {end}',
    ]).stdout;

  beforeAll(async () => {
    prepareInside();
    cluster = new Cluster({ directory, nodes: 3 });
    await cluster.startAll();
    cluster.applyManifests('raspberry-hello-deployment.yaml', 'raspberry-address-pool.yaml', 'l2-all-pools.yaml');
    address = await until('the address', () => cluster.addressOf('default', 'echo-service'));
    cluster.kubectl(['patch', 'deployment', 'echo-deployment', '-p', '{"spec":{"replicas":3}}']);
    await until(
      'three replicas',
      () =>
        cluster.kubectl(['get', 'deployment', 'echo-deployment', '-o', 'jsonpath={.status.readyReplicas}']).stdout ===
        '3',
    );
  });
  afterAll(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('answers ARP from exactly one node, and serves the page from any endpoint', async () => {
    await soleOwner(cluster.client, cluster.nodes, address);
    expect(await askByArp(cluster.client, address, 3)).toHaveLength(1);
    await until('the page', () => getsPage(cluster.client));
  });

  it('does not answer for addresses that nobody has', async () => {
    expect(await askByArp(cluster.client, '192.168.1.250', 2)).toEqual([]);
  });

  it('moves the address to another node when the speaker of its owner is killed, and back when it returns', async () => {
    const owner = await soleOwner(cluster.client, cluster.nodes, address);
    const speaker = cluster.speakers.get(owner.name)!;
    speaker.kill('SIGKILL');
    const successor = await until('another node answers', async () => {
      const answers = await askByArp(cluster.client, address, 1);
      return answers.length === 1 && answers[0] !== owner.mac ? cluster.nodeByMac(answers[0]) : undefined;
    });
    expect(successor.name).not.toBe(owner.name);
    await until('the page', () => getsPage(cluster.client));
    await cluster.startSpeaker(owner);
    await cluster.speakerReady(owner);
    await until(
      'the first owner answers again',
      async () => (await soleOwner(cluster.client, cluster.nodes, address)).name === owner.name,
    );
  });

  it('goes on answering while the API server is away, and changes nothing when it is back', async () => {
    const before = addresses();
    await cluster.killApiServer();
    await until('one node answers', async () => (await askByArp(cluster.client, address, 3)).length === 1);
    expect(await getsPage(cluster.client)).toBe(true);
    await cluster.startApiServer();
    await until(
      'the controller works again',
      () => {
        cluster.kubectl(['create', 'service', 'loadbalancer', 'after-outage', '--tcp=80:80']);
        return cluster.addressOf('default', 'after-outage') !== undefined;
      },
      { patience: 60_000, interval: 500 },
    );
    expect(addresses()).toContain(before.split(' ').find((text) => text.startsWith('echo-service'))!);
    expect(await askByArp(cluster.client, address, 2)).toHaveLength(1);
  });

  it('keeps every address over a kill of the controller', async () => {
    const before = addresses();
    cluster.controller!.kill('SIGKILL');
    await cluster.controller!.exited;
    cluster.kubectl(['create', 'service', 'loadbalancer', 'meanwhile', '--tcp=80:80']);
    cluster.startController();
    const given = await until('the Service that came meanwhile gets an address', () =>
      cluster.addressOf('default', 'meanwhile'),
    );
    expect(before).not.toContain(`=${given} `);
    for (const pair of before.trim().split(' ')) expect(addresses()).toContain(pair);
  });

  it('falls silent when the Service goes', async () => {
    cluster.kubectl(['delete', 'service', 'echo-service']);
    await until('nobody answers', async () => (await askByArp(cluster.client, address, 1)).length === 0);
  });
});
