/**
 * The addresses in the status of a Service.
 * @module
 */
import type { Service } from '../api/kubernetes.ts';

/** The IP addresses in status.loadBalancer.ingress; hostnames are left out. */
export function currentAddresses(service: Service): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
}
