/**
 * The options of a write (meta/v1 CreateOptions, UpdateOptions, PatchOptions and DeleteOptions), rejected where a real API server rejects
 * them: silently ignoring an option such as dryRun would do what the client asked us not to do.
 * @module
 */
import type { HttpRequest } from '../../adapters/http/server.ts';
import { isObject } from '../../core/api/json.ts';
import type { DeleteOptions, WriteOptions } from '../rules/objects.ts';
import { invalid, type StatusCause, StatusError } from '../status.ts';
import { parseBody } from './request-body.ts';

const META = 'meta.k8s.io';
const DRY_RUN: readonly string[] = ['All'];
const FIELD_VALIDATION: readonly string[] = ['', 'Ignore', 'Strict', 'Warn'];
const PROPAGATION: readonly string[] = ['Foreground', 'Background', 'Orphan'];
const LONGEST_MANAGER = 128;

type Fault = StatusCause | undefined;

/** Throws 422 that lists every option with an unsupported value. */
export function createOptions(query: URLSearchParams, warn: WriteOptions['warn']): WriteOptions {
  return writeOptions('CreateOptions', query, undefined, warn, []);
}

/** Throws 422 that lists every option with an unsupported value. */
export function updateOptions(
  query: URLSearchParams,
  subresource: string | undefined,
  warn: WriteOptions['warn'],
): WriteOptions {
  return writeOptions('UpdateOptions', query, subresource, warn, []);
}

/** Throws 422 that lists every option with an unsupported value or not allowed for this type of patch. */
export function patchOptions(
  query: URLSearchParams,
  subresource: string | undefined,
  warn: WriteOptions['warn'],
  isApply: boolean,
): WriteOptions {
  const fault = isApply
    ? query.get('fieldManager')
      ? undefined
      : { field: 'fieldManager', message: 'Required value: is required for apply patch' }
    : query.has('force')
      ? { field: 'force', message: 'Forbidden: may not be specified for non-apply patch' }
      : undefined;
  return writeOptions('PatchOptions', query, subresource, warn, [fault]);
}

function writeOptions(
  kind: string,
  query: URLSearchParams,
  subresource: string | undefined,
  warn: WriteOptions['warn'],
  faults: readonly Fault[],
): WriteOptions {
  const dryRun = query.getAll('dryRun');
  // Strict by default: a client that does not validate fields itself relies on the server.
  const validation = query.get('fieldValidation') || 'Strict';
  const manager = query.get('fieldManager') ?? '';
  refuse(kind, [
    ...faults,
    manager.length > LONGEST_MANAGER
      ? { field: 'fieldManager', message: `Too long: may not be more than ${LONGEST_MANAGER} bytes` }
      : undefined,
    unsupported('dryRun', dryRun, DRY_RUN),
    unsupported('fieldValidation', [validation], FIELD_VALIDATION),
  ]);
  return { subresource, dryRun: dryRun.length > 0, validation, warn };
}

/** From the body or, if that is empty, from the query. Throws 400 for malformed options, 422 for unsupported values. */
export function deleteOptions(request: HttpRequest): DeleteOptions {
  const given = request.body.length > 0 ? parseBody(request) : fromQuery(request.query);
  if (!isObject(given)) throw new StatusError(400, 'the request body is not a DeleteOptions object');
  // JSON null means the same as absent.
  const dryRun = given.dryRun ?? [];
  const preconditions = given.preconditions ?? {};
  const orphanDependents = given.orphanDependents ?? undefined;
  const grace = given.gracePeriodSeconds ?? undefined;
  const policy = given.propagationPolicy ?? undefined;
  const isReadable =
    Array.isArray(dryRun) &&
    isObject(preconditions) &&
    (orphanDependents === undefined || typeof orphanDependents === 'boolean') &&
    (grace === undefined || Number.isSafeInteger(grace));
  if (!isReadable) throw new StatusError(400, 'the DeleteOptions are malformed: a field has the wrong type');
  refuse('DeleteOptions', [
    policy !== undefined && orphanDependents !== undefined
      ? {
          field: 'propagationPolicy',
          message: `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
        }
      : undefined,
    policy === undefined ? undefined : unsupported('propagationPolicy', [policy], PROPAGATION),
    unsupported('dryRun', dryRun, DRY_RUN),
  ]);
  return {
    dryRun: dryRun.length > 0,
    preconditions,
    propagation: orphanDependents ? 'Orphan' : ((policy as DeleteOptions['propagation']) ?? 'Background'),
  };
}

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const [policy, orphan, grace] = ['propagationPolicy', 'orphanDependents', 'gracePeriodSeconds'].map((name) =>
    query.get(name),
  );
  return {
    dryRun: query.getAll('dryRun'),
    ...(policy !== null && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: orphan === 'true' || orphan === '1' }),
    ...(grace !== null && { gracePeriodSeconds: grace === '' ? Number.NaN : Number(grace) }),
  };
}

function unsupported(field: string, given: readonly unknown[], supported: readonly string[]): Fault {
  const wrong = given.filter((value) => !(supported as readonly unknown[]).includes(value));
  if (wrong.length === 0) return undefined;
  const values = supported.map((value) => JSON.stringify(value)).join(', ');
  return { field, message: `Unsupported value: ${JSON.stringify(wrong[0])}: supported values: ${values}` };
}

function refuse(kind: string, faults: readonly Fault[]): void {
  const causes = faults.filter((fault) => fault !== undefined);
  if (causes.length > 0) throw invalid(kind, META, '', causes);
}
