/**
 * The image, started by a container runtime with the rights of the pods and no more, does the main job: an address, announced, that moves when its
 * owner dies. `npm test` builds it before this runs (build/image).
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../../lab/kubernetes/cluster.ts';
import { CONTROLLER, Image, SPEAKER, whyNoContainers } from '../../lab/kubernetes/container.ts';
import { soleOwner } from '../../lab/net/lan.ts';
import { prepareInside } from '../../lab/net/sandbox.ts';
import { must, run } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';

const LAYOUT = resolve(import.meta.dirname, '../../build/image');
const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8')) as {
  version: string;
};
const obstacle = existsSync(join(LAYOUT, 'index.json'))
  ? whyNoContainers()
  : 'there is no image in build/image; npm run image makes it';

describe.skipIf(obstacle !== undefined)(`the image${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-image-'));
  let image: Image;
  let cluster: Cluster;
  let address: string;

  beforeAll(async () => {
    prepareInside();
    image = new Image(LAYOUT, version, directory);
    cluster = new Cluster({
      directory,
      nodes: 2,
      program: (component, name, args) => {
        const context = component === 'controller' ? CONTROLLER : SPEAKER;
        const folders = [join(directory, 'api'), ...(component === 'speaker' ? [join(directory, 'memberlist')] : [])];
        return image.command(name, [component, ...args], context, folders);
      },
    });
    await cluster.startApi();
    // A ServiceAccount's token can be read by the pod that it is for.
    must(['chmod', '-R', 'a+rX', directory]);
    cluster.startController();
    await cluster.startSpeakers();
    cluster.startStandIn();
    cluster.applyManifests('raspberry-hello-deployment.yaml', 'raspberry-address-pool.yaml', 'l2-all-pools.yaml');
    address = await until('the address', () => cluster.addressOf('default', 'echo-service'));
  });
  afterAll(async () => {
    await cluster.stop();
    for (const name of ['controller', 'speaker-node-1', 'speaker-node-2'])
      run(['runc', '--root', join(directory, 'state'), 'delete', '--force', name]);
    rmSync(directory, { recursive: true, force: true });
  });

  it('is what skopeo takes it for: for nobody in particular, and from our sources', () => {
    const config = JSON.parse(must(['skopeo', 'inspect', '--config', `oci:${LAYOUT}:${version}`])) as {
      config: { User: string; Entrypoint: string[] };
      architecture: string;
    };
    expect(config.config).toMatchObject({ User: '65534:65534', Entrypoint: ['/usr/bin/metallb'] });
    const copied = join(directory, 'copy');
    must(['skopeo', 'copy', '--quiet', '--all', `oci:${LAYOUT}:${version}`, `oci:${copied}:x`]);
    expect(readFileSync(join(copied, 'oci-layout'), 'utf8')).toContain('1.0.0');
  });

  it('has neither a shell nor a package manager, and says what is in it', () => {
    for (const path of ['bin/sh', 'usr/bin/sh', 'usr/bin/apt-get', 'usr/bin/dpkg'])
      expect(existsSync(join(image.root, path))).toBe(false);
    const doc = join(image.root, 'usr/share/doc/metallb');
    const bill = JSON.parse(readFileSync(join(doc, 'sbom.cdx.json'), 'utf8')) as {
      bomFormat: string;
      components: { name: string; purl: string }[];
    };
    expect(bill.bomFormat).toBe('CycloneDX');
    const names = bill.components.map(({ name }) => name);
    for (const name of ['node', 'libc6', 'koffi', 'zod', '@kubernetes/client-node']) expect(names).toContain(name);
    expect(names).not.toContain('vitest');
    expect(readFileSync(join(doc, 'licences.txt'), 'utf8')).toContain('Niels Martign');
    expect(readFileSync(join(image.root, 'usr/share/doc/node/LICENSE'), 'utf8')).toContain('Node.js is licensed');
  });

  it('gives an address out, and announces it, without root of its own, without a shell, on a read-only root', async () => {
    const owner = await soleOwner(cluster.client, cluster.nodes, address);
    const page = await until('the page', async () => {
      const { stdout } = await cluster.client.runAsync(['curl', '-s', '--max-time', '1', `http://${address}/`]);
      return stdout || undefined;
    });
    expect(page).toBe('hello-world\n');
    const speaker = cluster.speakers.get(owner.name)!;
    const inner = Number(
      must(['pgrep', '-P', String(speaker.pid), '-f', 'metallb'])
        .trim()
        .split('\n')[0],
    );
    const status = readFileSync(`/proc/${inner}/status`, 'utf8');
    // CAP_NET_RAW is bit 13.
    expect(status).toMatch(/CapEff:\t0+2000\n/);
    expect(status).toMatch(/NoNewPrivs:\t1\n/);
    expect(status).toMatch(/Seccomp:\t2\n/);
    expect(readFileSync(`/proc/${inner}/mountinfo`, 'utf8')).toMatch(/ \/ \/?.* ro[, ]/);
  });

  it('hands the address over when the owner’s container dies', async () => {
    const owner = await soleOwner(cluster.client, cluster.nodes, address);
    must(['runc', '--root', join(directory, 'state'), 'kill', `speaker-${owner.name}`, 'KILL']);
    const other = cluster.nodes.find((node) => node !== owner)!;
    await until('the other node answers', async () => {
      const now = await soleOwner(cluster.client, cluster.nodes, address).catch(() => undefined);
      return now?.name === other.name;
    });
  });
});
