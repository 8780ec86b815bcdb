/**
 * The words for annotations that do not do what their writer expects.
 * @module
 */
import { type AnnotationFault, annotationFaults } from '../api/annotation-faults.ts';
import type { Service } from '../api/kubernetes.ts';
import type { EventNote } from './reasons.ts';

/** One sentence: which annotation, what is wrong, what would help. */
export function describeAnnotationFault(fault: AnnotationFault): string {
  const subject = `annotation ${fault.key}`;
  switch (fault.kind) {
    case 'deprecated':
      return `${subject} still works, but is deprecated; use ${fault.use}`;
    case 'hidden':
      return `${subject} is not looked at, because ${fault.by} is there too; remove it`;
    case 'left-over':
      return `${subject} is not looked at: it was written by MetalLB before 0.13; remove it`;
    case 'other-kind':
      return `${subject} is not looked at: it belongs on a ${fault.on}; move it there`;
    case 'label':
      return `label ${fault.key} requests nothing: we read an annotation of that name; move it to metadata.annotations`;
    case 'unknown':
      if (fault.near !== undefined) return `${subject} is no annotation of ours; did you mean ${fault.near}?`;
      return `${subject} is no annotation of ours; ${
        fault.known.length === 0 ? 'there are none on this kind' : `there are ${fault.known.join(', ')}`
      }`;
  }
}

/** Upstream has one reason for every annotation of its own under the old prefix. */
const OLD_FAULTS: ReadonlySet<AnnotationFault['kind']> = new Set(['deprecated', 'hidden', 'left-over']);

/** One Warning for each fault in the annotations of a Service. */
export function annotationNotes({ metadata }: Service): EventNote[] {
  return annotationFaults('Service', metadata).map((fault) => ({
    reason: OLD_FAULTS.has(fault.kind) ? 'deprecatedAnnotation' : 'unknownAnnotation',
    message: describeAnnotationFault(fault),
  }));
}
