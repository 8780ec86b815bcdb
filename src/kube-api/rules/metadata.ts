/**
 * Rules for the metadata of every kind.
 * @module
 */
import type { ApiObject } from '../storage/store.ts';
import { invalid, labelFault, qualifiedName } from './names.ts';

/** Finalizers without a slash that Kubernetes itself has. */
const STANDARD_FINALIZERS: readonly string[] = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** The most bytes of all annotations together. */
const MOST_ANNOTATIONS = 256 * 1024;

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
