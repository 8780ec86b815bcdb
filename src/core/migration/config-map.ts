/**
 * A ConfigMap in the format before 0.13 that is followed live: the custom resources that it stands for
 * (docs/behaviour/config-map.md). The ConfigMap is the user's word; the resources are what controller and speakers read.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatReference, type Problem } from '../api/problem.ts';
import { byResource, type ConfigResource, resolveConfig, resourceOfKind } from '../config/resolve.ts';
import { type ConvertedResource, convertLegacy } from './legacy.ts';

/** On every resource that was made from a ConfigMap: the name of the ConfigMap. */
export const ORIGIN_LABEL = 'metallb.io/config-map';

export interface ConfigMapPlan {
  /** False: the ConfigMap is at fault, and nothing is to change. */
  readonly isInForce: boolean;
  /** To be applied; those that are as they should be are among them. */
  readonly writes: readonly { readonly resource: ConfigResource; readonly object: ConvertedResource }[];
  /** What cannot be written, for somebody else has an object of that name. */
  readonly taken: readonly { readonly resource: ConfigResource; readonly name: string }[];
  /** To be deleted, in this order. */
  readonly removals: readonly { readonly resource: ConfigResource; readonly name: string }[];
  readonly problems: readonly Problem[];
}

/** Who refers to others goes before them. */
const REMOVAL_ORDER: readonly ConfigResource[] = [
  'l2advertisements',
  'bgpadvertisements',
  'bgppeers',
  'bfdprofiles',
  'communities',
  'ipaddresspools',
];

/**
 * Says what to do so that the resources in the namespace are what the ConfigMap says. A document with any fault changes
 * nothing: what was made of the last good one stays. Resources that somebody else made are never touched.
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

/** The rules for resources, told of the ConfigMap that they will be made of. */
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

/** True for what was made from the ConfigMap. */
export function isFrom({ metadata }: KubernetesObject, name: string): boolean {
  return metadata.labels?.[ORIGIN_LABEL] === name;
}
