/**
 * The Kubernetes API over HTTP: paths, verbs, media types, tables and watches.
 * @module
 */
import { timingSafeEqual } from 'node:crypto';
import { parseYaml } from '../../../adapters/files/yaml.ts';
import type { HttpRequest, HttpResponse } from '../../../adapters/http/server.ts';
import { applyConfiguration } from './apply.ts';
import { toTable } from './columns.ts';
import { apiGroup, apiVersions, groupList, openApiV2, openApiV2Protobuf, resourceList, VERSION } from './discovery.ts';
import { Objects, type WriteOptions } from './objects.ts';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch, isObject } from './patch.ts';
import { decodeProtobuf } from './protobuf.ts';
import { type Matcher, parseSelectors } from './query-selectors.ts';
import type { Registry } from './registry.ts';
import { groupVersion, type Resource, storeKey } from './resource.ts';
import { StatusError } from './status.ts';
import type { ApiObject, Store, StoredChange } from './store.ts';

export interface ApiOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** Clients have to present this as a bearer token. */
  readonly token: string;
  /** Milliseconds between bookmarks on a watch that asks for them. */
  readonly bookmarkInterval?: number;
  readonly now?: () => number;
}

interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** A list cut into pages keeps its snapshot for this long, in milliseconds. */
const PAGE_LIFETIME = 5 * 60_000;

export class KubernetesApi {
  readonly #options: Required<ApiOptions>;
  readonly #objects: Objects;
  readonly #pages = new Map<
    string,
    { readonly objects: readonly ApiObject[]; readonly version: string; readonly until: number }
  >();
  readonly #watches = new Set<AbortController>();
  #nextPage = 1;

  constructor(options: ApiOptions) {
    this.#options = { bookmarkInterval: 30_000, now: Date.now, ...options };
    this.#objects = new Objects(this.#options.store, this.#options.registry, this.#options.now);
  }

  /** Writes as the API server itself does it, for what has to be there from the start. */
  get objects(): Objects {
    return this.#objects;
  }

  /** Ends every open watch, as a server does that shuts down. */
  close(): void {
    for (const watch of this.#watches) watch.abort();
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
      if (method === 'GET') return withWarnings(this.#list(request, target), warnings);
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

  #list(request: HttpRequest, target: Target): HttpResponse {
    const { resource, namespace } = target;
    const { query } = request;
    const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
    if (query.get('watch') === 'true' || query.get('watch') === '1') return this.#watch(request, target, matches);
    const { objects, version, more, remaining } = this.#page(request, () =>
      this.#options.store
        .list(storeKey(resource), namespace)
        .filter(matches)
        .map((object) => inVersion(resource, object)),
    );
    if (wantsTable(request)) {
      const table = toTable(
        resource,
        objects,
        version,
        query.get('includeObject') ?? 'Metadata',
        this.#options.now(),
      ) as { metadata: object };
      return json(
        200,
        more === undefined
          ? table
          : { ...table, metadata: { ...table.metadata, continue: more, remainingItemCount: remaining } },
      );
    }
    return json(200, listObject(resource, objects, version, more, remaining));
  }

  #page(request: HttpRequest, listAll: () => ApiObject[]) {
    const limit = Number(request.query.get('limit') ?? 0);
    const token = request.query.get('continue');
    const now = this.#options.now();
    for (const [key, { until }] of this.#pages) if (until < now) this.#pages.delete(key);
    const snapshot = token ? this.#pages.get(token) : undefined;
    if (token && snapshot === undefined) {
      throw new StatusError(
        410,
        'The provided continue parameter is too old to display a consistent list result. Start a new list without it.',
        {},
        'Expired',
      );
    }
    const all = snapshot?.objects ?? listAll();
    const version = snapshot?.version ?? String(this.#options.store.version);
    if (token) this.#pages.delete(token);
    if (!(limit > 0) || all.length <= limit) return { objects: all, version };
    const more = `page-${this.#nextPage++}-${Math.random().toString(36).slice(2)}`;
    this.#pages.set(more, { objects: all.slice(limit), version, until: now + PAGE_LIFETIME });
    return { objects: all.slice(0, limit), version, more, remaining: all.length - limit };
  }

  #watch(request: HttpRequest, { resource, namespace, name }: Target, matches: Matcher): HttpResponse {
    const { query } = request;
    const { store, bookmarkInterval, now } = this.#options;
    const key = storeKey(resource);
    const asTable = wantsTable(request);
    const include = query.get('includeObject') ?? 'Metadata';
    const line = (type: string, object: ApiObject) => {
      const shown = inVersion(resource, object);
      const body = asTable ? toTable(resource, [shown], String(shown.metadata.resourceVersion), include, now()) : shown;
      return `${JSON.stringify({ type, object: body })}\n`;
    };
    const since = query.get('resourceVersion');
    const fromNow = since === null || since === '' || since === '0';
    const sees = (object: ApiObject | undefined) =>
      object !== undefined &&
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (name === undefined || object.metadata.name === name) &&
      matches(object);
    const start = fromNow ? store.version : Number(since);
    if (!Number.isSafeInteger(start))
      throw new StatusError(400, `Invalid value: ${JSON.stringify(since)}: resourceVersion is no number`);
    const expired = this.#expired(start);
    const stream = async (write: (chunk: string) => void, signal: AbortSignal): Promise<void> => {
      if (expired !== undefined) {
        write(`${JSON.stringify({ type: 'ERROR', object: expired.toObject() })}\n`);
        return;
      }
      if (fromNow) for (const object of store.list(key, namespace)) if (sees(object)) write(line('ADDED', object));
      const onChange = (change: StoredChange) => {
        if (change.resource !== key) return;
        const before = sees(change.previous);
        const after = change.type !== 'DELETED' && sees(change.object);
        const type = after ? (before ? 'MODIFIED' : 'ADDED') : before ? 'DELETED' : undefined;
        if (type !== undefined) write(line(type, change.object));
      };
      const stop = store.follow(start, onChange);
      const bookmark = () => {
        const metadata = { resourceVersion: String(store.version), name: '' };
        const object: ApiObject = { kind: resource.kind, apiVersion: groupVersion(resource), metadata };
        const body = asTable ? { ...toTable(resource, [], metadata.resourceVersion, include, now()) } : object;
        write(`${JSON.stringify({ type: 'BOOKMARK', object: body })}\n`);
      };
      const bookmarks =
        query.get('allowWatchBookmarks') === 'true' ? setInterval(bookmark, bookmarkInterval) : undefined;
      const own = new AbortController();
      this.#watches.add(own);
      const seconds = Number(query.get('timeoutSeconds') ?? 0);
      await ended(seconds > 0 ? seconds * 1000 : 30 * 60_000, signal, own.signal);
      this.#watches.delete(own);
      clearInterval(bookmarks);
      stop();
    };
    return { status: 200, headers: { 'content-type': asTable ? TABLE : 'application/json' }, stream };
  }

  #expired(start: number): StatusError | undefined {
    try {
      this.#options.store.follow(start, () => {})();
      return undefined;
    } catch (error) {
      return error as StatusError;
    }
  }

  #present(request: HttpRequest, resource: Resource, status: number, object: ApiObject): HttpResponse {
    const shown = inVersion(resource, object);
    if (request.method === 'GET' && wantsTable(request)) {
      const include = request.query.get('includeObject') ?? 'Metadata';
      return json(
        status,
        toTable(resource, [shown], String(shown.metadata.resourceVersion), include, this.#options.now()),
      );
    }
    return json(status, shown);
  }
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

function wantsTable({ headers }: HttpRequest): boolean {
  return /as=Table;v=v1;g=meta\.k8s\.io/.test((headers.accept ?? '').replaceAll(' ', ''));
}

/** Versions of one kind share their objects; only the label differs here (real conversion is a webhook's task). */
function inVersion(resource: Resource, object: ApiObject): ApiObject {
  const apiVersion = groupVersion(resource);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

function listObject(
  resource: Resource,
  items: readonly ApiObject[],
  resourceVersion: string,
  more?: string,
  remaining?: number,
): object {
  const metadata = { resourceVersion, ...(more !== undefined && { continue: more, remainingItemCount: remaining }) };
  return { kind: `${resource.kind}List`, apiVersion: groupVersion(resource), metadata, items };
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

function json(status: number, value: object): HttpResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
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

function ended(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((signal) => signal.aborted)) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    for (const signal of signals) {
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    }
  });
}
