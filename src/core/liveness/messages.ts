/**
 * What speakers tell each other to prove that they are there.
 * @module
 */

/** A sign of life. */
export interface Heartbeat {
  readonly node: string;
  /** Grows over restarts: milliseconds since 1970 at the start of the speaker. */
  readonly incarnation: bigint;
  /** Grows with every heartbeat of one incarnation. */
  readonly sequence: number;
  /** The speaker is being stopped in good order: others take over its addresses, its node goes on. */
  readonly leaving: boolean;
}

/** One other speaker, as the API knows it. */
export interface Member {
  readonly node: string;
  /** Where its heartbeats come from and ours go to. */
  readonly address: string;
}
