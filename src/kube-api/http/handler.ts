/**
 * The Kubernetes API over HTTP: paths, verbs, media types, tables and watches.
 * @module
 */
import { timingSafeEqual } from 'node:crypto';
import { parseYaml } from '../../adapters/files/yaml.ts';
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { applyConfiguration } from '../patch/apply.ts';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch, isObject } from '../patch/patch.ts';
import { Objects, type WriteOptions } from '../rules/objects.ts';
import type { Registry } from '../rules/registry.ts';
import { groupVersion, type Resource, storeKey } from '../rules/resource.ts';
import { StatusError } from '../status.ts';
import { parseSelectors } from '../storage/query-selectors.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import { Collections, type Target } from './collections.ts';
import { apiGroup, apiVersions, groupList, openApiV2, openApiV2Protobuf, resourceList, VERSION } from './discovery.ts';
import { decodeProtobuf } from './protobuf.ts';
import { inVersion, json, listObject, tableOf, wantsTable } from './representation.ts';

export interface ApiOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** Clients have to present this as a bearer token. */
  readonly token: string;
  /** Milliseconds between bookmarks on a watch that asks for them. */
  readonly bookmarkInterval?: number;
  readonly now?: () => number;
}

export class KubernetesApi {
  readonly #options: Required<ApiOptions>;
  readonly #objects: Objects;
  readonly #collections: Collections;

  constructor(options: ApiOptions) {
    this.#options = { bookmarkInterval: 30_000, now: Date.now, ...options };
    this.#objects = new Objects(this.#options.store, this.#options.registry, this.#options.now);
    this.#collections = new Collections(this.#options);
  }

  /** Writes as the API server itself does it, for what has to be there from the start. */
  get objects(): Objects {
    return this.#objects;
  }

  /** Ends every open watch, as a server does that shuts down. */
  close(): void {
    this.#collections.close();
  }

  handle = async (request: HttpRequest): Promise<HttpResponse> => {
    try {
      return await this.#route(request);
    } catch (error) {
      if (error instanceof StatusError) return json(error.code, error.toObject());
      return json(500, new StatusError(500, `internal error: ${(error as Error).message}`).toObject());
    }
  };

  async #route(request: HttpRequest): Promise<HttpResponse> {
    if (request.path === '/healthz' || request.path === '/readyz' || request.path === '/livez') return text(200, 'ok');
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
    return this.#onResource(
      request,
      this.#target(group, version, rest.split('/').map(decodeURIComponent), request.path),
    );
  }

  #authenticate({ headers }: HttpRequest): void {
    const given = Buffer.from(/^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '');
    const wanted = Buffer.from(this.#options.token);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new StatusError(401, 'Unauthorized');
  }

  #target(group: string, version: string, pieces: readonly string[], path: string): Target {
    let rest = pieces;
    let namespace: string | undefined;
    // `namespaces/NAME` and `namespaces/NAME/status` are about the namespace itself.
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

  async #onResource(request: HttpRequest, target: Target): Promise<HttpResponse> {
    const { resource, name } = target;
    const { method, query } = request;
    const warnings: string[] = resource.deprecationWarning === undefined ? [] : [resource.deprecationWarning];
    const answer = (status: number, object: ApiObject) =>
      withWarnings(this.#present(request, resource, status, object), warnings);
    if (name === undefined) {
      if (method === 'GET') return withWarnings(this.#collections.get(request, target), warnings);
      if (method === 'POST') {
        const options = this.#writeOptions(request, target, warnings);
        return answer(201, this.#objects.create(resource, target.namespace, readObject(request, resource), options));
      }
      if (method === 'DELETE') return this.#deleteCollection(request, target);
      throw methodNotAllowed(method, resource);
    }
    const options = this.#writeOptions(request, target, warnings);
    switch (method) {
      case 'GET':
        return answer(200, this.#objects.get(resource, target.namespace, name));
      case 'PUT':
        return answer(
          200,
          this.#objects.update(resource, target.namespace, name, readObject(request, resource), options),
        );
      case 'PATCH': {
        const { status, object } = this.#patch(request, target, options);
        return answer(status, object);
      }
      case 'DELETE': {
        const preconditions = deletePreconditions(request);
        const gone = this.#objects.delete(
          resource,
          target.namespace,
          name,
          preconditions,
          query.get('dryRun') !== null,
        );
        return json(200, gone);
      }
      default:
        throw methodNotAllowed(method, resource);
    }
  }

  #writeOptions({ query }: HttpRequest, { subresource }: Target, warnings: string[]): WriteOptions {
    // Without a wish we are strict: a client that does not check fields itself relies on us.
    const validation = query.get('fieldValidation') ?? 'Strict';
    return {
      subresource,
      dryRun: query.get('dryRun') !== null,
      validation,
      warn: (message) => void warnings.push(message),
    };
  }

  #patch(request: HttpRequest, target: Target, options: WriteOptions): { status: number; object: ApiObject } {
    const { resource, namespace, name } = target;
    const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim();
    if (type === 'application/apply-patch+yaml') return this.#apply(request, target, options);
    const body = parseBody(request);
    const change = (current: ApiObject): ApiObject => {
      switch (type) {
        case 'application/json-patch+json':
          return applyJsonPatch(current, body);
        case 'application/merge-patch+json':
          return applyMergePatch(current, body) as ApiObject;
        case 'application/strategic-merge-patch+json':
          if (resource.group.includes('.') && !resource.group.endsWith('.k8s.io')) {
            throw new StatusError(
              415,
              `strategic merge patch is not supported for ${resource.plural}.${resource.group}; use a merge patch`,
            );
          }
          return applyStrategicMergePatch(current, body);
        default:
          throw new StatusError(415, `the body of a PATCH cannot be of type "${type}"`);
      }
    };
    const current = this.#objects.get(resource, namespace, name!);
    return { status: 200, object: this.#objects.update(resource, namespace, name!, change(current), options) };
  }

  #apply(request: HttpRequest, target: Target, options: WriteOptions): { status: number; object: ApiObject } {
    const { resource, namespace, name, subresource } = target;
    const { query } = request;
    const manager = query.get('fieldManager');
    if (!manager) throw new StatusError(400, 'server-side apply needs the parameter fieldManager');
    const applied = readObject(request, resource);
    if (applied.metadata.name !== undefined && applied.metadata.name !== name) {
      throw new StatusError(400, `the name in the URL (${name}) and in the body (${applied.metadata.name}) differ`);
    }
    const how = {
      manager,
      force: query.get('force') === 'true',
      subresource,
      time: new Date(this.#options.now()).toISOString(),
    };
    const current = this.#objects.find(resource, namespace, name!);
    if (current === undefined) {
      const empty: ApiObject = { apiVersion: groupVersion(resource), kind: resource.kind, metadata: { name: name! } };
      const object = applyConfiguration(empty, { ...applied, metadata: { ...applied.metadata, name: name! } }, how);
      return { status: 201, object: this.#objects.create(resource, namespace, object, options) };
    }
    const object = this.#objects.update(resource, namespace, name!, applyConfiguration(current, applied, how), options);
    return { status: 200, object };
  }

  #deleteCollection(request: HttpRequest, { resource, namespace }: Target): HttpResponse {
    const matches = parseSelectors(request.query.get('labelSelector'), request.query.get('fieldSelector'));
    const doomed = this.#options.store.list(storeKey(resource), namespace).filter(matches);
    for (const { metadata } of doomed) this.#objects.delete(resource, metadata.namespace, metadata.name, {}, false);
    return json(200, listObject(resource, doomed, String(this.#options.store.version)));
  }

  #present(request: HttpRequest, resource: Resource, status: number, object: ApiObject): HttpResponse {
    const shown = inVersion(resource, object);
    if (request.method === 'GET' && wantsTable(request)) {
      return json(
        status,
        tableOf(request, resource, [shown], String(shown.metadata.resourceVersion), this.#options.now()),
      );
    }
    return json(status, shown);
  }
}

function parseBody({ body, headers }: HttpRequest): unknown {
  const type = headers['content-type'] ?? '';
  if (type.includes('vnd.kubernetes.protobuf')) return decodeProtobuf(body);
  if (type.includes('cbor')) throw new StatusError(415, `the embedded API reads JSON, YAML and protobuf, not ${type}`);
  try {
    return type.includes('yaml') ? parseYaml(body.toString()) : JSON.parse(body.toString());
  } catch (error) {
    throw new StatusError(400, `the request body cannot be read: ${(error as Error).message.split('\n')[0]}`);
  }
}

function readObject(request: HttpRequest, resource: Resource): ApiObject {
  const body = parseBody(request);
  if (!isObject(body)) throw new StatusError(400, 'the request body is no object');
  const { apiVersion = groupVersion(resource), kind = resource.kind, metadata } = body;
  if (kind !== resource.kind || apiVersion !== groupVersion(resource)) {
    throw new StatusError(
      400,
      `the request is for ${resource.kind} in version ${groupVersion(resource)}, its body holds ${kind} in version ${apiVersion}`,
    );
  }
  if (metadata !== undefined && !isObject(metadata)) throw new StatusError(400, 'metadata is no object');
  return { ...body, apiVersion, kind, metadata: { ...(metadata as ApiObject['metadata']) } };
}

function deletePreconditions(request: HttpRequest): { uid?: string; resourceVersion?: string } {
  if (request.body.length === 0) return {};
  const options = parseBody(request);
  return isObject(options) && isObject(options.preconditions) ? options.preconditions : {};
}

function openApi({ headers }: HttpRequest): HttpResponse {
  // Clients ask with an @, which is no legal media type; the real server answers with a dot in its place.
  const asked = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  if ((headers.accept ?? '').includes(asked)) {
    return { status: 200, headers: { 'content-type': asked.replace('@', '.') }, body: openApiV2Protobuf() };
  }
  return json(200, openApiV2());
}

function text(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain' }, body };
}

/** Warning headers (RFC 7234 §5.5, code 299), which kubectl prints. */
function withWarnings(response: HttpResponse, warnings: readonly string[]): HttpResponse {
  if (warnings.length === 0) return response;
  const quoted = warnings.map((message) => `299 - ${JSON.stringify(message.replace(/[^\x20-\x7e]/g, '?'))}`);
  return { ...response, headers: { ...response.headers, warning: quoted.join(', ') } };
}

function notServed(path: string): StatusError {
  return new StatusError(
    404,
    `the server could not find the requested resource (the embedded API does not serve ${path})`,
  );
}

function methodNotAllowed(method: string, resource: Resource): StatusError {
  return new StatusError(405, `${method} is not supported on ${resource.plural} here`);
}
