/**
 * Why a datagram cannot be decoded.
 * @module
 */
export type MessageDecodeError =
  | 'truncated'
  | 'not-liveness'
  | 'unknown-version'
  | 'unknown-kind'
  | 'unknown-status'
  | 'bad-name'
  | 'bad-link'
  | 'too-many'
  | 'implausible'
  | 'bad-address'
  | 'trailing-bytes';
