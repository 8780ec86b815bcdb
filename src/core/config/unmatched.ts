/**
 * What a valid object names, and nothing answers to: it is in force, has no effect there, and nobody would notice.
 * @module
 */
import { referenceTo } from '../api/kind.ts';
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { fieldPath, type ObjectReference, type Problem } from '../api/problem.ts';
import { formatSelector, selectorMatches } from '../api/selector.ts';
import type { Config } from './config.ts';
import { type ConfigObjects, type ConfigResource, isConfigResource, kindOf, type Resolved } from './resolve.ts';

/** What is named by configuration, with its kind. */
const NAMED = { ipaddresspools: 'IPAddressPool', bgppeers: 'BGPPeer', nodes: 'Node', namespaces: 'Namespace' } as const;

/** How a field of the spec says which objects it means. */
interface Naming {
  readonly field: readonly string[];
  readonly by: 'name' | 'selector';
  readonly of: keyof typeof NAMED;
}

const POOLS_BY_NAME: Naming = { field: ['ipAddressPools'], by: 'name', of: 'ipaddresspools' };
const POOLS_BY_LABEL: Naming = { field: ['ipAddressPoolSelectors'], by: 'selector', of: 'ipaddresspools' };
const NODES_BY_LABEL: Naming = { field: ['nodeSelectors'], by: 'selector', of: 'nodes' };

const NAMINGS: Readonly<Partial<Record<ConfigResource, readonly Naming[]>>> = {
  ipaddresspools: [
    { field: ['serviceAllocation', 'namespaces'], by: 'name', of: 'namespaces' },
    { field: ['serviceAllocation', 'namespaceSelectors'], by: 'selector', of: 'namespaces' },
  ],
  l2advertisements: [POOLS_BY_NAME, POOLS_BY_LABEL, NODES_BY_LABEL],
  bgpadvertisements: [POOLS_BY_NAME, POOLS_BY_LABEL, NODES_BY_LABEL, { field: ['peers'], by: 'name', of: 'bgppeers' }],
  bgppeers: [NODES_BY_LABEL],
};

/** Undefined: this process does not read them, or has not yet. Configuration that is not there is known to be absent. */
function known(objects: ConfigObjects, of: Naming['of']): readonly KubernetesObject[] | undefined {
  const list = objects[of] ?? [];
  return list.length === 0 && !isConfigResource(of) ? undefined : list;
}

/** Every name and selector of an object in force that matches nothing; Nodes and Namespaces only where they are known. */
export function unmatched(
  objects: ConfigObjects,
  { problems }: Pick<Resolved, 'problems'>,
  isAsked: (of: Pick<Problem, 'object'>) => boolean = () => true,
): Problem[] {
  const faulty = new Set(problems.map(({ object }) => idOf(object)));
  return Object.entries(NAMINGS).flatMap(([resource, namings]) =>
    (objects[resource as ConfigResource] ?? []).flatMap((object) => {
      const reference = referenceTo(kindOf(resource as ConfigResource), object);
      // Of a faulty object an older version may be in force, which is not what stands there.
      if (!isAsked({ object: reference }) || faulty.has(idOf(reference))) return [];
      return namings.flatMap((each) => unmatchedBy(each, object, reference, objects));
    }),
  );
}

function idOf({ kind, namespace, name }: ObjectReference): string {
  return `${kind} ${namespace ?? ''}/${name}`;
}

function unmatchedBy(
  { field, by, of }: Naming,
  object: KubernetesObject,
  reference: ObjectReference,
  objects: ConfigObjects,
): Problem[] {
  const candidates = known(objects, of);
  const kind = NAMED[of];
  const entries = valueAt((object as { spec?: unknown }).spec, field);
  if (candidates === undefined || !Array.isArray(entries)) return [];
  const problem = (i: number, value: string, message: string, cure: string): Problem => ({
    object: reference,
    field: fieldPath(['spec', ...field, i]),
    value,
    message,
    cure,
  });
  if (by === 'name') {
    const names = new Set(candidates.map(({ metadata }) => metadata.name));
    return (entries as string[]).flatMap((name, i) =>
      names.has(name) ? [] : [problem(i, name, `there is no ${kind} of this name`, 'create it, or correct the name')],
    );
  }
  return (entries as LabelSelector[]).flatMap((selector, i) =>
    candidates.some(({ metadata }) => selectorMatches(selector, metadata.labels))
      ? []
      : [
          problem(
            i,
            formatSelector(selector),
            `no ${kind} has such labels`,
            `label one (kubectl label ${kind.toLowerCase()}), or correct the selector`,
          ),
        ],
  );
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, piece) => (value as Record<string, unknown> | undefined)?.[piece], root);
}

/** Pools that no advertisement covers: Services get addresses from them, and no node announces any. */
export function unadvertisedPools(
  objects: ConfigObjects,
  { pools, l2Advertisements, bgpAdvertisements }: Pick<Config, 'pools' | 'l2Advertisements' | 'bgpAdvertisements'>,
): Problem[] {
  const covered = new Set([...l2Advertisements, ...bgpAdvertisements].flatMap((ad) => [...ad.pools]));
  const inForce = new Set(pools.map(({ name }) => name));
  return (objects.ipaddresspools ?? [])
    .filter(({ metadata: { name } }) => inForce.has(name) && !covered.has(name))
    .map((object) => ({
      object: referenceTo('IPAddressPool', object),
      field: 'metadata.name',
      value: object.metadata.name,
      message: 'no L2Advertisement and no BGPAdvertisement covers this pool, so no node announces its addresses',
      cure: 'create an L2Advertisement or a BGPAdvertisement for it',
    }));
}
