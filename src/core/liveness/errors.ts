/**
 * Why a datagram is no heartbeat.
 * @module
 */
export type HeartbeatDecodeError =
  | 'truncated'
  | 'not-a-heartbeat'
  | 'unknown-version'
  | 'unknown-phase'
  | 'bad-name'
  | 'trailing-bytes';
