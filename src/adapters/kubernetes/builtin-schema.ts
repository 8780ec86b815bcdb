/**
 * Checks objects of Kubernetes' built-in kinds against the models of @kubernetes/client-node.
 * @module
 */

import * as models from '@kubernetes/client-node/dist/gen/models/all.js';
import { isObject } from '../../core/api/json.ts';

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

interface Model {
  getAttributeTypeMap(): readonly Attribute[];
}

/** An unknown field, or a value of the wrong type. */
export interface SchemaFault {
  readonly field: string;
  readonly message: string;
  readonly unknown: boolean;
}

/** `model` is the name of the generated class, such as `V1Service`. Returns undefined when there is no such class. */
export function checkBuiltin(model: string, object: unknown): SchemaFault[] | undefined {
  if (modelOf(model) === undefined) return undefined;
  const faults: SchemaFault[] = [];
  walk(model, object, '', faults);
  return faults;
}

function modelOf(name: string): Model | undefined {
  const candidate = (models as unknown as Record<string, Partial<Model>>)[name];
  return candidate?.getAttributeTypeMap === undefined ? undefined : (candidate as Model);
}

/** A null field is an absent one, a null item of a list or a map is of no type. */
function walk(type: string, value: unknown, path: string, faults: SchemaFault[], isField = true): void {
  if (isField && (value === null || value === undefined)) return;
  const list = /^Array<(.+)>$/.exec(type);
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (list !== null) {
    if (!Array.isArray(value)) faults.push(wrongType(path, 'array', value));
    else for (const [i, item] of value.entries()) walk(list[1]!, item, `${path}[${i}]`, faults, false);
  } else if (map !== null) {
    if (!isObject(value)) faults.push(wrongType(path, 'object', value));
    else for (const [key, item] of Object.entries(value)) walk(map[1]!, item, `${path}[${key}]`, faults, false);
  } else {
    walkSingle(type, value, path, faults);
  }
}

function walkSingle(type: string, value: unknown, path: string, faults: SchemaFault[]): void {
  if (type === 'string' || type === 'number' || type === 'boolean') {
    if (typeof value !== type) faults.push(wrongType(path, type, value));
    return;
  }
  const attributes = modelOf(type)?.getAttributeTypeMap();
  if (attributes === undefined) return;
  if (!isObject(value)) {
    faults.push(wrongType(path, 'object', value));
    return;
  }
  const types = new Map(attributes.map(({ baseName, type }) => [baseName, type]));
  for (const [key, child] of Object.entries(value)) {
    const field = path === '' ? key : `${path}.${key}`;
    const childType = types.get(key);
    if (childType === undefined) faults.push({ field, message: `unknown field "${field}"`, unknown: true });
    else walk(childType, child, field, faults);
  }
}

function wrongType(field: string, expected: string, value: unknown): SchemaFault {
  const given = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  return {
    field,
    message: `${field}: must be of type ${expected}, not ${given}: ${JSON.stringify(value)}`,
    unknown: false,
  };
}
