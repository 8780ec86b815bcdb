/**
 * MetalLB's own controller and speakers serve a Service on a LAN; ours take over, and MetalLB takes over again, while a client opens connections
 * all the time. On a real kube-apiserver.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, hasRealApi } from '../../lab/kubernetes/cluster.ts';
import { findTool, METALLB_CONTROLLER, METALLB_SPEAKER } from '../../lab/kubernetes/go-tool.ts';
import { Upstream } from '../../lab/kubernetes/upstream.ts';
import { askByArp, type LanHost, probeWhile, soleOwner } from '../../lab/net/lan.ts';
import { prepareInside } from '../../lab/net/sandbox.ts';
import { type LabProcess, runAsync, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';

const METALLB = resolve(import.meta.dirname, '../../bin/metallb');
const NAMESPACE = 'metallb-system';
const tools = hasRealApi ? [findTool(METALLB_CONTROLLER), findTool(METALLB_SPEAKER)] : [];
const obstacle = hasRealApi
  ? tools.find((tool): tool is string => typeof tool === 'string')
  : 'it needs a real API server: npm run test:cluster';

describe.skipIf(obstacle !== undefined)(
  `the swap on a LAN${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'metallb-swap-'));
    let cluster: Cluster;
    let address: string;
    let theirs: Upstream;
    let ours: LabProcess[] = [];

    const log = (name: string) => join(directory, `${name}.log`);

    /** On other ports, so that both can be there for a while: what `metallb migrate` prints. */
    async function startOurs(): Promise<void> {
      const flags = ['--kubeconfig', cluster.kubeconfig, '--namespace', NAMESPACE, '--port', '0'];
      const liveness = [
        '--ml-bindport',
        '7947',
        '--ml-labels',
        'app=metallb-ts,component=speaker',
        '--ml-secret-key-path',
        theirs.keyFolder,
      ];
      const probe = (port: number) => [
        'curl',
        '-s',
        '-f',
        '-o',
        '/dev/null',
        '--max-time',
        '1',
        `http://127.0.0.1:${port}/readyz`,
      ];
      const own = ['--health-probe-port', '17473'];
      ours = [
        start(
          'controller',
          [METALLB, 'controller', ...flags, '--webhook-mode', 'disabled', '--health-probe-port', '0'],
          log('controller'),
        ),
        ...cluster.nodes.map((node) =>
          node.start(
            node.name,
            [
              METALLB,
              'speaker',
              ...flags,
              ...own,
              '--node-name',
              node.name,
              '--ml-bindaddr',
              node.address,
              ...liveness,
            ],
            log(node.name),
          ),
        ),
      ];
      for (const node of cluster.nodes)
        await until(`ours on ${node.name} is ready`, async () => (await node.runAsync(probe(17473))).status === 0);
    }

    const stopAll = async (processes: readonly LabProcess[]) => {
      for (const process of processes) await process.stop();
    };
    const owner = () => soleOwner(cluster.client, cluster.nodes, address);
    /** How often the address changed hands does not matter, as long as somebody serves it all the time. */
    const answers = async (): Promise<LanHost[]> =>
      (await askByArp(cluster.client, address, 2)).map((mac) => cluster.nodeByMac(mac)!);

    beforeAll(async () => {
      prepareInside();
      cluster = new Cluster({ directory, nodes: 3, bare: true });
      await cluster.startApi();
      cluster.kubectl(['create', 'namespace', NAMESPACE]);
      theirs = new Upstream(cluster, NAMESPACE, directory);
      await theirs.prepare();
      for (const node of cluster.nodes)
        await cluster.addPod(NAMESPACE, `our-${node.name}`, node, { app: 'metallb-ts', component: 'speaker' });
      cluster.startStandIn();
      cluster.applyManifests('raspberry-hello-deployment.yaml', 'raspberry-address-pool.yaml', 'l2-all-pools.yaml');
      theirs.start();
      address = await until('MetalLB gives the address', () => cluster.addressOf('default', 'echo-service'), {
        patience: 30_000,
      });
      await until(
        'its page',
        async () => {
          const { stdout } = await cluster.client.runAsync(['curl', '-s', '--max-time', '1', `http://${address}/`]);
          return stdout === 'hello-world\n';
        },
        { patience: 30_000 },
      );
    });
    afterAll(async () => {
      await theirs.stop();
      await stopAll(ours);
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    it('is served all the time while ours take over, from the same node, and while MetalLB takes over again', async () => {
      const before = await owner();
      // Before anything is changed: the same address, and the same owner as MetalLB's speakers tell of in ServiceL2Status.
      const env = { KUBECONFIG: cluster.kubeconfig };
      await until(
        'MetalLB says who announces it',
        () => cluster.kubectl(['get', 'servicel2statuses', '-A', '-o', 'name']).stdout,
      );
      const foretold = await runAsync([METALLB, 'migrate', '--namespace', NAMESPACE], { env });
      expect(foretold.stdout).toContain('1 of 1 Services keep their addresses, and who announces them');
      expect(foretold.stdout).not.toContain('Changes:');
      const flags = ['--shadow', '--namespace', NAMESPACE, '--port', '0', '--health-probe-port', '0'];
      const shadow = start('shadow', [METALLB, 'speaker', ...flags, '--node-name', before.name], log('shadow'), env);
      await until('the shadow has compared', () => shadow.log().includes('"msg":"1 of 1 Services unchanged"'));
      expect(shadow.log()).not.toContain('shadowDiffers');
      await shadow.stop();

      // Both answer: the same election, so from one node, as soon as the speakers have all heard of each other.
      const only = async () => (await answers()).every(({ name }) => name === before.name);
      const announcements = () => theirs.speaker(before).log().split('serviceAnnounced').length;
      const probe = { interval: 10, duration: 18_000 };
      const there = await probeWhile(cluster.client, address, probe, async () => {
        await startOurs();
        await until('one node answers', only);
        await theirs.stop();
      });
      expect(there.failed.length, JSON.stringify(there.failed)).toBeLessThanOrEqual(2);
      expect((await owner()).name).toBe(before.name);
      expect(cluster.addressOf('default', 'echo-service')).toBe(address);

      const back = await probeWhile(cluster.client, address, probe, async () => {
        const announced = announcements();
        theirs.start();
        await until('theirs announces it again', () => announcements() > announced);
        await until('one node answers', only);
        await stopAll(ours);
        ours = [];
      });
      expect(back.failed.length, JSON.stringify(back.failed)).toBeLessThanOrEqual(2);
      expect(cluster.addressOf('default', 'echo-service')).toBe(address);
    });
  },
);
