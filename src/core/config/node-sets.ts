/**
 * Whether two objects with node selectors can apply to the same node (docs/behaviour/resources.md#rules).
 * @module
 */
import type { LabelSelector } from '../api/kubernetes.ts';
import { anySelectorMatches, areDisjoint, canonicalSelector, type Labels } from '../api/selector.ts';

type Selectors = readonly LabelSelector[];

/** The nodes that a configuration is resolved for. */
export type Nodes =
  /** Of a speaker, its own: what other nodes do is no conflict here. */
  | { readonly kind: 'one'; readonly labels: Labels }
  | { readonly kind: 'all'; readonly labels: readonly Labels[] }
  /** This process does not read Nodes. */
  | { readonly kind: 'unknown' };

/**
 * Whether some node is selected by both, or whichever comes will be. Without Nodes to look at, different selectors are
 * assumed to be disjoint: a process that reads Nodes will report the conflict if they are not.
 */
export function shareNode(a: Selectors, b: Selectors, nodes: Nodes): boolean {
  if (nodes.kind === 'one') return areBothOn(a, b, nodes.labels);
  if (nodes.kind === 'all' && nodes.labels.some((labels) => areBothOn(a, b, labels))) return true;
  if (a.length === 0 || b.length === 0) return true;
  const texts = new Set(a.map(canonicalSelector));
  return b.some((selector) => texts.has(canonicalSelector(selector)));
}

/**
 * Whether the Nodes say nothing about two objects, because one of them selects none today, and nothing in the selectors
 * keeps them apart on nodes to come.
 */
export function mayComeToShareNode(a: Selectors, b: Selectors, nodes: Nodes): boolean {
  if (nodes.kind !== 'all') return false;
  const isIdle = (selectors: Selectors) => !nodes.labels.some((labels) => anySelectorMatches(selectors, labels));
  return (isIdle(a) || isIdle(b)) && a.some((mine) => b.some((theirs) => !areDisjoint(mine, theirs)));
}

function areBothOn(a: Selectors, b: Selectors, labels: Labels): boolean {
  return anySelectorMatches(a, labels) && anySelectorMatches(b, labels);
}
