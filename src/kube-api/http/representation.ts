/**
 * How objects go out: one by one, as lists, or as tables.
 * @module
 */
import type { HttpRequest, HttpResponse } from '../../adapters/http/server.ts';
import { groupVersion, type Resource } from '../rules/resource.ts';
import type { ApiObject } from '../storage/store.ts';
import { toTable } from './columns.ts';

/** Media type of a table. */
export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

export function wantsTable({ headers }: HttpRequest): boolean {
  return /as=Table;v=v1;g=meta\.k8s\.io/.test((headers.accept ?? '').replaceAll(' ', ''));
}

/** A table with as much of each object as the client asks for. */
export function tableOf(
  request: HttpRequest,
  resource: Resource,
  objects: readonly ApiObject[],
  version: string,
  now: number,
): { metadata: object } {
  const include = request.query.get('includeObject') ?? 'Metadata';
  return toTable(resource, objects, version, include, now) as { metadata: object };
}

/** Versions of one kind share their objects. */
export function inVersion(resource: Resource, object: ApiObject): ApiObject {
  const apiVersion = groupVersion(resource);
  if (object.apiVersion === apiVersion) return object;
  return resource.conversion?.convert(object, apiVersion) ?? { ...object, apiVersion };
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
