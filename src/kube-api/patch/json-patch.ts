/**
 * JSON patches (RFC 6902) with JSON pointers (RFC 6901), within the bounds of a real API server. Libraries for it take
 * `constructor` and `__proto__` for no keys, and a ConfigMap may have them.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { isObject, type JsonObject, own, setOwn } from '../../core/api/json.ts';
import { StatusError } from '../status.ts';

type Json = unknown;

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: Json;
}

/** The most operations of one patch (kube-apiserver's own bound). */
const MOST_OPERATIONS = 10_000;
/** The most bytes of JSON that the copies of one patch may make: each can double what the one before it made. */
const MOST_COPIED = 3 * 1024 * 1024;

/** The document with every operation done. Throws 400 for what is no patch, 413 for one that is too large, 422 for an operation that cannot be done. */
export function jsonPatched(document: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw new StatusError(400, 'a JSON patch is a list of operations');
  if (operations.length > MOST_OPERATIONS) {
    const text = `The allowed maximum operations in a JSON patch is ${MOST_OPERATIONS}, got ${operations.length}`;
    throw new StatusError(413, text);
  }
  // The root is a field like any other, so that a patch may replace the whole.
  const root: JsonObject = { document: structuredClone(document) };
  let copied = 0;
  for (const [i, operation] of operations.entries()) {
    if (!isOperation(operation))
      throw new StatusError(400, `operation ${i} of the JSON patch is not one of RFC 6902's`);
    const impossible = (why: string) =>
      new StatusError(
        422,
        `the server rejected our request due to an error in our request: ${operation.op} ${operation.path}: ${why}`,
      );
    const at = (pointer: string) => locate(root, pointer, impossible);
    switch (operation.op) {
      case 'add':
        add(at(operation.path), structuredClone(operation.value), impossible);
        break;
      case 'remove':
        remove(at(operation.path), impossible);
        break;
      case 'replace':
        replace(at(operation.path), structuredClone(operation.value), impossible);
        break;
      case 'move': {
        if (operation.path.startsWith(`${operation.from}/`)) throw impossible('a value cannot be moved into itself');
        const value = read(at(operation.from!), impossible);
        remove(at(operation.from!), impossible);
        add(at(operation.path), value, impossible);
        break;
      }
      case 'copy': {
        const value = read(at(operation.from!), impossible);
        copied += JSON.stringify(value).length;
        if (copied > MOST_COPIED)
          throw new StatusError(413, `the copies of a JSON patch make more than ${MOST_COPIED} bytes`);
        add(at(operation.path), structuredClone(value), impossible);
        break;
      }
      default:
        if (!isDeepStrictEqual(present(at(operation.path)), operation.value ?? null))
          throw impossible('the value differs');
    }
  }
  return root.document;
}

const OPERATIONS = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function isOperation(given: Json): given is Operation {
  if (!isObject(given)) return false;
  const { op, path, from, value } = given;
  return (
    typeof op === 'string' &&
    OPERATIONS.has(op) &&
    isPointer(path) &&
    (op === 'move' || op === 'copy' ? isPointer(from) : true) &&
    (op === 'add' || op === 'replace' ? value !== undefined : true)
  );
}

function isPointer(given: Json): given is string {
  return typeof given === 'string' && (given === '' || given.startsWith('/'));
}

/** A place that may hold a value: a key of an object, or an index of a list. */
type Place = { readonly parent: JsonObject; readonly key: string } | { readonly parent: Json[]; readonly key: string };

type Impossible = (why: string) => StatusError;

function locate(root: JsonObject, pointer: string, impossible: Impossible): Place {
  const keys = ['document', ...pointer.split('/').slice(1)].map((key) =>
    key.replaceAll('~1', '/').replaceAll('~0', '~'),
  );
  let parent: Json = root;
  for (const key of keys.slice(0, -1)) {
    parent = Array.isArray(parent) ? parent[indexOf(key)] : isObject(parent) ? own(parent, key) : undefined;
  }
  if (!Array.isArray(parent) && !isObject(parent)) throw impossible('there is nothing that could hold it');
  return { parent, key: keys.at(-1)! } as Place;
}

/** NaN for what is no index. */
function indexOf(key: string): number {
  return /^(0|[1-9]\d*)$/.test(key) ? Number(key) : Number.NaN;
}

/** The value at the place; null where there is none, as a test of an absent field has it. */
function present({ parent, key }: Place): Json {
  return (Array.isArray(parent) ? parent[indexOf(key)] : own(parent, key)) ?? null;
}

function holds({ parent, key }: Place): boolean {
  return Array.isArray(parent) ? indexOf(key) < parent.length : Object.hasOwn(parent, key);
}

function read(place: Place, impossible: Impossible): Json {
  if (!holds(place)) throw impossible('there is no such value');
  return present(place);
}

function add({ parent, key }: Place, value: Json, impossible: Impossible): void {
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : indexOf(key);
    if (!(index <= parent.length)) throw impossible('the list has no such index');
    parent.splice(index, 0, value);
  } else setOwn(parent, key, value);
}

function remove(place: Place, impossible: Impossible): void {
  if (!holds(place)) throw impossible('there is no such value');
  const { parent, key } = place;
  if (Array.isArray(parent)) parent.splice(indexOf(key), 1);
  else delete parent[key];
}

function replace(place: Place, value: Json, impossible: Impossible): void {
  if (!holds(place)) throw impossible('there is no such value');
  const { parent, key } = place;
  if (Array.isArray(parent)) parent[indexOf(key)] = value;
  else setOwn(parent, key, value);
}
