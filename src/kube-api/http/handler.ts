/**
 * The Kubernetes API over HTTP: authentication and routing.
 * @module
 */
import { timingSafeEqual } from 'node:crypto';
import { realWallClock } from '../../adapters/driver/clock.ts';
import { type HttpRequest, type HttpResponse, plain } from '../../adapters/http/server.ts';
import { Objects } from '../rules/objects.ts';
import type { Registry } from '../rules/registry.ts';
import { StatusError } from '../status.ts';
import type { Store } from '../storage/store.ts';
import { apiGroup, apiVersions, groupList, openApiV2, openApiV2Protobuf, resourceList, VERSION } from './discovery.ts';
import { json } from './representation.ts';
import { ResourceRequests } from './resource-requests.ts';
import type { Target } from './target.ts';

export interface ApiOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** The bearer token that clients must present. */
  readonly token: string;
  /** Milliseconds between bookmarks on a watch that asks for them. */
  readonly bookmarkInterval?: number;
  readonly now?: () => number;
}

export class KubernetesApi {
  readonly #options: Required<ApiOptions>;
  readonly #objects: Objects;
  readonly #requests: ResourceRequests;

  constructor(options: ApiOptions) {
    this.#options = { bookmarkInterval: 30_000, now: realWallClock, ...options };
    this.#objects = new Objects(this.#options.store, this.#options.registry, this.#options.now);
    this.#requests = new ResourceRequests(this.#objects, this.#options);
  }

  /** For writes by the API server itself, such as the objects that exist from the start. */
  get objects(): Objects {
    return this.#objects;
  }

  /** Ends every open watch, as a server that shuts down does. */
  close(): void {
    this.#requests.close();
  }

  handle = (request: HttpRequest): HttpResponse => {
    try {
      return this.#route(request);
    } catch (error) {
      if (error instanceof StatusError) return json(error.code, error.toObject());
      return json(500, new StatusError(500, `internal error: ${(error as Error).message}`).toObject());
    }
  };

  #route(request: HttpRequest): HttpResponse {
    if (request.path === '/healthz' || request.path === '/readyz' || request.path === '/livez') return plain(200, 'ok');
    this.#authenticate(request);
    const resources = this.#options.registry.all();
    const path = request.path.replace(/\/+$/, '');
    switch (path) {
      case '/version':
        return json(200, VERSION);
      case '/api':
        return json(200, apiVersions());
      case '/apis':
        return json(200, groupList(resources));
      case '/openapi/v2':
        return openApi(request);
    }
    const match = /^\/(?:api\/(v1)|apis\/([^/]+)(?:\/([^/]+))?)(?:\/(.+))?$/.exec(path);
    if (match === null) throw notServed(request.path);
    const [, core, group = '', named, rest] = match;
    const version = core ?? named;
    if (version === undefined) {
      if (!resources.some((r) => r.group === group)) throw notServed(request.path);
      return json(200, apiGroup(resources, group));
    }
    if (rest === undefined) {
      const list = resourceList(resources, group, version);
      if (list === undefined) throw notServed(request.path);
      return json(200, list);
    }
    const target = this.#target(group, version, rest.split('/').map(decodeURIComponent), request.path);
    return this.#requests.handle(request, target);
  }

  #authenticate({ headers }: HttpRequest): void {
    const given = Buffer.from(/^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '');
    const wanted = Buffer.from(this.#options.token);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new StatusError(401, 'Unauthorized');
  }

  #target(group: string, version: string, pieces: readonly string[], path: string): Target {
    let rest = pieces;
    let namespace: string | undefined;
    // `namespaces/NAME` and `namespaces/NAME/status` address the namespace itself.
    if (
      rest[0] === 'namespaces' &&
      rest.length > 2 &&
      !(group === '' && rest.length === 3 && ['status', 'finalize'].includes(rest[2]!))
    ) {
      namespace = rest[1];
      rest = rest.slice(2);
    }
    const [plural, name, subresource, ...more] = rest;
    const resource = this.#options.registry.find(group, version, plural!);
    if (resource === undefined || more.length > 0) throw notServed(path);
    if (namespace !== undefined && !resource.namespaced) throw notServed(path);
    if (subresource !== undefined && !(subresource === 'status' && resource.hasStatus)) {
      throw new StatusError(
        404,
        `the embedded API does not serve the subresource "${subresource}" of ${plural}; run a real cluster for that`,
      );
    }
    return { resource, namespace, name, subresource };
  }
}

function openApi({ headers }: HttpRequest): HttpResponse {
  // Clients ask with an @, which is not allowed in a media type; the real server answers with a dot instead.
  const asked = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  if ((headers.accept ?? '').includes(asked)) {
    return { status: 200, headers: { 'content-type': asked.replace('@', '.') }, body: openApiV2Protobuf() };
  }
  return json(200, openApiV2());
}

function notServed(path: string): StatusError {
  return new StatusError(
    404,
    `the server could not find the requested resource (the embedded API does not serve ${path})`,
  );
}
