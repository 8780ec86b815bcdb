/**
 * Which resources there are: Kubernetes' own that a small cluster's user touches, and whatever CustomResourceDefinitions
 * the store holds.
 * @module
 */
import { firstLine } from '../../adapters/errors.ts';
import { checkBuiltin } from '../../adapters/kubernetes/builtin-schema.ts';
import { isObject, own } from '../../core/api/json.ts';
import type { StatusCause } from '../status.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import { compileRule } from './cel.ts';
import { ageColumn, COLUMNS, customColumn, DEFAULT_COLUMNS, nameColumn } from './columns.ts';
import { type Admission, type Resource, storeKey } from './resource.ts';
import { admitService, admitServiceStatus } from './services/service.ts';
import { checkStructure, type Schema } from './structural.ts';

interface Builtin {
  readonly group?: string;
  readonly version?: string;
  readonly plural: string;
  readonly kind: string;
  /** Name of the generated model; the version and the kind when absent. */
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

/** A version of a CustomResourceDefinition, as far as it matters here (apiextensions.k8s.io/v1). */
interface DefinitionVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema?: { readonly openAPIV3Schema?: Schema };
  readonly additionalPrinterColumns?: readonly Parameters<typeof customColumn>[0][];
  readonly subresources?: { readonly status?: object };
  readonly deprecated?: boolean;
  readonly deprecationWarning?: string;
}

/** What webhooks do on a cluster, for the custom resources of one group. */
export interface CustomBehaviour {
  /** Returns the object to store. */
  readonly write: (object: ApiObject, admission: Admission) => ApiObject;
  readonly deletion: (object: ApiObject, admission: Admission) => void;
  /** The object in another version of its kind. */
  readonly convert: (object: ApiObject, apiVersion: string) => ApiObject;
}

export class Registry {
  readonly #store: Store;
  readonly #builtins: readonly Resource[];
  readonly #behaviours: ReadonlyMap<string, CustomBehaviour>;
  #custom: { made: string; resources: readonly Resource[] } = { made: '', resources: [] };

  constructor(store: Store, behaviours: ReadonlyMap<string, CustomBehaviour>) {
    this.#store = store;
    this.#behaviours = behaviours;
    this.#builtins = BUILTINS.map(toResource);
  }

  /** Every resource in every served version. */
  all(): readonly Resource[] {
    const definitions = this.#store.list('customresourcedefinitions.apiextensions.k8s.io');
    const made = definitions.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).join();
    if (made !== this.#custom.made) {
      this.#custom = { made, resources: definitions.flatMap((definition) => this.#fromDefinition(definition)) };
    }
    return [...this.#builtins, ...this.#custom.resources];
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.all().find((r) => r.group === group && r.version === version && r.plural === plural);
  }

  #fromDefinition(definition: ApiObject): Resource[] {
    const { group, names, scope, versions } = definition.spec;
    const behaviour = this.#behaviours.get(group);
    const storage = `${group}/${(versions as DefinitionVersion[]).find((version) => version.storage)?.name}`;
    return (versions as DefinitionVersion[])
      .filter(({ served }) => served)
      .map((version): Resource => {
        const schema = version.schema?.openAPIV3Schema ?? {};
        const columns = version.additionalPrinterColumns?.map(customColumn) ?? [ageColumn];
        return {
          group,
          version: version.name,
          plural: names.plural,
          singular: names.singular ?? names.kind.toLowerCase(),
          kind: names.kind,
          namespaced: scope === 'Namespaced',
          shortNames: names.shortNames ?? [],
          categories: names.categories ?? [],
          hasStatus: version.subresources?.status !== undefined,
          hasGeneration: true,
          isCustom: true,
          columns: [nameColumn, ...columns],
          ...(version.deprecated && {
            deprecationWarning: version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`,
          }),
          check: (object, old) => checkCustom(schema, object, old),
          ...(behaviour !== undefined && {
            admit: behaviour.write,
            admitDeletion: behaviour.deletion,
            ...(versions.length > 1 && { conversion: { storage, convert: behaviour.convert } }),
          }),
        };
      });
  }
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
      return { value: unknown.length === 0 ? object : without(object, unknown), faults, unknown };
    },
    ...(builtin.admit !== undefined && { admit: builtin.admit }),
    ...(builtin.admitStatus !== undefined && { admitStatus: builtin.admitStatus }),
  };
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

function checkCustom(schema: Schema, object: ApiObject, old: ApiObject | undefined) {
  const { metadata, ...rest } = object;
  const checked = checkStructure(
    schema,
    { ...rest, metadata: {} },
    old === undefined ? undefined : { ...old, metadata: {} },
  );
  return {
    value: { ...(checked.value as ApiObject), apiVersion: object.apiVersion, kind: object.kind, metadata },
    faults: checked.faults,
    unknown: checked.unknown.filter((path) => path !== 'apiVersion' && path !== 'kind' && path !== 'metadata'),
  };
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

function admitPod(object: ApiObject, { fault }: Admission): ApiObject {
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

function admitDeployment(object: ApiObject, { fault }: Admission): ApiObject {
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

function admitCustomResourceDefinition(object: ApiObject, { fault }: Admission): ApiObject {
  const { spec } = object;
  if (!spec?.group) fault('spec.group', 'Required value');
  if (!spec?.names?.kind || !spec?.names?.plural) fault('spec.names', 'Required value');
  if (!spec?.versions?.length) fault('spec.versions', 'Required value');
  if (spec?.group && spec?.names?.plural && object.metadata.name !== `${spec.names.plural}.${spec.group}`) {
    fault('metadata.name', `Invalid value: "${object.metadata.name}": must be spec.names.plural+"."+spec.group`);
  }
  for (const [i, version] of (spec?.versions ?? []).entries())
    checkRules(version.schema?.openAPIV3Schema, `spec.versions[${i}].schema`, fault);
  const now = object.metadata.creationTimestamp;
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    reason,
    message,
    lastTransitionTime: now,
  });
  const conditions = [
    condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
    condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
  ];
  const names = spec?.names && {
    listKind: `${spec.names.kind}List`,
    singular: spec.names.kind?.toLowerCase(),
    ...spec.names,
  };
  return {
    ...object,
    spec: { ...spec, names },
    status: { conditions, acceptedNames: names, storedVersions: storedVersions(spec) },
  };
}

function storedVersions(spec: ApiObject['spec']): string[] {
  return ((spec?.versions ?? []) as { name: string; storage: boolean }[])
    .filter(({ storage }) => storage)
    .map(({ name }) => name);
}

function checkRules(
  schema: Schema | undefined,
  path: string,
  fault: (field: string, message: string) => void,
): StatusCause[] {
  for (const { rule } of schema?.['x-kubernetes-validations'] ?? []) {
    try {
      compileRule(rule);
    } catch (error) {
      fault(path, `Invalid value: ${JSON.stringify(rule)}: ${firstLine(error)}`);
    }
  }
  for (const [key, child] of Object.entries(schema?.properties ?? {}))
    checkRules(child, `${path}.properties[${key}]`, fault);
  if (schema?.items !== undefined) checkRules(schema.items, `${path}.items`, fault);
  return [];
}
