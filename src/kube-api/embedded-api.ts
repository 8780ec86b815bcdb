/**
 * The embedded Kubernetes API: the store, the objects that exist from the start, and the HTTPS server in front of it.
 * @module
 */
import { realWallClock } from '../adapters/driver/clock.ts';
import { type HttpServer, serve, type Tls } from '../adapters/http/server.ts';
import { toCustomResourceDefinition } from '../core/api/kind.ts';
import { KINDS } from '../core/api/kinds.ts';
import { KubernetesApi } from './http/handler.ts';
import { CONFIGURATION } from './rules/configuration-admission.ts';
import { INTERNAL_DELETION, INTERNAL_WRITE, type Objects } from './rules/objects.ts';
import { Registry } from './rules/registry.ts';
import type { Resource } from './rules/resource.ts';
import type { ApiObject, Store } from './storage/store.ts';

export { INTERNAL_WRITE } from './rules/objects.ts';
export { Store } from './storage/store.ts';

export interface EmbeddedApi {
  readonly store: Store;
  readonly objects: Objects;
  readonly registry: Registry;
  readonly port: number;
  close(): Promise<void>;
}

export interface EmbeddedApiOptions {
  /** Closed with the API. */
  readonly store: Store;
  /** The bearer token that clients must present. */
  readonly token: string;
  readonly certificate: Tls;
  readonly host: string;
  readonly port: number;
  /** Milliseconds between bookmarks on a watch that asks for them; default 30 s. */
  readonly bookmarkInterval?: number;
}

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease', 'metallb-system'];

/** Events older than this are removed, in milliseconds (kube-apiserver's --event-ttl). */
const EVENT_LIFETIME = 3_600_000;

/** Starts serving. Rejects with the operating system's error if it cannot listen. */
export async function startEmbeddedApi(options: EmbeddedApiOptions): Promise<EmbeddedApi> {
  const { store } = options;
  const registry = new Registry(store, new Map([['metallb.io', CONFIGURATION]]));
  const { token, bookmarkInterval } = options;
  const api = new KubernetesApi({
    store,
    registry,
    token,
    ...(bookmarkInterval !== undefined && { bookmarkInterval }),
  });
  let server: HttpServer;
  try {
    furnish(api.objects, registry);
    server = await serve({ host: options.host, port: options.port, tls: options.certificate }, api.handle);
  } catch (error) {
    store.close();
    throw error;
  }
  const sweep = setInterval(() => removeOldEvents(api.objects, registry, store), 60_000);
  return {
    store,
    registry,
    objects: api.objects,
    port: server.port,
    close: async () => {
      clearInterval(sweep);
      api.close();
      await server.close();
      store.close();
    },
  };
}

function furnish(objects: Objects, registry: Registry): void {
  const namespaces = registry.find('', 'v1', 'namespaces')!;
  for (const name of NAMESPACES)
    ensure(objects, namespaces, undefined, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const definitions = registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions')!;
  for (const kind of KINDS) {
    const definition = toCustomResourceDefinition(kind) as ApiObject;
    const present = ensure(objects, definitions, undefined, definition);
    objects.update(
      definitions,
      undefined,
      present.metadata.name,
      { ...present, spec: definition.spec },
      INTERNAL_WRITE,
    );
  }
  const services = registry.find('', 'v1', 'services')!;
  const metadata = {
    name: 'kubernetes',
    namespace: 'default',
    labels: { component: 'apiserver', provider: 'kubernetes' },
  };
  const spec = { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }] };
  ensure(objects, services, 'default', { apiVersion: 'v1', kind: 'Service', metadata, spec });
}

/** Returns the stored object, created first if it does not exist. */
export function ensure(
  objects: Objects,
  resource: Resource,
  namespace: string | undefined,
  object: ApiObject,
): ApiObject {
  return (
    objects.find(resource, namespace, object.metadata.name) ??
    objects.create(resource, namespace, object, INTERNAL_WRITE)
  );
}

function removeOldEvents(objects: Objects, registry: Registry, store: Store): void {
  const events = registry.find('', 'v1', 'events')!;
  for (const { metadata, lastTimestamp } of store.list('events')) {
    const age = realWallClock() - Date.parse(lastTimestamp ?? metadata.creationTimestamp);
    if (age > EVENT_LIFETIME) objects.delete(events, metadata.namespace, metadata.name, INTERNAL_DELETION);
  }
}
