/**
 * The identity of a new object: its name, namespace and uid.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import { invalid, type StatusCause, StatusError } from '../status.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import type { Resource } from './resource.ts';

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const SERVICE_NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** The object with its initial metadata; `now` is in milliseconds since 1970. Throws StatusError. */
export function withIdentity(
  resource: Resource,
  namespace: string | undefined,
  given: ApiObject,
  store: Store,
  now: number,
): ApiObject {
  const { generateName } = given.metadata;
  const name = given.metadata.name || (generateName ? `${generateName}${randomUUID().slice(0, 5)}` : '');
  const causes: StatusCause[] = [];
  if (name === '') causes.push({ field: 'metadata.name', message: 'Required value: name or generateName is required' });
  else if (!NAME.test(name))
    causes.push({
      field: 'metadata.name',
      message: `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'`,
    });
  else if (resource.plural === 'services' && !SERVICE_NAME.test(name)) {
    causes.push({
      field: 'metadata.name',
      message: `Invalid value: ${JSON.stringify(name)}: a DNS-1035 label must consist of lower case alphanumeric characters or '-', and start with a letter`,
    });
  }
  if (causes.length > 0) throw invalid(resource.kind, resource.group, name, causes);
  if (resource.namespaced) checkNamespace(namespace, given.metadata.namespace, store);
  const metadata: ApiObject['metadata'] = {
    ...given.metadata,
    name,
    uid: randomUUID(),
    creationTimestamp: timestamp(now),
    ...(resource.namespaced && namespace !== undefined && { namespace }),
    ...(resource.hasGeneration && { generation: 1 }),
  };
  delete metadata.resourceVersion;
  if (!resource.namespaced) delete metadata.namespace;
  return { ...given, metadata };
}

function checkNamespace(namespace: string | undefined, inBody: string | undefined, store: Store): void {
  if (namespace === undefined)
    throw new StatusError(400, 'an object of this kind is created in a namespace: name it in the path');
  if (inBody !== undefined && inBody !== namespace) {
    throw new StatusError(
      400,
      `the namespace of the provided object does not match the namespace sent on the request: ${inBody}, ${namespace}`,
    );
  }
  if (store.get('namespaces', '', namespace) === undefined) {
    throw new StatusError(404, `namespaces "${namespace}" not found`, { name: namespace, kind: 'namespaces' });
  }
}
