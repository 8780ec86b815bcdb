/**
 * A kind of custom resource: its names, its versions, and the CustomResourceDefinition made of them.
 * @module
 */
import type * as z from 'zod';
import type { KubernetesObject } from './kubernetes.ts';
import { fieldPath, type ObjectReference, type Problem, showValueAt } from './problem.ts';
import { type OpenApiSchema, toOpenApi } from './schema.ts';

/** A column that `kubectl get` shows (apiextensions.k8s.io/v1 CustomResourceColumnDefinition). */
export interface PrinterColumn {
  readonly name: string;
  readonly jsonPath: string;
  readonly type: 'string' | 'boolean' | 'integer' | 'date';
  readonly priority?: number;
  readonly description?: string;
}

export interface KindVersion {
  readonly name: string;
  /** Text of the warning that a client gets; absent for versions that are not deprecated. */
  readonly deprecationWarning?: string;
  readonly columns: readonly PrinterColumn[];
  /** Everything below the root but apiVersion, kind and metadata. */
  readonly schema: z.ZodObject;
}

/** One custom resource. The first version is the storage version. All are namespaced with a status subresource. */
export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly description: string;
  readonly versions: readonly [KindVersion, ...KindVersion[]];
}

/** API group of every custom resource. */
export const GROUP = 'metallb.io';

/** Upstream's name of the Service in front of the webhooks, and where among them conversion is asked for. */
export const WEBHOOK_SERVICE = 'metallb-webhook-service';
export const CONVERSION_PATH = '/convert';

/** The CA bundle comes in while the controller runs. */
const CONVERSION = {
  strategy: 'Webhook',
  webhook: {
    clientConfig: {
      service: { name: WEBHOOK_SERVICE, namespace: 'metallb-system', path: CONVERSION_PATH },
    },
    conversionReviewVersions: ['v1'],
  },
};

/** The CustomResourceDefinition of a kind, ready to be written as YAML or JSON. */
export function toCustomResourceDefinition(kind: Kind): OpenApiSchema {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural: kind.plural, singular: kind.singular },
      scope: 'Namespaced',
      ...(kind.versions.length > 1 && { conversion: CONVERSION }),
      versions: kind.versions.map((version, index) => ({
        ...(version.columns.length > 0 && {
          additionalPrinterColumns: version.columns.map(({ name, jsonPath, type, priority, description }) => ({
            ...(description !== undefined && { description }),
            jsonPath,
            name,
            ...(priority !== undefined && { priority }),
            type,
          })),
        }),
        ...(version.deprecationWarning !== undefined && {
          deprecated: true,
          deprecationWarning: version.deprecationWarning,
        }),
        name: version.name,
        schema: { openAPIV3Schema: rootSchema(kind, version) },
        served: true,
        storage: index === 0,
        subresources: { status: {} },
      })),
    },
  };
}

function rootSchema(kind: Kind, version: KindVersion): OpenApiSchema {
  const body = toOpenApi(version.schema);
  return {
    description: kind.description,
    properties: {
      apiVersion: { description: 'Version of the schema of this object.', type: 'string' },
      kind: { description: 'The REST resource this object represents.', type: 'string' },
      metadata: { type: 'object' },
      ...(body.properties as object),
    },
    ...(body.required !== undefined && { required: body.required }),
    type: 'object',
  };
}

/** A zod object and what it reads, for rooms that do not import zod. */
export type ObjectSchema = z.ZodObject;
export type Output<S extends ObjectSchema> = z.output<S>;

export type Validated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Checks one object against its schema, fills the defaults in, and reports every fault with its path and cure. */
export function validateObject<S extends z.ZodObject>(
  kind: string,
  schema: S,
  object: KubernetesObject,
): Validated<z.output<S>> {
  const result = schema.safeParse(object);
  if (result.success) return { ok: true, value: result.data };
  const reference = referenceTo(kind, object);
  return {
    ok: false,
    problems: result.error.issues.map((issue) => ({
      object: reference,
      field: fieldPath(issue.path) || 'spec',
      value: showValueAt(object, issue.path),
      message: issue.message,
      cure: CURES[issue.code] ?? 'see the description of the field in the custom resource definition',
    })),
  };
}

/** Names an object of a known kind. */
export function referenceTo(kind: string, object: KubernetesObject): ObjectReference {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? { kind, name } : { kind, namespace, name };
}

const CURES: Partial<Record<z.core.$ZodIssue['code'], string>> = {
  invalid_type: 'give a value of the type that the field has',
  too_small: 'give a value within the bounds',
  too_big: 'give a value within the bounds',
  invalid_value: 'use one of the values named here',
  custom: 'change one of the fields so that the rule holds',
};
