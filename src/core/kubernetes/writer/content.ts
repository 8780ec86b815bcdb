/**
 * The part of an object that we manage, as text to compare.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import type { DesiredObject, Labels, OwnerReference } from './messages.ts';

/** Object and status, which are written by separate requests. */
export interface Content {
  readonly main: string;
  readonly status: string;
}

type AnyObject = KubernetesObject & Readonly<Record<string, unknown>>;

/** The part of `object` that `desired` covers: the same labels, the owner, and each top-level field such as spec. */
export function contentOf(
  object: KubernetesObject,
  desired: DesiredObject,
  owner: OwnerReference | undefined,
): Content {
  const { apiVersion: _, kind: __, metadata, status, ...fields } = desired;
  const { labels = {}, ownerReferences = [] } = object.metadata as AnyObject['metadata'] & {
    readonly ownerReferences?: readonly OwnerReference[];
  };
  const main = {
    labels: Object.fromEntries(Object.keys(metadata.labels ?? {}).map((key) => [key, labels[key]])),
    isOwned: owner === undefined || ownerReferences.some(({ uid }) => uid === owner.uid),
    fields: Object.fromEntries(Object.keys(fields).map((key) => [key, (object as AnyObject)[key]])),
  };
  return {
    main: canonical(main),
    status: status === undefined ? '' : canonical((object as AnyObject).status),
  };
}

/** The content that `desired` asks for. */
export function wantedContent(desired: DesiredObject, owner: OwnerReference | undefined): Content {
  const metadata = { ...desired.metadata, ...(owner !== undefined && { ownerReferences: [owner] }) };
  return contentOf({ ...desired, metadata }, desired, owner);
}

export function carries({ metadata }: KubernetesObject, labels: Labels): boolean {
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

/** True when resourceVersion `version` is older than `known`. Only decimal numbers can be compared. */
export function isOlder(version: string | undefined, known: string | undefined): boolean {
  return areNumbers(version, known) && BigInt(version!) < BigInt(known!);
}

/** True when `version` was given after `known`, or nothing is known of that. */
export function isNewer(version: string | undefined, known: string | undefined): boolean {
  return !areNumbers(version, known) || BigInt(version!) > BigInt(known!);
}

function areNumbers(...versions: readonly (string | undefined)[]): boolean {
  return versions.every((version) => version !== undefined && DIGITS.test(version));
}

const DIGITS = /^\d+$/;

/** Text that is equal for equal content, whatever the order of fields. lastTransitionTime is ignored. */
export function canonical(value: unknown): string {
  const text = JSON.stringify(value, (key, part: unknown) => {
    if (key === 'lastTransitionTime') return undefined;
    return part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part;
  });
  return text ?? '';
}
