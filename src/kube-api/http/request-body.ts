/**
 * Request bodies in the media types that clients send.
 * @module
 */

import { firstLine } from '../../adapters/errors.ts';
import { parseYaml } from '../../adapters/files/yaml.ts';
import type { HttpRequest } from '../../adapters/http/server.ts';
import { isObject } from '../../core/api/json.ts';
import { groupVersion, type Resource } from '../rules/resource.ts';
import { StatusError } from '../status.ts';
import type { ApiObject } from '../storage/store.ts';
import { decodeProtobuf } from './protobuf.ts';

/** Throws 400 for a malformed body, 415 for a media type that is not supported. */
export function parseBody({ body, headers }: HttpRequest): unknown {
  const type = headers['content-type'] ?? '';
  if (type.includes('vnd.kubernetes.protobuf')) return decodeProtobuf(body);
  if (type.includes('cbor')) throw new StatusError(415, `the embedded API reads JSON, YAML and protobuf, not ${type}`);
  try {
    return type.includes('yaml') ? parseYaml(body.toString()) : JSON.parse(body.toString());
  } catch (error) {
    throw new StatusError(400, `the request body cannot be parsed: ${firstLine(error)}`);
  }
}

/** The object of a create, update or apply. Throws 400 when its kind or version is not the one in the path. */
export function readObject(request: HttpRequest, resource: Resource): ApiObject {
  const body = parseBody(request);
  if (!isObject(body)) throw new StatusError(400, 'the request body is not an object');
  const { apiVersion = groupVersion(resource), kind = resource.kind, metadata } = body;
  if (kind !== resource.kind || apiVersion !== groupVersion(resource)) {
    throw new StatusError(
      400,
      `the request is for ${resource.kind} in version ${groupVersion(resource)}, but its body contains ${kind} in version ${apiVersion}`,
    );
  }
  if (metadata !== undefined && !isObject(metadata)) throw new StatusError(400, 'metadata is not an object');
  return { ...body, apiVersion, kind, metadata: { ...(metadata as ApiObject['metadata']) } };
}
