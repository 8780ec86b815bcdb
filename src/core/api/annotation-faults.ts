/**
 * Annotations that look as if they were for us and do not do what their writer expects: misspelt, on the wrong kind, old, or hidden.
 * @module
 */
import { ANNOTATION_PREFIX, ANNOTATIONS, type AnnotatedKind, OLD_PREFIX } from './annotations.ts';
import type { ObjectMeta } from './kubernetes.ts';

/** `key` is what stands on the object, other keys are whole names with their prefix. */
export type AnnotationFault = { readonly key: string } & (
  | { readonly kind: 'deprecated'; readonly use: string }
  /** Of the two prefixes the present one counts, and it is there too. */
  | { readonly kind: 'hidden'; readonly by: string }
  /** Left by a controller before 0.13. */
  | { readonly kind: 'left-over' }
  | { readonly kind: 'other-kind'; readonly on: AnnotatedKind }
  /** `near`: what may have been meant; else what there is on the kind. */
  | { readonly kind: 'unknown'; readonly near: string | undefined; readonly known: readonly string[] }
  /** A label by the name of an annotation. */
  | { readonly kind: 'label' }
);

/** What is wrong with the annotations of an object, by their keys. `kind` need not be one that has annotations of ours. */
export function annotationFaults(kind: string, { annotations = {}, labels = {} }: ObjectMeta): AnnotationFault[] {
  return [
    ...Object.keys(annotations)
      .sort()
      .flatMap((key) => faultOf(kind, key, annotations) ?? []),
    ...Object.keys(labels)
      .sort()
      .filter((key) => isWritable(kind, key) && !Object.hasOwn(annotations, key))
      .map((key): AnnotationFault => ({ kind: 'label', key })),
  ];
}

function faultOf(kind: string, key: string, all: Readonly<Record<string, string>>): AnnotationFault | undefined {
  const [prefix, name] = split(key);
  if (prefix === ANNOTATION_PREFIX && ownAnnotation(name) !== undefined) {
    const { on } = ownAnnotation(name)!;
    return on === kind ? undefined : { kind: 'other-kind', key, on };
  }
  if (prefix === OLD_PREFIX && kind === 'Service' && ownAnnotation(name)?.on === kind) {
    if (!isWritable(kind, key)) return { kind: 'left-over', key };
    const use = ANNOTATION_PREFIX + name;
    return Object.hasOwn(all, use) ? { kind: 'hidden', key, by: use } : { kind: 'deprecated', key, use };
  }
  const near = nearestName(kind, name);
  const isOurs = prefix === ANNOTATION_PREFIX || prefix === OLD_PREFIX;
  if (!isOurs && (!isNearPrefix(prefix) || near === undefined || plain(near) !== plain(name))) return undefined;
  const whole = (known: string) => ANNOTATION_PREFIX + known;
  return { kind: 'unknown', key, near: near && whole(near), known: writableNames(kind).map(whole) };
}

/** The prefix with its slash, and the rest. */
function split(key: string): [prefix: string, name: string] {
  const end = key.indexOf('/') + 1;
  return [key.slice(0, end), key.slice(end)];
}

function ownAnnotation(name: string): { readonly on: AnnotatedKind; readonly writtenByUs?: true } | undefined {
  return Object.hasOwn(ANNOTATIONS, name) ? ANNOTATIONS[name as keyof typeof ANNOTATIONS] : undefined;
}

/** True for annotations of the kind that its users write, under either prefix. */
function isWritable(kind: string, key: string): boolean {
  const [prefix, name] = split(key);
  const isOurs = prefix === ANNOTATION_PREFIX || (prefix === OLD_PREFIX && kind === 'Service');
  return isOurs && writableNames(kind).includes(name);
}

function writableNames(kind: string): string[] {
  return Object.keys(ANNOTATIONS).filter(
    (name) => ownAnnotation(name)!.on === kind && !ownAnnotation(name)!.writtenByUs,
  );
}

/** A third of its letters may be wrong, or a word of it missing. */
function nearestName(kind: string, name: string): string | undefined {
  const wrong = plain(name);
  const candidates = writableNames(kind)
    .map((known) => ({ known, letters: plain(known) }))
    .map((candidate) => ({ ...candidate, distance: editDistance(wrong, candidate.letters) }))
    .sort((a, b) => a.distance - b.distance);
  const close = candidates.find(({ letters, distance }) => distance <= Math.floor(letters.length / 3));
  const part = candidates.find(
    ({ letters }) => wrong.length > 3 && (letters.includes(wrong) || wrong.includes(letters)),
  );
  return (close ?? part)?.known;
}

function isNearPrefix(prefix: string): boolean {
  const lower = prefix.toLowerCase();
  return [ANNOTATION_PREFIX, OLD_PREFIX].some(
    (ours) => Math.abs(ours.length - lower.length) <= 2 && editDistance(ours, lower) <= 2,
  );
}

/** Kubernetes' limit for names of annotations; manifests that no server has seen may have longer ones. */
const LONGEST = 63;

/** Without case and hyphens. */
function plain(name: string): string {
  return name
    .slice(0, LONGEST)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');
}

/** Insertions, deletions, replacements and swaps of neighbours that make one text of the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? beforeLast[j - 2]! + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, replaced, swapped));
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}
