/**
 * The layer that is ours: the bundle, the manifests for `metallb install`, the bill of materials and the licences. By itself, with an
 * architecture and a folder, it is a step of the Dockerfile.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { must } from '../lab/net/shell.ts';
import type { DebianPackage } from './base.ts';
import { bundle } from './bundle.ts';
import type { Architecture } from './oci.ts';
import { billOfMaterials, licenceTexts, npmSoftware } from './software.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** npm's names of the same architectures. */
export const NPM_NAMES = { amd64: 'x64', arm64: 'arm64' } as const;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

const manifestOf = <M>(path: string) => JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8')) as M;
export const product = manifestOf<Manifest & { readonly devDependencies: { readonly node: string } }>('.');

/** Time of the last commit, RFC 3339: the same commit gives the same image. SOURCE_DATE_EPOCH (seconds) overrides it. */
export function created(): string {
  const given = process.env.SOURCE_DATE_EPOCH;
  const { stdout } = spawnSync('git', ['-C', ROOT, 'log', '-1', '--format=%ct'], { encoding: 'utf8' });
  return new Date(Number(given ?? ((stdout ?? '').trim() || '0')) * 1000).toISOString().replace('.000Z', 'Z');
}

/** An npm package for another machine than this one, unpacked. */
export function fetchPackage(name: string, version: string, scratch: string): string {
  const to = join(scratch, name.replaceAll('/', '-'));
  mkdirSync(to, { recursive: true });
  const pack = ['npm', 'pack', '--silent', '--pack-destination', to, `${name}@${version}`];
  const packed = must(pack, { timeout: 300_000 });
  must(['tar', '-xzf', join(to, packed.trim().split('\n').at(-1)!), '-C', to]);
  return join(to, 'package');
}

/** Fills `root`, the root of a file system. */
export async function program(
  root: string,
  architecture: Architecture,
  debian: readonly DebianPackage[],
  scratch: string,
): Promise<void> {
  const { version: koffiVersion } = manifestOf<Manifest>('node_modules/koffi');
  const koffi = fetchPackage(`@koromix/koffi-linux-${NPM_NAMES[architecture]}`, koffiVersion, scratch);
  const folder = join(root, 'usr/lib/metallb');
  const doc = join(root, 'usr/share/doc/metallb');
  for (const path of [folder, doc, join(root, 'usr/bin')]) mkdirSync(path, { recursive: true });
  const packages = await bundle(ROOT, folder, NPM_NAMES[architecture], koffi);
  symlinkSync('../lib/metallb/metallb.mjs', join(root, 'usr/bin/metallb'));
  cpSync(join(ROOT, 'config/manifests'), join(folder, 'manifests'), { recursive: true });
  // The library of another architecture is not installed here; by licence and version it is koffi.
  const software = npmSoftware(
    ROOT,
    packages.filter((name) => !name.startsWith('@koromix/')),
  );
  const bill = billOfMaterials(product, created(), software, debian, product.devDependencies.node);
  writeFileSync(join(doc, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
  writeFileSync(join(doc, 'licences.txt'), licenceTexts(ROOT, software));
}

if (process.argv[1] === import.meta.filename) {
  const [architecture, to] = process.argv.slice(2);
  if (architecture === undefined || !(architecture in NPM_NAMES) || to === undefined)
    throw new Error('give an architecture, amd64 or arm64, and a folder');
  await program(to, architecture as Architecture, [], mkdtempSync(join(tmpdir(), 'metallb-program-')));
}
