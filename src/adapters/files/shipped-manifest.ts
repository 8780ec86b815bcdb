/**
 * The manifest of this version: beside the bundle in the image, below config/ in a checkout.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { parseAllYaml } from './yaml.ts';

const PLACES = ['./manifests/metallb-native.yaml', '../../../config/manifests/metallb-native.yaml'];

/** All objects of the manifest. Throws when it is in neither place. */
export function shippedManifest(): KubernetesObject[] {
  const file = PLACES.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  if (file === undefined) throw new Error(`the manifest is missing: neither of ${PLACES.join(', ')} is there`);
  return parseAllYaml(readFileSync(file, 'utf8')) as KubernetesObject[];
}
