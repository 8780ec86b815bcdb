/**
 * `npm run image [-- amd64 arm64]`: the image as an OCI layout in build/image, made without a container engine.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { must } from '../lab/shell.ts';
import { base } from './base.ts';
import { bundle } from './bundle.ts';
import { type Architecture, Layout } from './oci.ts';
import { billOfMaterials, licenceTexts, npmSoftware } from './software.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** npm's names of the same architectures. */
const NPM_NAMES = { amd64: 'x64', arm64: 'arm64' } as const;

const product = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
  license: string;
  devDependencies: { node: string };
};
const koffiVersion = (JSON.parse(readFileSync(join(ROOT, 'node_modules/koffi/package.json'), 'utf8')) as { version: string })
  .version;

/** Time of the last commit: the same commit gives the same image. SOURCE_DATE_EPOCH (seconds) overrides it. */
function created(): string {
  const given = process.env.SOURCE_DATE_EPOCH;
  const { stdout } = spawnSync('git', ['-C', ROOT, 'log', '-1', '--format=%ct'], { encoding: 'utf8' });
  return new Date(Number(given ?? (stdout.trim() || '0')) * 1000).toISOString().replace('.000Z', 'Z');
}

/** An npm package for another machine than this one, unpacked. */
function fetchPackage(name: string, version: string, scratch: string): string {
  const to = join(scratch, name.replaceAll('/', '-'));
  mkdirSync(to, { recursive: true });
  const packed = must(['npm', 'pack', '--silent', '--pack-destination', to, `${name}@${version}`], { timeout: 300_000 });
  must(['tar', '-xzf', join(to, packed.trim().split('\n').at(-1)!), '-C', to]);
  return join(to, 'package');
}

/** Builds the layout at `to` and says how large it is. */
export async function buildImage(to: string, architectures: readonly Architecture[]): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'metallb-image-'));
  try {
    rmSync(to, { recursive: true, force: true });
    const time = created();
    const layout = new Layout(to, time);
    for (const architecture of architectures) {
      const npmName = NPM_NAMES[architecture];
      const folder = (name: string) => join(scratch, architecture, name);
      for (const name of ['system', 'node/usr/bin', 'program/usr/lib/metallb', 'program/usr/bin'])
        mkdirSync(folder(name), { recursive: true });
      const debian = base(folder('system'), architecture, scratch);
      const node = fetchPackage(`node-linux-${npmName}`, product.devDependencies.node, scratch);
      cpSync(join(node, 'bin/node'), folder('node/usr/bin/node'));
      const koffi = fetchPackage(`@koromix/koffi-linux-${npmName}`, koffiVersion, scratch);
      const program = folder('program/usr/lib/metallb');
      const packages = await bundle(ROOT, program, npmName, koffi);
      must(['ln', '-s', '../lib/metallb/metallb.mjs', folder('program/usr/bin/metallb')]);
      const manifests = join(ROOT, 'config/manifests');
      if (existsSync(manifests)) cpSync(manifests, join(program, 'manifests'), { recursive: true });
      // A native package of another architecture is not installed here; it is the same package by licence and version.
      const software = npmSoftware(ROOT, packages.filter((name) => !name.startsWith('@koromix/')));
      const doc = folder('program/usr/share/doc/metallb');
      mkdirSync(doc, { recursive: true });
      const bill = billOfMaterials(product, time, software, debian, product.devDependencies.node);
      writeFileSync(join(doc, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
      writeFileSync(join(doc, 'licences.txt'), licenceTexts(ROOT, software));
      const layers = [
        layout.layer(folder('system'), `Debian: ${debian.map(({ name, version }) => `${name} ${version}`).join(', ')}`),
        layout.layer(folder('node'), `Node ${product.devDependencies.node}`),
        layout.layer(folder('program'), `${product.name} ${product.version}`),
      ];
      layout.add(architecture, layers, CONFIG);
      for (const { why, unpacked, descriptor } of layers)
        console.log(`${architecture}  ${megabytes(descriptor.size)} (${megabytes(unpacked)} unpacked)  ${why}`);
      const total = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
      const unpacked = layers.reduce((sum, layer) => sum + layer.unpacked, 0);
      console.log(`${architecture}  ${megabytes(total)} (${megabytes(unpacked)} unpacked)  in all`);
    }
    layout.finish(product.version);
    console.log(`${to}: for example skopeo copy oci:${to}:${product.version} docker://REGISTRY/metallb-ts/metallb:${product.version} --all`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

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

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1).padStart(6)} MB`;
}

if (process.argv[1] === import.meta.filename) {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !(name in NPM_NAMES));
  if (unknown !== undefined) {
    console.error(`image: ${unknown} is none of ${Object.keys(NPM_NAMES).join(', ')}`);
    process.exit(2);
  }
  await buildImage(join(ROOT, 'build/image'), asked.length > 0 ? (asked as Architecture[]) : ['amd64', 'arm64']);
}
