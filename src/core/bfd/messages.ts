/**
 * BFD control packets (RFC 5880 §4.1) as data.
 * @module
 */

/** Values are those on the wire. */
export const BFD_STATES = { 'admin-down': 0, down: 1, init: 2, up: 3 } as const;
export type BfdState = keyof typeof BFD_STATES;

/** The diagnostics of RFC 5880 §4.1 that we use. */
export const DIAGNOSTICS = {
  none: 0,
  'detection-time-expired': 1,
  'echo-failed': 2,
  'neighbor-signaled-down': 3,
  'administratively-down': 7,
} as const;

/** Times are in microseconds, as on the wire. */
export interface BfdPacket {
  readonly diagnostic: number;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  /** C bit: the sender's BFD does not share the fate of its control plane. */
  readonly controlPlaneIndependent: boolean;
  /** D bit. */
  readonly demand: boolean;
  readonly detectMultiplier: number;
  readonly myDiscriminator: number;
  readonly yourDiscriminator: number;
  readonly desiredMinTx: number;
  readonly requiredMinRx: number;
  readonly requiredMinEchoRx: number;
}

/** Names of upstream's metrics, after `metallb_bfd_`. */
export const BFD_COUNTERS = [
  'control_packet_input',
  'control_packet_output',
  'echo_packet_input',
  'echo_packet_output',
  'session_up_events',
  'session_down_events',
  'zebra_notifications',
] as const;
export type BfdCounter = (typeof BFD_COUNTERS)[number];
