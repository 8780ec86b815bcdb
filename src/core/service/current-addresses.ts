/**
 * The addresses that a Service shows now.
 * @module
 */
import type { Service } from '../api/kubernetes.ts';

/** The texts of status.loadBalancer.ingress that are addresses. */
export function currentAddresses(service: Service): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
}
