/**
 * Building blocks for the custom resources: one zod value gives the TypeScript type, the validation, and the
 * OpenAPI v3 schema of the CRD. Keys that only the CRD knows ride along as zod metadata.
 * @module
 */
import * as z from 'zod';

/** A CEL rule of the CRD with its twin in TypeScript. A transition rule (`oldSelf`) has no twin: only a server sees both. */
export interface CelRule<T> {
  readonly cel: string;
  readonly message: string;
  readonly holds?: (value: T) => boolean;
}

/** Attaches CEL rules to a schema: `x-kubernetes-validations` in the CRD, refinements in zod. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly CelRule<z.output<S>>[]): S {
  let checked: S = schema;
  for (const { holds, message } of rules) if (holds !== undefined) checked = checked.refine(holds, { message }) as S;
  const validations = rules.map(({ cel, message }) => ({ message, rule: cel }));
  return checked.meta({ ...schema.meta(), 'x-kubernetes-validations': validations }) as S;
}

/** A whole number with bounds that the CRD shows, and the OpenAPI format of its width. */
export function integer(format: 'int32' | 'int64', description: string, min?: number, max?: number): z.ZodNumber {
  let schema = z.int();
  if (min !== undefined) schema = schema.min(min);
  if (max !== undefined) schema = schema.max(max);
  return schema.meta({ description, format });
}

/** Text with a description. */
export function text(description: string): z.ZodString {
  return z.string().meta({ description });
}

/** A list of texts with a description. */
export function texts(description: string): z.ZodArray<z.ZodString> {
  return z.array(z.string()).meta({ description });
}

/** meta/v1 LabelSelector. */
export const labelSelector = z
  .object({
    matchExpressions: z
      .array(
        z
          .object({
            key: text('Label key that the condition is about.'),
            operator: text('One of In, NotIn, Exists and DoesNotExist.'),
            values: texts('Values for In and NotIn; none for Exists and DoesNotExist.')
              .meta({ 'x-kubernetes-list-type': 'atomic' })
              .optional(),
          })
          .meta({ description: 'One condition on a label.' }),
      )
      .meta({ description: 'Conditions that all have to hold.', 'x-kubernetes-list-type': 'atomic' })
      .optional(),
    matchLabels: z
      .record(z.string(), z.string())
      .meta({ description: 'Labels that all have to be present with these values.' })
      .optional(),
  })
  .meta({ description: 'A label selector; empty means everything.', 'x-kubernetes-map-type': 'atomic' });

/** A list of label selectors: one match is enough. */
export function selectors(description: string): z.ZodArray<typeof labelSelector> {
  return z.array(labelSelector).meta({ description });
}

/** An OpenAPI v3 schema as the CRD holds it. */
export type OpenApiSchema = { [key: string]: unknown };

/** Keeps the order of keys in generated CRDs the same whatever zod does. */
const NOT_STRUCTURAL = ['$schema', 'additionalProperties', 'propertyNames', 'id'];

/** The structural OpenAPI v3 schema of a zod value (Kubernetes "structural schemas": no additionalProperties beside properties). */
export function toOpenApi(schema: z.ZodType): OpenApiSchema {
  return structural(
    z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }) as OpenApiSchema,
  );
}

function structural(node: OpenApiSchema): OpenApiSchema {
  const out: OpenApiSchema = {};
  for (const [key, value] of Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (key === 'properties') {
      const properties = Object.entries(value as Record<string, OpenApiSchema>).sort(([a], [b]) => (a < b ? -1 : 1));
      out[key] = Object.fromEntries(properties.map(([name, child]) => [name, structural(child)]));
    } else if (key === 'items') {
      out[key] = structural(value as OpenApiSchema);
    } else if (key === 'additionalProperties' && typeof value === 'object') {
      out[key] = structural(value as OpenApiSchema);
    } else if ((key === 'minimum' || key === 'maximum') && !Number.isSafeInteger(value as number)) {
      // not a bound that anybody set
    } else if (
      (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) ||
      (key === 'maximum' && value === Number.MAX_SAFE_INTEGER)
    ) {
      // zod's own bound of int()
    } else if (!NOT_STRUCTURAL.includes(key)) {
      out[key] = value;
    }
  }
  return out;
}
