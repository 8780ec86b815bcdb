/**
 * Creates the Secret with the key by which speakers authenticate each other (docs/behaviour/layer2.md#the-secret-of-the-speakers).
 * @module
 */
import { randomBytes } from 'node:crypto';
import { AdapterError } from '../errors.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';

/** Key of the Secret, and name of the file that the speakers mount. */
const KEY = 'secretkey';

/**
 * Creates the Secret unless it exists: 16 random bytes as base64 text without padding. If `deployment` is not empty, that
 * Deployment owns the Secret, so that both are deleted together. Rejects with AdapterError, because without the Secret no
 * speaker can start.
 */
export async function ensureMemberlistSecret(
  client: KubernetesClient,
  namespace: string,
  name: string,
  deployment: string,
): Promise<'created' | 'present'> {
  try {
    await client.request({ path: objectPath('secrets', `${namespace}/${name}`) });
    return 'present';
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw failure(namespace, name, error);
  }
  try {
    const ownerReferences = deployment === '' ? [] : [await ownerOf(client, namespace, deployment)];
    const metadata = { name, namespace, ...(ownerReferences.length > 0 && { ownerReferences }) };
    const stringData = { [KEY]: randomBytes(16).toString('base64').replace(/=+$/, '') };
    const body = { apiVersion: 'v1', kind: 'Secret', metadata, stringData };
    await client.request({ method: 'POST', path: collectionPath('secrets', namespace), body });
    return 'created';
  } catch (error) {
    // Another controller has created it in the meantime.
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return 'present';
    throw failure(namespace, name, error);
  }
}

async function ownerOf(client: KubernetesClient, namespace: string, name: string): Promise<object> {
  const { metadata } = await client.request({ path: objectPath('deployments', `${namespace}/${name}`) });
  return { apiVersion: 'apps/v1', kind: 'Deployment', name, uid: metadata.uid };
}

function failure(namespace: string, name: string, error: unknown): AdapterError {
  return new AdapterError(
    'memberlist-secret',
    `the Secret ${namespace}/${name} (--ml-secret-name) cannot be created: ${(error as Error).message}`,
    error,
  );
}
