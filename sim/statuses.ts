/**
 * What users see of announcements: the status objects of the speakers.
 * @module
 */
import type { KubernetesObject } from '../src/core/api/kubernetes.ts';
import type { Users } from './users.ts';
import type { VirtualCluster } from './virtual-cluster.ts';

interface Told {
  readonly node?: string;
  readonly serviceName?: string;
  readonly peer?: string;
  readonly state?: string;
}

/** At rest the status objects of nodes whose speakers run say what is so, each thing once. */
export function checkStatuses(
  cluster: VirtualCluster,
  users: Users,
  router: string | undefined,
  announces: (node: string) => boolean,
): void {
  const { api, speakers, nodes } = cluster;
  const running = [...speakers.values()].filter(({ isEnding }) => !isEnding).map(({ name }) => name);
  const check = (resource: string, of: (told: Told) => string, should: readonly string[]) => {
    const told = api.all(resource).map((object: KubernetesObject) => (object as { status?: Told }).status ?? {});
    const says = told
      .filter(({ node }) => running.includes(node ?? ''))
      .map(of)
      .sort();
    if (says.join() !== [...should].sort().join())
      cluster.violated(`${resource} say at rest: ${says.join(', ')}, and should: ${[...should].sort().join(', ')}`);
  };
  if (nodes.length === 0) return;
  const { served } = users;
  check(
    'servicel2statuses',
    ({ serviceName, node }) => `${serviceName} by ${node}`,
    served.map((name) => `${name} by ${cluster.rightOwnerOf(users.addressOf(name))}`),
  );
  if (router === undefined) return;
  check(
    'bgpsessionstatuses',
    ({ node, peer, state }) => `${node} ${peer} ${state}`,
    running.map((node) => `${node} ${router} Established`),
  );
  check(
    'servicebgpstatuses',
    ({ serviceName, node }) => `${serviceName} by ${node}`,
    running.filter(announces).flatMap((node) => served.map((name) => `${name} by ${node}`)),
  );
}
