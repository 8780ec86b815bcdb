/**
 * What is in the image, for auditors: a bill of materials (CycloneDX 1.5) and the licences.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebianPackage } from './base.ts';

/** Licences that may be shipped without asking anybody. Another one is a decision of people, not of a build. */
const FREE = ['MIT', 'Apache-2.0', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', '(MIT AND Zlib)', 'Python-2.0'];

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

export interface Software {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly purl: string;
  /** Empty where the package brings no file of that kind. */
  readonly text: string;
}

/** The npm packages of these names. Throws when one has a licence that is not in the list. */
export function npmSoftware(root: string, names: readonly string[]): Software[] {
  return names.map((name) => {
    const folder = join(root, 'node_modules', name);
    const { version, license = 'none' } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    if (!FREE.includes(license))
      throw new Error(
        `${name} ${version} has the licence ${license}; decide whether it may be shipped (image/software.ts)`,
      );
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8');
    return { name, version, license, purl: `pkg:npm/${name.replace('@', '%40')}@${version}`, text };
  });
}

/** `created`: RFC 3339. */
export function billOfMaterials(
  product: Manifest,
  created: string,
  npm: readonly Software[],
  debian: readonly DebianPackage[],
  node: string,
): object {
  const system = debian.map(({ name, version }) => ({
    type: 'library',
    name,
    version,
    purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}`,
  }));
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      timestamp: created,
      component: {
        type: 'application',
        name: product.name,
        version: product.version,
        licenses: licence(product.license!),
      },
    },
    components: [
      { type: 'platform', name: 'node', version: node, purl: `pkg:generic/node@${node}`, licenses: licence('MIT') },
      ...system,
      ...npm.map(({ name, version, license, purl }) => ({
        type: 'library',
        name,
        version,
        purl,
        licenses: licence(license),
      })),
    ],
  };
}

function licence(id: string): object[] {
  return [id.includes(' ') ? { expression: id.replace(/^\(|\)$/g, '') } : { license: { id } }];
}

/** Licence texts of the bundle, one after the other; Node's stands beside its binary's layer. */
export function licenceTexts(root: string, npm: readonly Software[]): string {
  const own = readFileSync(join(root, 'LICENSE'), 'utf8');
  const texts = [
    ['metallb-ts', own],
    ...npm.map(({ name, version, license, text }) => [`${name} ${version} (${license})`, text || `See ${license}.`]),
  ];
  return texts.map(([name, text]) => `${'='.repeat(80)}\n${name}\n${'='.repeat(80)}\n${text}\n`).join('\n');
}
