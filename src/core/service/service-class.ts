/**
 * Which Services are ours (docs/behaviour/allocation.md#service-class).
 * @module
 */
import type { Service } from '../api/kubernetes.ts';

/** `own` is the value of --lb-class, empty when not given. */
export function isOurClass(service: Service, own: string): boolean {
  return (service.spec?.loadBalancerClass ?? '') === own;
}
