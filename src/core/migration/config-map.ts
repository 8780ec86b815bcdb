/**
 * The custom resources that stand for a ConfigMap in the format before 0.13 while it is followed live
 * (docs/behaviour/config-map.md). The user edits the ConfigMap; controller and speakers read the resources.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatReference, type Problem } from '../api/problem.ts';
import { byResource, type ConfigResource, resolveConfig, resourceOfKind } from '../config/resolve.ts';
import { type ConvertedResource, convertLegacy } from './legacy.ts';

/** The label of every resource that was made from a ConfigMap; its value is the name of the ConfigMap. */
export const ORIGIN_LABEL = 'metallb.io/config-map';

export interface ConfigMapPlan {
  /** False: the ConfigMap is invalid, and nothing changes. */
  readonly isInForce: boolean;
  /** To be applied, including those that are up to date. */
  readonly writes: readonly { readonly resource: ConfigResource; readonly object: ConvertedResource }[];
  /** Not written, because an object of that name exists that was not made from this ConfigMap. */
  readonly taken: readonly { readonly resource: ConfigResource; readonly name: string }[];
  /** To be deleted, in this order. */
  readonly removals: readonly { readonly resource: ConfigResource; readonly name: string }[];
  readonly problems: readonly Problem[];
}

/** Objects are deleted before those that they refer to. */
const REMOVAL_ORDER: readonly ConfigResource[] = [
  'l2advertisements',
  'bgpadvertisements',
  'bgppeers',
  'bfdprofiles',
  'communities',
  'ipaddresspools',
];

/**
 * Plans how to bring the resources in the namespace in step with the ConfigMap. A document with any fault changes
 * nothing: the resources from the last good one stay. Resources that were not made from this ConfigMap are never touched.
 */
export function planConfigMap(
  document: unknown,
  name: string,
  namespace: string,
  present: Readonly<Partial<Record<ConfigResource, readonly KubernetesObject[]>>>,
): ConfigMapPlan {
  const conversion = convertLegacy(document, name, namespace);
  if (!conversion.ok) return refused(conversion.problems);
  const faults = faultsOf(conversion.resources, name, namespace);
  if (faults.length > 0) return refused(faults);
  const problems: Problem[] = [];
  const taken: { resource: ConfigResource; name: string }[] = [];
  const writes = conversion.resources.flatMap((object) => {
    const resource = resourceOfKind(object.kind)!;
    const holder = present[resource]?.find(({ metadata }) => metadata.name === object.metadata.name);
    if (holder !== undefined && !isFrom(holder, name)) {
      taken.push({ resource, name: object.metadata.name });
      problems.push({
        object: { kind: 'ConfigMap', namespace, name },
        field: 'data.config',
        value: object.metadata.name,
        message: `${formatReference({ kind: object.kind, ...object.metadata })} exists already, and was not made from this ConfigMap`,
        cure: 'delete that object, or use another name here',
        consequence: 'until then that object stays as it is',
      });
      return [];
    }
    const metadata = { ...object.metadata, labels: { [ORIGIN_LABEL]: name } };
    return [{ resource, object: { ...object, metadata } }];
  });
  const wanted = new Set(conversion.resources.map(({ kind, metadata }) => `${resourceOfKind(kind)} ${metadata.name}`));
  const removals = REMOVAL_ORDER.flatMap((resource) =>
    (present[resource] ?? [])
      .filter((object) => isFrom(object, name) && !wanted.has(`${resource} ${object.metadata.name}`))
      .map(({ metadata }) => ({ resource, name: metadata.name })),
  );
  return { isInForce: true, writes, taken, removals, problems };
}

/** Checks the resources by the usual rules; the problems name the ConfigMap, because that is what the user has to fix. */
function faultsOf(resources: readonly ConvertedResource[], name: string, namespace: string): Problem[] {
  const { problems } = resolveConfig(byResource(resources));
  return problems.map((problem) => ({
    ...problem,
    object: { kind: 'ConfigMap', namespace, name },
    field: 'data.config',
    message: `${problem.object.kind} ${problem.object.name}, ${problem.field}: ${problem.message}`,
  }));
}

function refused(problems: readonly Problem[]): ConfigMapPlan {
  return { isInForce: false, writes: [], taken: [], removals: [], problems: problems.map(withConsequence) };
}

function withConsequence(problem: Problem): Problem {
  return { ...problem, consequence: 'until then the last good version stays in force' };
}

/** True if the object was made from the ConfigMap of this name. */
export function isFrom({ metadata }: KubernetesObject, name: string): boolean {
  return metadata.labels?.[ORIGIN_LABEL] === name;
}
