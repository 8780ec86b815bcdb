/**
 * The slice of coordination.k8s.io/v1 Lease that leader election reads and writes.
 * @module
 */

/** Who leads. `version` is the resourceVersion: a write must fail when somebody else wrote in between. */
export interface LeaseRecord {
  readonly holder: string;
  /** Goes up with every change of holder (leaseTransitions). */
  readonly transitions: number;
  readonly version: string;
}
