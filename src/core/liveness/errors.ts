/**
 * Why a datagram says nothing.
 * @module
 */
export type MessageDecodeError =
  | 'truncated'
  | 'not-liveness'
  | 'unknown-version'
  | 'unknown-kind'
  | 'unknown-status'
  | 'bad-name'
  | 'trailing-bytes';
