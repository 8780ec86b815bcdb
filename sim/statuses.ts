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

/** Milliseconds that may pass from a change until the objects say it: pauses between writes of one object, and of speakers that contradict each other. */
const LAG = 5000;

/** Who is to be said to tell routers what. */
export interface Router {
  /** Name of the BGPPeer. */
  readonly peer: string;
  /** The advertisement selects the node. */
  selects(node: string): boolean;
}

/** At rest the status objects of nodes whose speakers run say what is so, each thing once. `pass` lets time pass. */
export function checkStatuses(
  cluster: VirtualCluster,
  users: Users,
  router: Router | undefined,
  pass: (milliseconds: number) => void,
): void {
  if (cluster.nodes.length === 0) return;
  const end = cluster.clock.now() + LAG;
  while (differences(cluster, users, router).length > 0 && cluster.clock.now() < end) pass(100);
  for (const difference of differences(cluster, users, router)) cluster.violated(difference);
}

function differences(cluster: VirtualCluster, users: Users, router: Router | undefined): string[] {
  const { api, speakers } = cluster;
  const { served } = users;
  const running = [...speakers.values()].filter(({ isEnding }) => !isEnding).map(({ name }) => name);
  const compare = (resource: string, of: (told: Told) => string, should: readonly string[]): string[] => {
    const told = api.all(resource).map((object: KubernetesObject) => (object as { status?: Told }).status ?? {});
    const says = told.filter(({ node }) => running.includes(node ?? '')).map(of);
    const [is, ought] = [says, [...should]].map((each) => each.sort().join(', '));
    return is === ought ? [] : [`${resource} say at rest: ${is}, and should: ${ought}`];
  };
  const layer2 = compare(
    'servicel2statuses',
    ({ serviceName, node }) => `${serviceName} by ${node}`,
    served.flatMap((name) => {
      const address = users.addressOf(name);
      const owner = cluster.rightOwnerOf(address);
      const isServed = owner !== undefined && cluster.canServe(owner, users.service(name), address);
      return isServed ? [`${name} by ${owner}`] : [];
    }),
  );
  if (router === undefined) return layer2;
  const sessions = compare(
    'bgpsessionstatuses',
    ({ node, peer, state }) => `${node} ${peer} ${state}`,
    running.map((node) => `${node} ${router.peer} Established`),
  );
  const routes = compare(
    'servicebgpstatuses',
    ({ serviceName, node }) => `${serviceName} by ${node}`,
    running.filter((node) => router.selects(node)).flatMap((node) => served.map((name) => `${name} by ${node}`)),
  );
  return [...layer2, ...sessions, ...routes];
}
