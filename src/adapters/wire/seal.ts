/**
 * Authenticates heartbeats with the cluster's shared secret (the memberlist Secret): HMAC-SHA-256, cut to 16 bytes
 * (RFC 2104 §5). Without a secret nothing is authenticated, which the speaker says at its start.
 * @module
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const TAG_LENGTH = 16;

export interface Seal {
  seal(bytes: Uint8Array): Uint8Array;
  /** The content, or undefined when the tag does not fit. */
  open(bytes: Uint8Array): Uint8Array | undefined;
}

export function createSeal(secret: Uint8Array | undefined): Seal {
  if (secret === undefined) return { seal: (bytes) => bytes, open: (bytes) => bytes };
  // The secret is used by upstream as an encryption key; a purpose of its own keeps the two apart.
  const key = createHmac('sha256', secret).update('metallb-ts heartbeat v1').digest();
  const tag = (bytes: Uint8Array) => createHmac('sha256', key).update(bytes).digest().subarray(0, TAG_LENGTH);
  return {
    seal: (bytes) => Buffer.concat([bytes, tag(bytes)]),
    open: (bytes) => {
      if (bytes.length <= TAG_LENGTH) return undefined;
      const content = bytes.subarray(0, bytes.length - TAG_LENGTH);
      return timingSafeEqual(tag(content), bytes.subarray(content.length)) ? content : undefined;
    },
  };
}
