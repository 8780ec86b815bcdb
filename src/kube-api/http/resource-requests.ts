/**
 * The verbs of the API on one resource: get, list, watch, create, update, patch, apply, delete and deletecollection.
 * @module
 */
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { timestamp } from '../../adapters/kubernetes/timestamp.ts';
import { mergePatch } from '../../core/api/merge-patch.ts';
import { applyConfiguration } from '../patch/apply.ts';
import { jsonPatched } from '../patch/json-patch.ts';
import { applyStrategicMergePatch } from '../patch/patch.ts';
import type { Objects, WriteOptions } from '../rules/objects.ts';
import { groupVersion, inVersion, type Resource, storeKey } from '../rules/resource.ts';
import { StatusError } from '../status.ts';
import { parseSelectors } from '../storage/query-selectors.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import { Collections } from './collections.ts';
import { json, listObject, tableOf, wantsTable } from './representation.ts';
import { parseBody, readObject } from './request-body.ts';
import { createOptions, deleteOptions, patchOptions, updateOptions } from './request-options.ts';
import type { Target } from './target.ts';

/** A target that names an object. */
type ObjectTarget = Target & { readonly name: string };

interface Answer {
  readonly status: number;
  readonly object: ApiObject;
}

const APPLY = 'application/apply-patch+yaml';

export class ResourceRequests {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #collections: Collections;
  readonly #now: () => number;

  constructor(
    objects: Objects,
    options: { readonly store: Store; readonly bookmarkInterval: number; readonly now: () => number },
  ) {
    this.#store = options.store;
    this.#objects = objects;
    this.#collections = new Collections(options);
    this.#now = options.now;
  }

  /** Ends every open watch. */
  close(): void {
    this.#collections.close();
  }

  /** Throws StatusError. */
  handle(request: HttpRequest, target: Target): HttpResponse {
    const { resource, name } = target;
    const warnings: string[] = resource.deprecationWarning === undefined ? [] : [resource.deprecationWarning];
    const warn = (message: string) => void warnings.push(message);
    const response =
      name === undefined
        ? this.#onCollection(request, target, warn)
        : this.#onObject(request, { ...target, name }, warn);
    return withWarnings(response, warnings);
  }

  #onCollection(request: HttpRequest, target: Target, warn: WriteOptions['warn']): HttpResponse {
    const { resource, namespace } = target;
    switch (request.method) {
      case 'GET':
        return this.#collections.get(request, target);
      case 'POST': {
        const options = createOptions(request.query, warn);
        const object = this.#objects.create(resource, namespace, readObject(request, resource), options);
        return this.#present(request, resource, { status: 201, object });
      }
      case 'DELETE':
        return this.#deleteCollection(request, target);
      default:
        throw methodNotAllowed(request.method, resource);
    }
  }

  #onObject(request: HttpRequest, target: ObjectTarget, warn: WriteOptions['warn']): HttpResponse {
    const { resource, namespace, name, subresource } = target;
    switch (request.method) {
      case 'GET':
        return this.#present(request, resource, { status: 200, object: this.#objects.get(resource, namespace, name) });
      case 'PUT': {
        const options = updateOptions(request.query, subresource, warn);
        const object = this.#objects.update(resource, namespace, name, readObject(request, resource), options);
        return this.#present(request, resource, { status: 200, object });
      }
      case 'PATCH':
        return this.#present(request, resource, this.#patch(request, target, warn));
      case 'DELETE':
        if (subresource !== undefined) throw methodNotAllowed(`DELETE of ${subresource}`, resource);
        return json(200, this.#objects.delete(resource, namespace, name, deleteOptions(request)));
      default:
        throw methodNotAllowed(request.method, resource);
    }
  }

  #patch(request: HttpRequest, target: ObjectTarget, warn: WriteOptions['warn']): Answer {
    const { resource, namespace, name, subresource } = target;
    const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim();
    const options = patchOptions(request.query, subresource, warn, type === APPLY);
    if (type === APPLY) return this.#apply(request, target, options);
    const current = this.#objects.get(resource, namespace, name);
    const changed = patched(type, resource, current, parseBody(request));
    return { status: 200, object: this.#objects.update(resource, namespace, name, changed, options) };
  }

  #apply(request: HttpRequest, target: ObjectTarget, options: WriteOptions): Answer {
    const { resource, namespace, name, subresource } = target;
    const applied = readObject(request, resource);
    if (applied.metadata.name !== undefined && applied.metadata.name !== name) {
      throw new StatusError(400, `the name in the URL (${name}) and in the body (${applied.metadata.name}) differ`);
    }
    const how = {
      manager: request.query.get('fieldManager')!,
      force: request.query.get('force') === 'true',
      subresource,
      time: timestamp(this.#now()),
    };
    const current = this.#objects.find(resource, namespace, name);
    if (current !== undefined) {
      const changed = applyConfiguration(current, applied, how);
      return { status: 200, object: this.#objects.update(resource, namespace, name, changed, options) };
    }
    // Apply creates a missing object, but not through a subresource.
    if (subresource !== undefined) this.#objects.get(resource, namespace, name);
    const empty: ApiObject = { apiVersion: groupVersion(resource), kind: resource.kind, metadata: { name } };
    const object = applyConfiguration(empty, { ...applied, metadata: { ...applied.metadata, name } }, how);
    return { status: 201, object: this.#objects.create(resource, namespace, object, options) };
  }

  /** Returns the deleted objects. With a limit only the first page is deleted, as on a real API server. */
  #deleteCollection(request: HttpRequest, { resource, namespace }: Target): HttpResponse {
    const { query } = request;
    const options = deleteOptions(request);
    const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
    const limit = Number(query.get('limit') ?? 0);
    const selected = this.#store.list(storeKey(resource), namespace).filter(matches);
    const doomed = limit > 0 ? selected.slice(0, limit) : selected;
    for (const { metadata } of doomed) {
      // The deletion of its owner may have removed it by now.
      if (this.#objects.find(resource, metadata.namespace, metadata.name) !== undefined)
        this.#objects.delete(resource, metadata.namespace, metadata.name, options);
    }
    const items = doomed.map((object) => inVersion(resource, object));
    return json(200, listObject(resource, items, String(this.#store.version)));
  }

  #present(request: HttpRequest, resource: Resource, { status, object }: Answer): HttpResponse {
    const shown = inVersion(resource, object);
    if (request.method !== 'GET' || !wantsTable(request)) return json(status, shown);
    return json(status, tableOf(request, resource, [shown], String(shown.metadata.resourceVersion), this.#now()));
  }
}

function patched(type: string, resource: Resource, current: ApiObject, body: unknown): ApiObject {
  switch (type) {
    case 'application/json-patch+json':
      return jsonPatched(current, body) as ApiObject;
    case 'application/merge-patch+json':
      return mergePatch(current, body) as ApiObject;
    case 'application/strategic-merge-patch+json':
      if (resource.group.includes('.') && !resource.group.endsWith('.k8s.io')) {
        throw new StatusError(
          415,
          `strategic merge patch is not supported for ${resource.plural}.${resource.group}; use a merge patch`,
        );
      }
      return applyStrategicMergePatch(current, body);
    default:
      throw new StatusError(415, `the media type "${type}" is not supported for a PATCH`);
  }
}

/** Warning headers (RFC 7234 §5.5, code 299), which kubectl prints. */
function withWarnings(response: HttpResponse, warnings: readonly string[]): HttpResponse {
  if (warnings.length === 0) return response;
  const quoted = warnings.map((message) => `299 - ${JSON.stringify(message.replace(/[^\x20-\x7e]/g, '?'))}`);
  return { ...response, headers: { ...response.headers, warning: quoted.join(', ') } };
}

function methodNotAllowed(method: string, resource: Resource): StatusError {
  return new StatusError(405, `${method} is not supported on ${resource.plural} here`);
}
