/**
 * What is wrong with an object that a user wrote, in the words that reach the user.
 * @module
 */
import { own } from './json.ts';
import { quoted } from './text.ts';

/** Names one object of the API. `namespace` is absent for cluster-scoped kinds. */
export interface ObjectReference {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** One fault: where it is, what stands there, why it is wrong and what would be right. */
export interface Problem {
  readonly object: ObjectReference;
  /** Path from the object's root, for example `spec.addresses[0]`. */
  readonly field: string;
  /** What stands there, as the user wrote it. */
  readonly value: string;
  readonly message: string;
  readonly cure: string;
  /** What becomes of the object until it is mended; absent while it is only being checked. */
  readonly consequence?: string;
  /** It is another object that is missing, and that may come yet: no reason to refuse this one at admission. */
  readonly transient?: true;
}

/** `Kind namespace/name`, or `Kind name` for cluster-scoped kinds. */
export function formatReference(object: ObjectReference): string {
  return object.namespace === undefined
    ? `${object.kind} ${object.name}`
    : `${object.kind} ${object.namespace}/${object.name}`;
}

/** One line without the object, as it is shown on the object itself. */
export function formatFault({ field, value, message, cure, consequence }: Problem): string {
  return `${field}: ${quoted(value)}: ${message}; ${cure}${consequence === undefined ? '' : ` (${consequence})`}`;
}

/** One line with everything. */
export function formatProblem(problem: Problem): string {
  return `${formatReference(problem.object)}: ${formatFault(problem)}`;
}

/** Joins path pieces the way Kubernetes writes field paths. */
export function fieldPath(pieces: readonly PropertyKey[]): string {
  return pieces.reduce<string>(
    (path, piece) =>
      typeof piece === 'number' ? `${path}[${piece}]` : path === '' ? String(piece) : `${path}.${String(piece)}`,
    '',
  );
}

/** How the value at a path is shown in a Problem: absent ones as the empty string, passwords never. */
export function showValueAt(root: unknown, path: readonly PropertyKey[]): string {
  if (path.includes('password')) return '(not shown)';
  let value = root;
  for (const piece of path) value = own(value as Record<string, unknown> | undefined, String(piece));
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}
