/**
 * `npm run image [-- amd64 arm64]`: the image as an OCI layout in build/image, made without a container engine.
 * @module
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { base } from './base.ts';
import { type Architecture, type Layer, Layout } from './oci.ts';
import { created, fetchPackage, NPM_NAMES, product, program } from './program.ts';

/** The speaker's pod asks for root and takes every capability from it but NET_RAW; everything else needs nobody at all. */
const CONFIG = {
  User: '65534:65534',
  Env: ['PATH=/usr/bin', 'NODE_ENV=production'],
  Entrypoint: ['/usr/bin/metallb'],
  WorkingDir: '/',
  Labels: {
    'org.opencontainers.image.title': 'metallb',
    'org.opencontainers.image.description': 'The load balancer that bare-metal Kubernetes lacks',
    'org.opencontainers.image.licenses': product.license,
    'org.opencontainers.image.version': product.version,
  },
};

/** Builds the layout at `to` and says how large it is. Throws with the words of whatever failed. */
async function buildImage(to: string, architectures: readonly Architecture[]): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'metallb-image-'));
  // Modes in the image must not depend on who builds it.
  process.umask(0o022);
  try {
    rmSync(to, { recursive: true, force: true });
    const layout = new Layout(to, created());
    for (const architecture of architectures) {
      const layers = await layersOf(layout, architecture, scratch);
      layout.add(architecture, layers, CONFIG);
      for (const { why, unpacked, descriptor } of layers) report(architecture, descriptor.size, unpacked, why);
      const sum = (size: (layer: Layer) => number) => layers.reduce((total, layer) => total + size(layer), 0);
      report(
        architecture,
        sum(({ descriptor }) => descriptor.size),
        sum(({ unpacked }) => unpacked),
        'in all',
      );
    }
    layout.finish(product.version);
    const target = `docker://REGISTRY/metallb-ts/metallb:${product.version}`;
    console.log(`to push it: skopeo copy --all oci:${to}:${product.version} ${target}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** From what changes seldom to what changes often. */
async function layersOf(layout: Layout, architecture: Architecture, scratch: string): Promise<Layer[]> {
  const folder = (name: string) => join(scratch, architecture, name);
  for (const name of ['system', 'node/usr/bin', 'program']) mkdirSync(folder(name), { recursive: true });
  const debian = base(folder('system'), architecture, scratch);
  const { node } = product.devDependencies;
  const npm = fetchPackage(`node-linux-${NPM_NAMES[architecture]}`, node, scratch);
  cpSync(join(npm, 'bin/node'), folder('node/usr/bin/node'));
  cpSync(join(npm, 'LICENSE'), folder('node/usr/share/doc/node/LICENSE'));
  await program(folder('program'), architecture, debian, scratch);
  return [
    layout.layer(folder('system'), `Debian: ${debian.map(({ name, version }) => `${name} ${version}`).join(', ')}`),
    layout.layer(folder('node'), `Node ${node}`),
    layout.layer(folder('program'), `${product.name} ${product.version}`),
  ];
}

function report(architecture: string, compressed: number, unpacked: number, what: string): void {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1).padStart(6)} MB`;
  console.log(`${architecture}  ${megabytes(compressed)} (${megabytes(unpacked)} unpacked)  ${what}`);
}

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !(name in NPM_NAMES));
if (unknown === undefined) {
  const to = resolve(import.meta.dirname, '../build/image');
  await buildImage(to, asked.length > 0 ? (asked as Architecture[]) : ['amd64', 'arm64']);
} else {
  console.error(`image: ${unknown} is none of ${Object.keys(NPM_NAMES).join(', ')}`);
  process.exitCode = 2;
}
