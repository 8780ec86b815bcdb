/**
 * The fields of a coordination.k8s.io/v1 Lease that leader election reads and writes.
 * @module
 */

/** Who leads. `version` is the resourceVersion: a write must fail if the Lease has changed since it was read. */
export interface LeaseRecord {
  readonly holder: string;
  /** How often the holder has changed (leaseTransitions). */
  readonly transitions: number;
  readonly version: string;
}
