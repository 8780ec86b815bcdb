/**
 * Whether two objects with node selectors can apply to the same node (docs/behaviour/resources.md#rules).
 * @module
 */
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { anySelectorMatches, canonicalSelector } from '../api/selector.ts';

/** Undefined: this process does not read Nodes. */
export type KnownNodes = readonly KubernetesObject[] | undefined;

/**
 * Whether some node is selected by both. Without Nodes to look at, different selectors are assumed to be disjoint: a
 * process that reads Nodes will report the conflict if they are not.
 */
export function mayShareNode(a: readonly LabelSelector[], b: readonly LabelSelector[], nodes: KnownNodes): boolean {
  if (a.length === 0 && b.length === 0) return true;
  if (nodes !== undefined && nodes.length > 0)
    return nodes.some(({ metadata: { labels } }) => anySelectorMatches(a, labels) && anySelectorMatches(b, labels));
  if (a.length === 0 || b.length === 0) return true;
  const texts = new Set(a.map(canonicalSelector));
  return b.some((selector) => texts.has(canonicalSelector(selector)));
}
