/**
 * CustomResourceDefinitions: their validation, and the resources that they define.
 * @module
 */
import { firstLine } from '../../adapters/errors.ts';
import { isObject } from '../../core/api/json.ts';
import type { ApiObject } from '../storage/store.ts';
import { compileRule } from './cel.ts';
import { ageColumn, customColumn, nameColumn } from './columns.ts';
import { compilePattern } from './pattern.ts';
import type { AdmissionContext, Resource } from './resource.ts';
import { checkStructure, type Schema } from './structural.ts';

/** The fields of a version of a CustomResourceDefinition that are used (apiextensions.k8s.io/v1). */
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

/** What webhooks do in a cluster, for the custom resources of one group. */
export interface CustomBehaviour {
  /** Returns the object to store. */
  readonly write: (object: ApiObject, context: AdmissionContext) => ApiObject;
  readonly deletion: (object: ApiObject, context: AdmissionContext) => void;
  /** The object in another version of its kind. */
  readonly convert: (object: ApiObject, apiVersion: string) => ApiObject;
}

/** The resource of a definition in every served version. */
export function customResources(definition: ApiObject, behaviours: ReadonlyMap<string, CustomBehaviour>): Resource[] {
  const { group, names, scope, versions } = definition.spec;
  const behaviour = behaviours.get(group);
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

export function admitCustomResourceDefinition(object: ApiObject, { fault }: AdmissionContext): ApiObject {
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

function checkRules(schema: Schema | undefined, path: string, fault: (field: string, message: string) => void): void {
  for (const { rule } of schema?.['x-kubernetes-validations'] ?? []) {
    const wrong = complaint(() => compileRule(rule));
    if (wrong !== undefined) fault(path, `Invalid value: ${JSON.stringify(rule)}: ${wrong}`);
  }
  const { pattern, properties = {}, items, additionalProperties } = schema ?? {};
  if (pattern !== undefined) {
    const wrong = complaint(() => compilePattern(pattern));
    if (wrong !== undefined)
      fault(
        `${path}.pattern`,
        `Invalid value: ${JSON.stringify(pattern)}: must be a valid regular expression: ${wrong}`,
      );
  }
  for (const [key, child] of Object.entries(properties)) checkRules(child, `${path}.properties[${key}]`, fault);
  if (items !== undefined) checkRules(items, `${path}.items`, fault);
  if (isObject(additionalProperties)) checkRules(additionalProperties as Schema, `${path}.additionalProperties`, fault);
}

/** What a compiler says against its text; undefined if it takes it. */
function complaint(compile: () => unknown): string | undefined {
  try {
    compile();
    return undefined;
  } catch (error) {
    return firstLine(error);
  }
}
