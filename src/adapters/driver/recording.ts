/**
 * Recordings: a JSON line with the machine and its settings, and one for each input of it. Values that JSON lacks are tagged.
 * @module
 */
import { createWriteStream, type WriteStream } from 'node:fs';

/** A machine begins, or begins anew: what comes after it is for this one. */
interface RecordedStart {
  readonly machine: string;
  readonly settings: unknown;
}

/** `now` is in milliseconds. */
interface RecordedInput {
  readonly now: number;
  readonly input: unknown;
}

/** One line of a recording. */
export type RecordedLine = RecordedStart | RecordedInput;

/** Appends to a file. */
export class Recorder {
  readonly #file: WriteStream;
  readonly #hiding = new SecretHiding();

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: 'a', mode: 0o600 });
  }

  write(line: RecordedLine): void {
    const hidden =
      'input' in line
        ? { ...line, input: this.#hiding.hide(line.input) }
        : { ...line, settings: this.#hiding.hide(line.settings) };
    this.#file.write(`${encodeLine(hidden)}\n`);
  }

  record = (input: unknown, now: number): void => this.write({ now, input });

  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve));
  }
}

/** What `kubectl apply` was given, passwords and all. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** A password as configuration objects have it, or as a peer does that was made of one. */
type Password = string | { readonly encoding: string; readonly text: string };

/**
 * Takes the secrets out of what is recorded: a recording is a file that people send to each other. Where a secret stood, there is a number
 * instead, the same for the same secret: whether one has changed can still be told.
 */
export class SecretHiding {
  readonly #numbers = new Map<string, number>();

  hide(value: unknown): unknown {
    const { resource } = value as { readonly resource?: unknown };
    return this.#without(value, resource === 'secrets');
  }

  #without(value: unknown, isSecret: boolean): unknown {
    if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, this.#without(item, isSecret)]));
    if (Array.isArray(value)) return value.map((item) => this.#without(item, isSecret));
    if (!isPlain(value)) return value;
    const entries = Object.entries(value).flatMap(([key, item]): [string, unknown][] => {
      // The key of the liveness messages is of no use to a machine, and gets this far by mistake only.
      if (key === LAST_APPLIED || key === 'secret') return [];
      if (key === 'password' && isPassword(item)) return [[key, this.#hidden(item)]];
      if (isSecret && (key === 'data' || key === 'stringData') && isPlain(item))
        return [
          [key, Object.fromEntries(Object.entries(item).map(([name, text]) => [name, this.#token(String(text))]))],
        ];
      return [[key, this.#without(item, isSecret)]];
    });
    return Object.fromEntries(entries);
  }

  #hidden(password: Password): Password {
    return typeof password === 'string' ? this.#token(password) : { ...password, text: this.#token(password.text) };
  }

  /** Base64, for that is what most of them have to be. */
  #token(secret: string): string {
    const number = this.#numbers.get(secret) ?? this.#numbers.size + 1;
    this.#numbers.set(secret, number);
    return Buffer.from(`redacted-${number}`).toString('base64');
  }
}

function isPassword(value: unknown): value is Password {
  return typeof value === 'string' || (isPlain(value) && typeof value.text === 'string');
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** One value as one line of JSON; bigints, bytes, sets and maps are tagged. */
export function encodeLine(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    if (typeof item === 'bigint') return { $bigint: item.toString() };
    // JSON.stringify calls Buffer's toJSON before this replacer.
    const own = this[key];
    if (own instanceof Uint8Array) return { $hex: Buffer.from(own).toString('hex') };
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
