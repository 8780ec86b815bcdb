/**
 * The annotations that users set on a Service, under the current and the old prefix (docs/behaviour/allocation.md#annotations).
 * @module
 */
import { type AnnotationOn, annotation, OLD_PREFIX } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';

type UserAnnotation = Exclude<AnnotationOn<'Service'>, 'ip-allocated-from-pool'>;

/** The value under the current prefix, or else under the old one. An empty value counts as present and hides the old one. */
export function userAnnotation(service: Service, name: UserAnnotation): string | undefined {
  const annotations = service.metadata.annotations ?? {};
  return annotations[annotation(name)] ?? annotations[OLD_PREFIX + name];
}

/** The key that the user wrote, for messages. */
export function annotationKey(service: Service, name: UserAnnotation): string {
  return annotation(name) in (service.metadata.annotations ?? {}) ? annotation(name) : OLD_PREFIX + name;
}
