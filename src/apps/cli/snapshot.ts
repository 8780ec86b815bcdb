/**
 * A cluster at one moment: read from the API server, or from files (`kubectl get … -o yaml`, manifests).
 * @module
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { firstLine } from '../../adapters/errors.ts';
import { readInput } from '../../adapters/files/input.ts';
import { parseAllYaml } from '../../adapters/files/yaml.ts';
import { ApiError, KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { Connection } from '../../adapters/kubernetes/connection.ts';
import { collectionPath } from '../../adapters/kubernetes/resources.ts';
import { own } from '../../core/api/json.ts';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { isConfigResource, resourceOfKind } from '../../core/config/resolve.ts';
import { SPEAKER_RESOURCES, type SpeakerResource } from '../../core/speaker/state.ts';
import { CliError } from './errors.ts';

/** What decisions are made of, and what the speakers say that they do: kinds that a cluster with upstream's CRDs need not have. */
type SnapshotResource = SpeakerResource | ToldResource;
const TOLD = ['servicel2statuses', 'servicebgpstatuses', 'bgpsessionstatuses', 'configurationstates'] as const;
type ToldResource = (typeof TOLD)[number];
const RESOURCES: readonly SnapshotResource[] = [...SPEAKER_RESOURCES, ...TOLD];

export type Snapshot = Record<SnapshotResource, KubernetesObject[]>;

const RESOURCE_OF: Readonly<Record<string, SnapshotResource>> = {
  ServiceL2Status: 'servicel2statuses',
  ServiceBGPStatus: 'servicebgpstatuses',
  BGPSessionStatus: 'bgpsessionstatuses',
  ConfigurationState: 'configurationstates',
  Service: 'services',
  EndpointSlice: 'endpointslices',
  Node: 'nodes',
  Namespace: 'namespaces',
};

/** The resource that objects of this kind belong to; undefined for kinds that do not matter here. */
export function resourceOf(object: KubernetesObject): SnapshotResource | undefined {
  return own(RESOURCE_OF, object.kind ?? '') ?? resourceOfKind(object.kind ?? '');
}

function empty(): Snapshot {
  return Object.fromEntries(RESOURCES.map((resource) => [resource, []])) as unknown as Snapshot;
}

/** Pods say who is alive, which cannot be seen from here; Secrets must not be read. */
const NOT_READ: readonly SnapshotResource[] = ['pods', 'secrets'];

/** What somebody may see of a cluster. */
export interface View {
  readonly snapshot: Snapshot;
  /** Resources that the API server does not show, or of one namespace only. */
  readonly hidden: readonly string[];
}

type Lister = Pick<KubernetesClient, 'list'>;

/** Resources of tenants: whoever may not list all of them may list those of a namespace. */
const TENANTS: readonly SnapshotResource[] = ['services', 'endpointslices'];

/**
 * Reads everything that decisions are made of. Configuration comes from one namespace, or from all. With `tenant`, a namespace,
 * what the API server forbids is left out, or read in that namespace alone; without, it is an error.
 */
export async function takeView(client: Lister, namespace: string | undefined, tenant?: string): Promise<View> {
  const snapshot = empty();
  const hidden: string[] = [];
  const read = async (resource: SnapshotResource): Promise<readonly KubernetesObject[]> => {
    const isTold = (TOLD as readonly string[]).includes(resource);
    const isOurs = isConfigResource(resource) || isTold;
    const path = collectionPath(resource, isOurs ? namespace : undefined);
    try {
      return await (isTold ? listIfAny(client, path) : client.list(path));
    } catch (error) {
      if (tenant === undefined || !(error instanceof ApiError) || error.status !== 403) throw error;
      hidden.push(resource);
      return TENANTS.includes(resource) ? client.list(collectionPath(resource, tenant)) : [];
    }
  };
  await Promise.all(
    RESOURCES.filter((resource) => !NOT_READ.includes(resource)).map(async (resource) => {
      snapshot[resource] = [...(await read(resource))];
    }),
  );
  return { snapshot, hidden: hidden.sort() };
}

/** Nothing where the cluster has no such kind. */
export async function listIfAny(client: Lister, path: string): Promise<readonly KubernetesObject[]> {
  try {
    return await client.list(path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}

/** All objects of some files or folders, or of standard input for `-`; lists are taken apart. Rejects with an error that names file and cause. */
export async function readObjects(paths: readonly string[]): Promise<KubernetesObject[]> {
  const objects: KubernetesObject[] = [];
  for (const file of paths.flatMap(filesOf)) {
    const text = await readInput(file);
    try {
      objects.push(...parseAllYaml(text).flatMap(flatten));
    } catch (error) {
      throw new CliError(`${file} cannot be read: ${firstLine(error)}`);
    }
  }
  return objects;
}

function filesOf(path: string): string[] {
  try {
    if (path === '-' || !statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => /\.(ya?ml|json)$/.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function flatten(document: unknown): KubernetesObject[] {
  const object = document as (KubernetesObject & { items?: unknown[] }) | null;
  if (object === null || typeof object !== 'object') return [];
  if (Array.isArray(object.items)) return object.items.flatMap(flatten);
  return object.metadata?.name === undefined ? [] : [object];
}

/** Where a snapshot comes from, as the commands take it from their flags. */
export interface SnapshotOptions {
  readonly dump?: string[];
  readonly kubeconfig?: string;
  readonly namespace?: string;
}

/** From the files of --dump, else from the API server. */
export async function openSnapshot({ dump, kubeconfig, namespace }: SnapshotOptions): Promise<Snapshot> {
  if (dump !== undefined) return readDump(dump);
  return (await takeView(new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli'), namespace)).snapshot;
}

/** The same for somebody who may not see everything, but a Service of the namespace `tenant`. */
export async function openView({ dump, kubeconfig, namespace }: SnapshotOptions, tenant: string): Promise<View> {
  if (dump !== undefined) return { snapshot: await readDump(dump), hidden: [] };
  return takeView(new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli'), namespace, tenant);
}

/** A dump as a snapshot. */
async function readDump(paths: readonly string[]): Promise<Snapshot> {
  const snapshot = empty();
  for (const object of await readObjects(paths)) {
    const resource = resourceOf(object);
    if (resource !== undefined) snapshot[resource].push(withNamespace(object));
  }
  return snapshot;
}

/** A Deployment or DaemonSet. */
export interface Workload extends KubernetesObject {
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly name?: string;
          readonly image?: string;
          readonly args?: readonly string[];
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
}

const COLLECTIONS = { Deployment: 'deployments', DaemonSet: 'daemonsets' } as const;

/** What runs in the cluster now, and how. */
export async function readWorkloads(
  { dump, kubeconfig }: SnapshotOptions,
  kinds: readonly (keyof typeof COLLECTIONS)[],
): Promise<Workload[]> {
  if (dump !== undefined)
    return (await readObjects(dump)).filter(({ kind = '' }) => (kinds as readonly string[]).includes(kind));
  const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli');
  const lists = await Promise.all(kinds.map((kind) => client.list(collectionPath(COLLECTIONS[kind]))));
  return lists.flat();
}

const CLUSTER_SCOPED: readonly string[] = ['Node', 'Namespace'];

/** What kubectl does with a manifest that names no namespace. */
export function withNamespace(object: KubernetesObject): KubernetesObject {
  if (object.metadata.namespace !== undefined || CLUSTER_SCOPED.includes(object.kind ?? '')) return object;
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
}
