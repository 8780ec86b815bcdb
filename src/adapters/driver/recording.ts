/**
 * Recordings: one JSON line for each input of a machine. What JSON cannot say is tagged.
 * @module
 */
import { createWriteStream, type WriteStream } from 'node:fs';

/** One line of a recording. `now` is in milliseconds. */
export interface RecordedInput {
  readonly now: number;
  readonly input: unknown;
}

/** Appends inputs to a file. */
export class Recorder {
  readonly #file: WriteStream;

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: 'a', mode: 0o600 });
  }

  record = (input: unknown, now: number): void => {
    this.#file.write(`${encodeLine({ now, input: withoutSecrets(input) })}\n`);
  };

  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve));
  }
}

const REDACTED = Buffer.from('redacted').toString('base64');
/** What `kubectl apply` was given, passwords and all. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

interface Confidential {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: object;
  readonly spec?: { readonly password?: string };
}

/** Resources with passwords, and how they look without. */
const HIDING: Readonly<Record<string, (object: Confidential) => object>> = {
  secrets: ({ data = {} }) => ({ data: Object.fromEntries(Object.keys(data).map((key) => [key, REDACTED])) }),
  bgppeers: ({ spec }) => (spec?.password === undefined ? {} : { spec: { ...spec, password: REDACTED } }),
};

/** A recording is a file that people send to each other: it holds the names of passwords, never their values. */
function withoutSecrets(input: unknown): unknown {
  const change = input as { resource?: string; object?: Confidential; objects?: readonly Confidential[] };
  const hidden = HIDING[change.resource ?? ''];
  if (hidden === undefined) return input;
  const hide = (object: Confidential) => {
    const { [LAST_APPLIED]: _, ...annotations } = object.metadata?.annotations ?? {};
    return { ...object, metadata: { ...object.metadata, annotations }, ...hidden(object) };
  };
  return {
    ...change,
    ...(change.object !== undefined && { object: hide(change.object) }),
    ...(change.objects !== undefined && { objects: change.objects.map(hide) }),
  };
}

/** One value as one line of JSON; bigints, bytes, sets and maps are tagged. */
export function encodeLine(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return { $bigint: item.toString() };
    if (item instanceof Uint8Array) return { $hex: Buffer.from(item).toString('hex') };
    if (item instanceof Map) return { $map: [...item] };
    if (item instanceof Set) return { $set: [...item] };
    return item;
  });
}

/** The reverse of encodeLine. */
export function decodeLine(line: string): unknown {
  return JSON.parse(line, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null) return item;
    if ('$bigint' in item) return BigInt(item.$bigint as string);
    if ('$hex' in item) return Uint8Array.from(Buffer.from(item.$hex as string, 'hex'));
    if ('$map' in item) return new Map(item.$map as [unknown, unknown][]);
    if ('$set' in item) return new Set(item.$set as unknown[]);
    return item;
  });
}
