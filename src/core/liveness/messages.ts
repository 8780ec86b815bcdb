/**
 * What speakers tell each other to prove that they are there.
 * @module
 */

/**
 * What a speaker is doing: only an active one announces. One that starts does not know the cluster yet; one that leaves is being
 * stopped in good order, and its silence afterwards is no death. The numbers are those on the wire.
 */
export const PHASES = { starting: 0, active: 1, leaving: 2 } as const;
export type Phase = keyof typeof PHASES;

/** A sign of life. */
export interface Heartbeat {
  readonly node: string;
  /** Grows over restarts: milliseconds since 1970 at the start of the speaker. */
  readonly incarnation: bigint;
  /** Grows with every heartbeat of one incarnation. */
  readonly sequence: number;
  readonly phase: Phase;
}

/** One other speaker, as the API knows it. */
export interface Member {
  readonly node: string;
  /** Where its heartbeats come from and ours go to. */
  readonly address: string;
}
