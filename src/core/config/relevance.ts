/**
 * Which problems concern one node: a speaker tells of its own, and leaves those of other nodes to theirs
 * (docs/behaviour/resources.md#one-node).
 * @module
 */
import { referenceTo } from '../api/kind.ts';
import { nodeSelecting } from '../api/kinds.ts';
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { anySelectorMatches, type Labels, selectorFaults } from '../api/selector.ts';
import { Inspection } from './inspection.ts';

/** The objects that select nodes. */
interface SelectingObjects {
  readonly bgppeers?: readonly KubernetesObject[];
  readonly bgpadvertisements?: readonly KubernetesObject[];
}

/** `last` is the version of the object that was in force until now. */
interface Selecting {
  readonly nodeSelectors: readonly LabelSelector[];
}

/** Whether the problems of an object concern the node. Pools and L2Advertisements always do: every speaker takes part in every election. */
interface Relevance {
  readonly selecting: (object: KubernetesObject, last: Selecting | undefined) => boolean;
  readonly bfdProfile: (profile: KubernetesObject) => boolean;
  readonly community: (community: KubernetesObject) => boolean;
}

const EVERYTHING: Relevance = { selecting: () => true, bfdProfile: () => true, community: () => true };

/** `node` has the labels of the node that is asked about; without it everything concerns. */
export function relevanceTo(
  node: Labels | undefined,
  { bgppeers = [], bgpadvertisements = [] }: SelectingObjects,
): Relevance {
  if (node === undefined) return EVERYTHING;
  const selects = (object: KubernetesObject) => {
    const selectors = nodeSelectorsOf(object);
    return selectors === undefined || anySelectorMatches(selectors, node);
  };
  return {
    selecting: (object, last) =>
      selects(object) || (last !== undefined && anySelectorMatches(last.nodeSelectors, node)),
    bfdProfile: ({ metadata: { name } }) =>
      bgppeers.some((peer) => fieldOf(peer, 'bfdProfile') === name && selects(peer)),
    community: (object) => {
      const aliases = new Set(listOf(object, 'communities').map((entry) => (entry as { name?: unknown } | null)?.name));
      return bgpadvertisements.some(
        (advertisement) =>
          listOf(advertisement, 'communities').some((text) => aliases.has(text)) && selects(advertisement),
      );
    },
  };
}

/** Undefined when they cannot be read, so that nobody knows which nodes the object is for. */
function nodeSelectorsOf(object: KubernetesObject): readonly LabelSelector[] | undefined {
  const validated = new Inspection(referenceTo('', object)).validate(nodeSelecting, object);
  const selectors = validated?.spec?.nodeSelectors ?? [];
  const isLegible = validated !== undefined && selectors.every((selector) => selectorFaults(selector).length === 0);
  return isLegible ? selectors : undefined;
}

/** Of an object that may not fit its schema. */
function fieldOf(object: KubernetesObject, field: string): unknown {
  return (object as { spec?: Readonly<Record<string, unknown>> | null }).spec?.[field];
}

function listOf(object: KubernetesObject, field: string): readonly unknown[] {
  const value = fieldOf(object, field);
  return Array.isArray(value) ? value : [];
}
