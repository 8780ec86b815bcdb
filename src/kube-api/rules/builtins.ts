/**
 * The built-in resources of Kubernetes that are served, and the admission of their objects.
 * @module
 */
import { checkBuiltin } from '../../adapters/kubernetes/builtin-schema.ts';
import { isObject, own } from '../../core/api/json.ts';
import type { ApiObject } from '../storage/store.ts';
import { COLUMNS, DEFAULT_COLUMNS } from './columns.ts';
import { admitCustomResourceDefinition } from './definitions.ts';
import { type AdmissionContext, type Resource, storeKey } from './resource.ts';
import { admitService, admitServiceStatus } from './services/service.ts';

interface Builtin {
  readonly group?: string;
  readonly version?: string;
  readonly plural: string;
  readonly kind: string;
  /** Name of the generated model; default: version and kind. */
  readonly model?: string;
  readonly clusterScoped?: boolean;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly hasStatus?: boolean;
  readonly admit?: Resource['admit'];
  readonly admitStatus?: Resource['admitStatus'];
}

const BUILTINS: readonly Builtin[] = [
  {
    plural: 'namespaces',
    kind: 'Namespace',
    clusterScoped: true,
    shortNames: ['ns'],
    hasStatus: true,
    admit: admitNamespace,
  },
  { plural: 'nodes', kind: 'Node', clusterScoped: true, shortNames: ['no'], hasStatus: true },
  {
    plural: 'services',
    kind: 'Service',
    shortNames: ['svc'],
    categories: ['all'],
    hasStatus: true,
    admit: admitService,
    admitStatus: admitServiceStatus,
  },
  { plural: 'pods', kind: 'Pod', shortNames: ['po'], categories: ['all'], hasStatus: true, admit: admitPod },
  { plural: 'secrets', kind: 'Secret', admit: admitSecret },
  { plural: 'configmaps', kind: 'ConfigMap', shortNames: ['cm'] },
  { plural: 'serviceaccounts', kind: 'ServiceAccount', shortNames: ['sa'] },
  { plural: 'events', kind: 'Event', model: 'CoreV1Event', shortNames: ['ev'] },
  {
    group: 'apps',
    plural: 'deployments',
    kind: 'Deployment',
    shortNames: ['deploy'],
    categories: ['all'],
    hasStatus: true,
    admit: admitDeployment,
  },
  { group: 'discovery.k8s.io', plural: 'endpointslices', kind: 'EndpointSlice' },
  { group: 'coordination.k8s.io', plural: 'leases', kind: 'Lease' },
  {
    group: 'apiextensions.k8s.io',
    plural: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    clusterScoped: true,
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    hasStatus: true,
    admit: admitCustomResourceDefinition,
  },
];

/** Each in the one version in which it is served. */
export function builtinResources(): Resource[] {
  return BUILTINS.map(toResource);
}

function toResource(builtin: Builtin): Resource {
  const { group = '', version = 'v1', plural, kind } = builtin;
  const model = builtin.model ?? `${version.toUpperCase().slice(0, 1)}${version.slice(1)}${kind}`;
  return {
    group,
    version,
    plural,
    singular: kind.toLowerCase(),
    kind,
    namespaced: !builtin.clusterScoped,
    shortNames: builtin.shortNames ?? [],
    categories: builtin.categories ?? [],
    hasStatus: builtin.hasStatus ?? false,
    hasGeneration: group === 'apps' || plural === 'customresourcedefinitions',
    columns: COLUMNS[storeKey({ group, plural })] ?? DEFAULT_COLUMNS,
    check: (object) => {
      const found = checkBuiltin(model, object) ?? [];
      const faults = found.filter((fault) => !fault.unknown).map(({ field, message }) => ({ field, message }));
      const unknown = found.filter((fault) => fault.unknown).map(({ field }) => field);
      const known = unknown.length === 0 ? object : without(object, unknown);
      return { value: withoutNulls(known) as ApiObject, faults, unknown };
    },
    ...(builtin.admit !== undefined && { admit: builtin.admit }),
    ...(builtin.admitStatus !== undefined && { admitStatus: builtin.admitStatus }),
  };
}

/** A field that is null is absent. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const present = Object.entries(value).filter(([, child]) => child !== null);
  return Object.fromEntries(present.map(([key, child]) => [key, withoutNulls(child)]));
}

function without(object: ApiObject, paths: readonly string[]): ApiObject {
  const copy = structuredClone(object);
  for (const path of paths) {
    const pieces = path.split(/[.[\]]+/).filter((piece) => piece !== '');
    let parent: unknown = copy;
    for (const piece of pieces.slice(0, -1)) parent = own(parent as Record<string, unknown> | undefined, piece);
    if (isObject(parent)) delete parent[pieces.at(-1)!];
  }
  return copy;
}

function admitNamespace(object: ApiObject): ApiObject {
  const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
  return {
    ...object,
    metadata: { ...object.metadata, labels },
    spec: object.spec ?? { finalizers: ['kubernetes'] },
    status: object.status ?? { phase: 'Active' },
  };
}

function admitPod(object: ApiObject, { fault }: AdmissionContext): ApiObject {
  if (!object.spec?.containers?.length) fault('spec.containers', 'Required value');
  return { ...object, status: object.status ?? { phase: 'Pending' } };
}

function admitSecret(object: ApiObject): ApiObject {
  const { stringData, ...rest } = object;
  const added = Object.entries((stringData ?? {}) as Record<string, string>).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  return {
    ...rest,
    type: object.type ?? 'Opaque',
    data: { ...object.data, ...Object.fromEntries(added) },
  } as ApiObject;
}

function admitDeployment(object: ApiObject, { fault }: AdmissionContext): ApiObject {
  const wanted = object.spec?.selector?.matchLabels as Record<string, string> | undefined;
  const labels = object.spec?.template?.metadata?.labels as Record<string, string> | undefined;
  if (!object.spec?.selector) fault('spec.selector', 'Required value');
  if (!object.spec?.template?.spec?.containers?.length) fault('spec.template.spec.containers', 'Required value');
  else if (Object.entries(wanted ?? {}).some(([key, value]) => own(labels, key) !== value)) {
    fault(
      'spec.template.metadata.labels',
      `Invalid value: ${JSON.stringify(labels ?? {})}: \`selector\` does not match template \`labels\``,
    );
  }
  return { ...object, spec: { replicas: 1, ...object.spec }, status: object.status ?? {} };
}
