/**
 * Rules for the metadata of every kind.
 * @module
 */
import { checkBuiltin } from '../../adapters/kubernetes/builtin-schema.ts';
import { isObject } from '../../core/api/json.ts';
import { StatusError } from '../status.ts';
import type { ApiObject } from '../storage/store.ts';
import { invalid, labelFault, qualifiedName } from './names.ts';

/** Finalizers without a slash that Kubernetes itself has. */
const STANDARD_FINALIZERS: readonly string[] = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** The most bytes of all annotations together. */
const MOST_ANNOTATIONS = 256 * 1024;

/** The object without null fields in its metadata. Throws 400 if it has no metadata, or if fields of it are of a wrong type. */
export function wellFormed(kind: string, object: unknown): ApiObject {
  const refuse = (why: string) => new StatusError(400, `this cannot be handled as a ${kind}: ${why}`);
  if (!isObject(object)) throw refuse('it is not an object');
  if (!isObject(object.metadata)) throw refuse('metadata is not an object');
  const metadata = Object.fromEntries(Object.entries(object.metadata).filter(([, value]) => value !== null));
  const fault = checkBuiltin('V1ObjectMeta', metadata)?.find(({ unknown }) => !unknown);
  if (fault !== undefined) throw refuse(`metadata.${fault.message}`);
  return { ...object, metadata } as ApiObject;
}

/** Reports labels, annotations and finalizers that no object can have. `isCustom`: finalizers need no slash there. */
export function metadataFaults(
  { labels, annotations, finalizers = [] }: ApiObject['metadata'],
  isCustom: boolean,
  fault: (field: string, message: string) => void,
): void {
  const wrongLabel = labelFault(labels);
  if (wrongLabel !== undefined) fault('metadata.labels', wrongLabel);
  const entries = Object.entries(annotations ?? {});
  for (const [key] of entries) {
    const wrong = qualifiedName(key.toLowerCase());
    if (wrong !== undefined) fault('metadata.annotations', wrong);
  }
  const size = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  if (size > MOST_ANNOTATIONS)
    fault('metadata.annotations', `Too long: may not be more than ${MOST_ANNOTATIONS} bytes`);
  for (const [i, name] of finalizers.entries()) {
    const wrong = qualifiedName(name);
    if (wrong !== undefined) fault('metadata.finalizers', wrong);
    else if (!isCustom && !name.includes('/') && !STANDARD_FINALIZERS.includes(name))
      fault(
        `metadata.finalizers[${i}]`,
        invalid(name, 'name is neither a standard finalizer name nor is it fully qualified'),
      );
  }
}
