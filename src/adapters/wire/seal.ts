/**
 * Encrypts and authenticates liveness messages with the cluster's shared secret (the memberlist Secret): AES-256-GCM. Replays are
 * rejected by the machine, by incarnations and sequence numbers. Without a secret nothing is protected; the speaker
 * logs that at its start.
 *
 *   prefix (4): of the key and the receiver | nonce (12) | content, encrypted | tag (16)
 *
 * The prefix is for the kernel, which drops what does not begin with it (liveness-filter.ts): nobody knows it who has neither the key nor
 * seen a datagram to this receiver.
 * @module
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { MAGIC } from '../../core/liveness/codec.ts';

const PREFIX_LENGTH = 4;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const OVERHEAD = PREFIX_LENGTH + NONCE_LENGTH + TAG_LENGTH;

export interface Seal {
  /** For one receiver, named by its node: a copy sent to another one does not open. */
  seal(bytes: Uint8Array, receiver: string): Uint8Array;
  /** The content, or undefined when it was not made with a secret of ours for this receiver. */
  open(bytes: Uint8Array, receiver: string): Uint8Array | undefined;
  /** What datagrams to this receiver begin with, as numbers of four bytes, and how many bytes they have at least. */
  mark(receiver: string): { readonly prefixes: readonly number[]; readonly leastBytes: number };
}

/**
 * Nonces count up from a random start: a process never repeats one under a key, and with 96 bits two processes do not collide.
 */
class Nonces {
  readonly #start = randomBytes(NONCE_LENGTH);
  #count = 0n;

  next(): Uint8Array {
    const nonce = Buffer.from(this.#start);
    nonce.writeBigUInt64BE(BigInt.asUintN(64, this.#start.readBigUInt64BE(4) + this.#count++), 4);
    return nonce;
  }
}

class Key {
  readonly #key: Uint8Array;
  readonly #nonces = new Nonces();
  /** By receiver. */
  readonly #prefixes = new Map<string, Buffer>();

  constructor(secret: Uint8Array) {
    // Upstream uses the secret itself as a key; we derive ours from it, so that the two never share one.
    this.#key = createHmac('sha256', secret).update('metallb-ts liveness v5').digest();
  }

  prefix(receiver: string): Buffer {
    const known =
      this.#prefixes.get(receiver) ??
      createHmac('sha256', this.#key).update(`to ${receiver}`).digest().subarray(0, PREFIX_LENGTH);
    this.#prefixes.set(receiver, known);
    return known;
  }

  seal(bytes: Uint8Array, receiver: string): Uint8Array {
    const nonce = this.#nonces.next();
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(receiver));
    return Buffer.concat([this.prefix(receiver), nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }

  open(bytes: Uint8Array, receiver: string): Uint8Array | undefined {
    if (bytes.length <= OVERHEAD || this.prefix(receiver).compare(bytes, 0, PREFIX_LENGTH) !== 0) return undefined;
    const start = PREFIX_LENGTH + NONCE_LENGTH;
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(PREFIX_LENGTH, start));
    decipher.setAAD(Buffer.from(receiver));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_LENGTH));
    try {
      const content = decipher.update(bytes.subarray(start, bytes.length - TAG_LENGTH));
      return Buffer.concat([content, decipher.final()]);
    } catch {
      return undefined; // Damaged, or made by somebody who has only seen the prefix.
    }
  }
}

/** The first secret seals, all of them open. With none at all, nothing is sealed. */
export function createSeal(secrets: readonly Uint8Array[]): Seal {
  const keys = secrets.map((secret) => new Key(secret));
  const [newest] = keys;
  if (newest === undefined)
    return {
      seal: (bytes) => bytes,
      open: (bytes) => bytes,
      mark: () => ({ prefixes: [MAGIC], leastBytes: PREFIX_LENGTH + 1 }),
    };
  return {
    seal: (bytes, receiver) => newest.seal(bytes, receiver),
    open: (bytes, receiver) => {
      for (const key of keys) {
        const content = key.open(bytes, receiver);
        if (content !== undefined) return content;
      }
      return undefined;
    },
    mark: (receiver) => ({
      prefixes: keys.map((key) => key.prefix(receiver).readUInt32BE(0)),
      leastBytes: OVERHEAD + 1,
    }),
  };
}
