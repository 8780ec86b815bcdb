/**
 * Encrypts and authenticates liveness messages with the cluster's shared secret (the memberlist Secret): AES-256-GCM. Replays are
 * rejected by the machine, by incarnations and sequence numbers. Without a secret nothing is protected; the speaker
 * logs that at its start.
 * @module
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;

export interface Seal {
  /** For one receiver, named by its node: a copy sent to another one does not open. */
  seal(bytes: Uint8Array, receiver: string): Uint8Array;
  /** The content, or undefined when it was not made with our secret for this receiver. */
  open(bytes: Uint8Array, receiver: string): Uint8Array | undefined;
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

export function createSeal(secret: Uint8Array | undefined): Seal {
  if (secret === undefined) return { seal: (bytes) => bytes, open: (bytes) => bytes };
  // Upstream uses the secret itself as a key; we derive ours from it, so that the two never share one.
  const key = createHmac('sha256', secret).update('metallb-ts liveness v3').digest();
  const nonces = new Nonces();
  return {
    seal: (bytes, receiver) => {
      const nonce = nonces.next();
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(receiver));
      return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    },
    open: (bytes, receiver) => {
      if (bytes.length <= NONCE_LENGTH + TAG_LENGTH) return undefined;
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_LENGTH));
      decipher.setAAD(Buffer.from(receiver));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG_LENGTH));
      try {
        const content = decipher.update(bytes.subarray(NONCE_LENGTH, bytes.length - TAG_LENGTH));
        return Buffer.concat([content, decipher.final()]);
      } catch {
        return undefined; // Another secret, or damaged.
      }
    },
  };
}
