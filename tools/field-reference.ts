/**
 * Every field of every kind as a page, from the same schemas as the CRDs.
 * @module
 */
import { toCustomResourceDefinition } from '../src/core/api/kind.ts';
import { KINDS } from '../src/core/api/kinds.ts';

interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

interface Version {
  readonly name: string;
  readonly storage: boolean;
  readonly schema: { readonly openAPIV3Schema: Schema };
}

interface Definition {
  readonly spec: { readonly names: { readonly kind: string }; readonly versions: readonly Version[] };
}

/** Markdown of the whole page. */
export function fieldReference(): string {
  const parts = KINDS.map((kind) => {
    const { spec } = toCustomResourceDefinition(kind) as unknown as Definition;
    const stored = spec.versions.find(({ storage }) => storage)!;
    const others = spec.versions.filter((version) => version !== stored).map(({ name }) => name);
    const { openAPIV3Schema: schema } = stored.schema;
    const also = others.length === 0 ? '' : ` ${others.join(', ')} is read too, and converted.`;
    return [
      `## ${spec.names.kind}`,
      `\`metallb.io/${stored.name}\`.${also} ${oneLine(schema.description)}`.trim(),
      ...['spec', 'status'].flatMap((part) => table(part, schema.properties?.[part])),
    ].join('\n\n');
  });
  return parts.join('\n\n');
}

function table(part: string, schema: Schema | undefined): string[] {
  const rows = schema === undefined ? [] : rowsOf(part, schema);
  if (rows.length === 0) return [];
  return [['| field | type | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')];
}

function rowsOf(path: string, schema: Schema): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const here = `${path}.${name}`;
    const isRequired = schema.required?.includes(name) === true;
    const fallback =
      field.default === undefined ? (isRequired ? 'required' : '') : `\`${JSON.stringify(field.default)}\``;
    const row = `| \`${here}\` | ${typeOf(field)} | ${fallback} | ${oneLine(field.description)}${bounds(field)} |`;
    const inner = field.type === 'array' ? field.items : field;
    const suffix = field.type === 'array' ? '[]' : '';
    return [row, ...(inner === undefined || isSelector(inner) ? [] : rowsOf(`${here}${suffix}`, inner))];
  });
}

/** Label selectors are Kubernetes' own and need no rows here. */
function isSelector({ properties }: Schema): boolean {
  return properties?.matchLabels !== undefined && properties.matchExpressions !== undefined;
}

function typeOf(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string']) return 'integer or string';
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : typeOf(schema.items)}`;
  if (schema.type === 'object') return isSelector(schema) ? 'label selector' : 'object';
  return schema.type ?? 'anything';
}

function bounds({ enum: values, minimum, maximum }: Schema): string {
  const parts = [
    ...(values === undefined ? [] : [`one of ${values.map((value) => `\`${String(value)}\``).join(', ')}`]),
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(maximum === undefined || maximum > 1e12 ? [] : [`up to ${maximum}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

function oneLine(text = ''): string {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;').trim();
}
