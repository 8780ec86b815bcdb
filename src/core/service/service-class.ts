/**
 * Which Services are ours (behaviour reference §3.1).
 * @module
 */
import type { Service } from '../api/kubernetes.ts';

/** `own` is the value of --lb-class, empty when not given. */
export function isOurClass(service: Service, own: string): boolean {
  return (service.spec?.loadBalancerClass ?? '') === own;
}
