/**
 * Structural schemas of CustomResourceDefinitions: prunes unknown fields, fills in defaults, checks values and CEL rules,
 * as a real API server does.
 * @module
 */

import { isObject, own, setOwn } from '../../core/api/json.ts';
import type { StatusCause } from '../status.ts';
import { type CelRuleProgram, compileRule } from './cel.ts';
import { matchesPattern } from './pattern.ts';

export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message?: string }[];
}

export interface Checked {
  /** The object with defaults filled in and unknown fields removed. */
  readonly value: unknown;
  readonly faults: readonly StatusCause[];
  /** Paths of the fields that were removed. */
  readonly unknown: readonly string[];
}

/** Checks a value against its schema. `old` is the value that it replaces, for rules that compare the two. */
export function checkStructure(schema: Schema, value: unknown, old: unknown): Checked {
  const faults: StatusCause[] = [];
  const unknown: string[] = [];
  const walk = (schema: Schema, value: unknown, old: unknown, path: string): unknown => {
    const wrong = typeFault(schema, value);
    if (wrong !== undefined) {
      faults.push({ field: path, message: `Invalid value: ${show(value)}: ${wrong}` });
      return value;
    }
    faults.push(...valueFaults(schema, value).map((message) => ({ field: path, message })));
    let result = value;
    if (Array.isArray(value) && schema.items !== undefined) {
      const items = schema.items;
      result = value.map((item, i) => walk(items, item, undefined, `${path}[${i}]`));
    } else if (isObject(value)) {
      result = walkObject(schema, value, isObject(old) ? old : undefined, path);
    }
    for (const rule of schema['x-kubernetes-validations'] ?? []) {
      const message = brokenRule(compileRule(rule.rule), rule, result, old);
      if (message !== undefined) faults.push({ field: path, message: `Invalid value: ${show(value)}: ${message}` });
    }
    return result;
  };
  const walkObject = (
    schema: Schema,
    value: Record<string, unknown>,
    old: Record<string, unknown> | undefined,
    path: string,
  ) => {
    const at = (key: string) => (path === '' ? key : `${path}.${key}`);
    const result: Record<string, unknown> = {};
    for (const [key, child] of Object.entries(value)) {
      const declared = own(schema.properties, key);
      const other = isObject(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
      if (child === null && !(declared ?? other)?.nullable && declared !== undefined) continue; // null means absent
      const before = own(old, key);
      if (declared !== undefined) setOwn(result, key, walk(declared, child, before, at(key)));
      else if (other !== undefined) setOwn(result, key, walk(other, child, before, `${path}[${key}]`));
      else if (
        schema['x-kubernetes-preserve-unknown-fields'] ||
        schema.additionalProperties === true ||
        isOpaque(schema)
      )
        setOwn(result, key, child);
      else unknown.push(at(key));
    }
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (own(result, key) === undefined && property.default !== undefined)
        setOwn(result, key, structuredClone(property.default));
    }
    for (const key of schema.required ?? [])
      if (own(result, key) === undefined) faults.push({ field: at(key), message: 'Required value' });
    return result;
  };
  return { value: walk(schema, value, old, ''), faults, unknown };
}

/** `type: object` without a description of its fields, such as `metadata`, whose content is not checked here. */
function isOpaque(schema: Schema): boolean {
  return schema.properties === undefined && schema.additionalProperties === undefined;
}

function brokenRule(
  program: CelRuleProgram,
  rule: { message?: string; rule: string },
  self: unknown,
  old: unknown,
): string | undefined {
  if (program.comparesOld && old === undefined) return undefined;
  return program.holds(self, old) ? undefined : (rule.message ?? `failed rule: ${rule.rule}`);
}

function typeFault(schema: Schema, value: unknown): string | undefined {
  if (schema['x-kubernetes-int-or-string'])
    return typeof value === 'string' || Number.isInteger(value) ? undefined : mustBe('integer or string', value);
  switch (schema.type) {
    case 'object':
      return isObject(value) ? undefined : mustBe('object', value);
    case 'array':
      return Array.isArray(value) ? undefined : mustBe('array', value);
    case 'integer':
      return Number.isInteger(value) ? undefined : mustBe('integer', value);
    case 'number':
    case 'string':
    case 'boolean':
      return typeof value === schema.type ? undefined : mustBe(schema.type, value);
    default:
      return undefined;
  }
}

function mustBe(type: string, value: unknown): string {
  const given =
    value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
  return `must be of type ${type}: "${given}"`;
}

function valueFaults(schema: Schema, value: unknown): string[] {
  const faults: string[] = [];
  const bad = (text: string) => faults.push(`Invalid value: ${show(value)}: ${text}`);
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    faults.push(`Unsupported value: ${show(value)}: supported values: ${schema.enum.map(show).join(', ')}`);
  }
  if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum)
      bad(`should be greater than or equal to ${schema.minimum}`);
    if (schema.maximum !== undefined && value > schema.maximum)
      bad(`should be less than or equal to ${schema.maximum}`);
    if (schema.format === 'int32' && (value > 2147483647 || value < -2147483648)) bad('does not fit into 32 bits');
  }
  if (typeof value === 'string') {
    if (schema.minLength !== undefined && value.length < schema.minLength)
      bad(`should be at least ${schema.minLength} chars long`);
    if (schema.maxLength !== undefined && value.length > schema.maxLength)
      bad(`may not be longer than ${schema.maxLength}`);
    if (schema.pattern !== undefined && !matchesPattern(schema.pattern, value)) bad(`should match '${schema.pattern}'`);
  }
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems)
      bad(`should have at least ${schema.minItems} items`);
    if (schema.maxItems !== undefined && value.length > schema.maxItems)
      bad(`should have at most ${schema.maxItems} items`);
  }
  return faults;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? '';
}
