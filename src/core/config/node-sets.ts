/**
 * Can two objects with node selectors concern one node?
 * @module
 */
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { anySelectorMatches, canonicalSelector } from '../api/selector.ts';

/** Undefined: this process does not read Nodes. */
export type KnownNodes = readonly KubernetesObject[] | undefined;

/**
 * Whether some node is selected by both. Where nodes are not known, two different selections are taken to be apart:
 * who knows the nodes will object.
 */
export function mayShareNode(a: readonly LabelSelector[], b: readonly LabelSelector[], nodes: KnownNodes): boolean {
  if (a.length === 0 && b.length === 0) return true;
  if (nodes !== undefined && nodes.length > 0)
    return nodes.some(({ metadata: { labels } }) => anySelectorMatches(a, labels) && anySelectorMatches(b, labels));
  if (a.length === 0 || b.length === 0) return true;
  const texts = new Set(a.map(canonicalSelector));
  return b.some((selector) => texts.has(canonicalSelector(selector)));
}
