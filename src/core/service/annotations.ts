/**
 * What users ask for by annotations on a Service, under the present and the old prefix (docs/behaviour/allocation.md#annotations).
 * @module
 */
import { type AnnotationOn, annotation, OLD_PREFIX } from '../api/annotations.ts';
import type { Service } from '../api/kubernetes.ts';

type UserAnnotation = Exclude<AnnotationOn<'Service'>, 'ip-allocated-from-pool'>;

/** The value under the present prefix, else under the old one; presence decides, so an empty new value hides an old one. */
export function userAnnotation(service: Service, name: UserAnnotation): string | undefined {
  const annotations = service.metadata.annotations ?? {};
  return annotations[annotation(name)] ?? annotations[OLD_PREFIX + name];
}

/** Which key of the two the user wrote, to be named in messages. */
export function annotationKey(service: Service, name: UserAnnotation): string {
  return annotation(name) in (service.metadata.annotations ?? {}) ? annotation(name) : OLD_PREFIX + name;
}
