/**
 * How Kubernetes merges lists of its built-in types: which are associative, and by which key (patchMergeKey).
 * @module
 */
import { isObject, type JsonObject } from '../../core/api/json.ts';
import { StatusError } from '../status.ts';

const KEYS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    conditions: 'type',
    addresses: 'type',
    containers: 'name',
    initContainers: 'name',
    ephemeralContainers: 'name',
    volumes: 'name',
    env: 'name',
    imagePullSecrets: 'name',
    secrets: 'name',
    volumeMounts: 'mountPath',
    volumeDevices: 'devicePath',
    hostAliases: 'ip',
    ownerReferences: 'uid',
    topologySpreadConstraints: 'topologyKey',
  }),
);

/** Lists of scalars that are merged as sets. */
const SETS: readonly string[] = ['finalizers'];

/** The field that identifies an item of this list, or undefined for a list that is replaced as a whole. */
export function mergeKey(kind: string, path: readonly string[]): string | undefined {
  const name = path.at(-1)!;
  if (name === 'ports') return kind === 'Service' ? 'port' : path.includes('containers') ? 'containerPort' : undefined;
  // `addresses` is a list-map on Nodes alone; EndpointSlices and pools have plain lists of that name.
  if (name === 'addresses' && kind !== 'Node') return undefined;
  return KEYS.get(name);
}

/** The items of a list that is merged by a key. Throws 400 if one of them cannot have any. */
export function keyedItems(list: readonly unknown[], path: readonly string[]): readonly JsonObject[] {
  for (const [i, item] of list.entries())
    if (!isObject(item))
      throw new StatusError(400, `${path.join('.')}[${i}] is not an object: ${JSON.stringify(item)}`);
  return list as readonly JsonObject[];
}

export function isSetList(name: string): boolean {
  return SETS.includes(name);
}
