/**
 * Paths of the resources that we read and write.
 * @module
 */

const GROUPS = {
  services: '/api/v1',
  nodes: '/api/v1',
  pods: '/api/v1',
  namespaces: '/api/v1',
  events: '/api/v1',
  secrets: '/api/v1',
  endpointslices: '/apis/discovery.k8s.io/v1',
  deployments: '/apis/apps/v1',
  daemonsets: '/apis/apps/v1',
  leases: '/apis/coordination.k8s.io/v1',
  validatingwebhookconfigurations: '/apis/admissionregistration.k8s.io/v1',
  customresourcedefinitions: '/apis/apiextensions.k8s.io/v1',
  configmaps: '/api/v1',
  ipaddresspools: '/apis/metallb.io/v1beta1',
  l2advertisements: '/apis/metallb.io/v1beta1',
  bgpadvertisements: '/apis/metallb.io/v1beta1',
  bgppeers: '/apis/metallb.io/v1beta2',
  bfdprofiles: '/apis/metallb.io/v1beta1',
  communities: '/apis/metallb.io/v1beta1',
  configurationstates: '/apis/metallb.io/v1beta1',
  servicel2statuses: '/apis/metallb.io/v1beta1',
  servicebgpstatuses: '/apis/metallb.io/v1beta1',
  bgpsessionstatuses: '/apis/metallb.io/v1beta1',
  frrconfigurations: '/apis/frrk8s.metallb.io/v1beta1',
} as const;

export type ResourceName = keyof typeof GROUPS;

/** Path of a collection: of one namespace, or of all (also for cluster-scoped resources). */
export function collectionPath(resource: ResourceName, namespace?: string): string {
  const inside = namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${GROUPS[resource]}${inside}/${resource}`;
}

/** Path of one object. `key` is `namespace/name`, or `/name` for cluster-scoped resources. */
export function objectPath(resource: ResourceName, key: string, subresource?: 'status'): string {
  const slash = key.indexOf('/');
  const path = `${collectionPath(resource, key.slice(0, slash))}/${encodeURIComponent(key.slice(slash + 1))}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
