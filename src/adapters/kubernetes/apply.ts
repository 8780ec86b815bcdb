/**
 * Applies the objects that we ship, of any kind, by server-side apply, and deletes them.
 * @module
 */
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { type Clock, realClock, sleep } from '../driver/clock.ts';
import { APPLY_PATCH, ApiError, type KubernetesClient } from './client.ts';

/** How long the API server may take to serve a new kind, in milliseconds. */
const CRD_TIMEOUT = 30_000;

/** Applies an object and waits until a CRD is served. Conflicts are forced: what is shipped is what runs. Rejects with ApiError. */
export async function apply(
  client: KubernetesClient,
  object: KubernetesObject,
  fieldManager: string,
  clock: Clock = realClock(),
): Promise<void> {
  const query = { fieldManager, force: true };
  await client.request({ method: 'PATCH', path: pathOf(object), query, body: object, contentType: APPLY_PATCH });
  if (object.kind === 'CustomResourceDefinition') await established(client, object, clock);
}

/** Deletes an object. False: it did not exist. Rejects with ApiError. */
export function remove(client: KubernetesClient, object: KubernetesObject): Promise<boolean> {
  return client.remove(pathOf(object), { propagationPolicy: 'Background' });
}

interface CustomResourceDefinition extends KubernetesObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function established(client: KubernetesClient, object: KubernetesObject, clock: Clock): Promise<void> {
  for (const end = clock.now() + CRD_TIMEOUT; clock.now() < end; ) {
    const { status } = await client.request<CustomResourceDefinition>({ path: pathOf(object) });
    if (status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True'))
      return;
    await sleep(clock, 100);
  }
  throw new ApiError(0, 'NotEstablished', `${object.metadata.name} was not served within ${CRD_TIMEOUT / 1000} s`);
}

const CLUSTER_WIDE =
  /^(Namespace|CustomResourceDefinition|ClusterRole|ClusterRoleBinding|ValidatingWebhookConfiguration)$/;

/** Path of an object by its apiVersion and kind. The plural of every kind that we ship is a regular one. */
function pathOf({ apiVersion = 'v1', kind = '', metadata: { name, namespace = 'default' } }: KubernetesObject): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const inside = CLUSTER_WIDE.test(kind) ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${group}${inside}/${kind.toLowerCase()}s/${encodeURIComponent(name)}`;
}
