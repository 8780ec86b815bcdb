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
  if (nodes.kind === 'one') return anySelectorMatches(a, nodes.labels) && anySelectorMatches(b, nodes.labels);
  if (a.length === 0 || b.length === 0) return true;
  if (haveCommon(textsOf(a), textsOf(b))) return true;
  return nodes.kind === 'all' && haveCommon(selectedBy(a, nodes), selectedBy(b, nodes));
}

/** So many pairs of selectors are compared; of more it is not known that they exclude each other. */
const MOST_PAIRS = 10_000;

/**
 * Whether the Nodes say nothing about two objects, because one of them selects none today, and nothing in the selectors
 * keeps them apart on nodes to come.
 */
export function mayComeToShareNode(a: Selectors, b: Selectors, nodes: Nodes): boolean {
  if (nodes.kind !== 'all') return false;
  const isIdle = selectedBy(a, nodes).size === 0 || selectedBy(b, nodes).size === 0;
  if (!isIdle) return false;
  return a.length * b.length > MOST_PAIRS || a.some((mine) => b.some((theirs) => !areDisjoint(mine, theirs)));
}

function haveCommon<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const each of few) if (many.has(each)) return true;
  return false;
}

// Every object is held against every other, and there may be thousands of nodes: each list of selectors is looked at once.
const texts = new WeakMap<Selectors, ReadonlySet<string>>();
const selections = new WeakMap<Nodes, WeakMap<Selectors, ReadonlySet<number>>>();

function textsOf(selectors: Selectors): ReadonlySet<string> {
  const known = texts.get(selectors) ?? new Set(selectors.map(canonicalSelector));
  texts.set(selectors, known);
  return known;
}

/** Which of the nodes they select. */
function selectedBy(selectors: Selectors, nodes: Extract<Nodes, { kind: 'all' }>): ReadonlySet<number> {
  const ofNodes = selections.get(nodes) ?? new WeakMap<Selectors, ReadonlySet<number>>();
  selections.set(nodes, ofNodes);
  const isSelected = (i: number) => anySelectorMatches(selectors, nodes.labels[i]);
  const known = ofNodes.get(selectors) ?? new Set([...nodes.labels.keys()].filter(isSelected));
  ofNodes.set(selectors, known);
  return known;
}
