/**
 * How objects are returned: as single objects, lists or tables.
 * @module
 */
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { groupVersion, type Resource } from '../rules/resource.ts';
import type { ApiObject } from '../storage/store.ts';

/** Media type of a table. */
export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

export function wantsTable({ headers }: HttpRequest): boolean {
  return /as=Table;v=v1;g=meta\.k8s\.io/.test((headers.accept ?? '').replaceAll(' ', ''));
}

/**
 * A meta/v1 Table with as much of each object as the client asks for (includeObject: None, Metadata or Object). `now` is in
 * milliseconds since 1970.
 */
export function tableOf(
  request: HttpRequest,
  { columns }: Resource,
  objects: readonly ApiObject[],
  version: string,
  now: number,
): { metadata: object } {
  const include = request.query.get('includeObject') ?? 'Metadata';
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: version },
    columnDefinitions: columns.map(({ name: title, type = 'string', priority = 0 }) => ({
      name: title,
      type: type === 'date' ? 'string' : type,
      format: title === 'Name' ? 'name' : '',
      description: '',
      priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map(({ value }) => value(object, now)),
      object:
        include === 'Object'
          ? object
          : { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
    })),
  } as { metadata: object };
}

export function listObject(
  resource: Resource,
  items: readonly ApiObject[],
  resourceVersion: string,
  more?: string,
  remaining?: number,
): object {
  const metadata = { resourceVersion, ...(more !== undefined && { continue: more, remainingItemCount: remaining }) };
  return { kind: `${resource.kind}List`, apiVersion: groupVersion(resource), metadata, items };
}

export function json(status: number, value: object): HttpResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}
