/**
 * The parts of Kubernetes that are not ours to build, just enough of them: Deployments become Pods, Pods become
 * processes on their nodes (kubelet), Pods that match a Service become EndpointSlices, and every node sends service
 * addresses to endpoints by nftables (kube-proxy).
 * @module
 */
import { join } from 'node:path';
import { APPLY_PATCH, type KubernetesClient, MERGE_PATCH } from '../../src/adapters/kubernetes/client.ts';
import { Reflector } from '../../src/adapters/kubernetes/reflector.ts';
import { collectionPath, objectPath } from '../../src/adapters/kubernetes/resources.ts';
import {
  type EndpointSlice,
  type KubernetesObject,
  objectKey,
  SERVICE_NAME_LABEL,
  type Service,
  type ServicePort,
} from '../../src/core/api/kubernetes.ts';
import { selectorMatches } from '../../src/core/api/selector.ts';
import { formatAddress, parseAddress } from '../../src/core/net/address.ts';
import type { LanHost } from '../net/lan.ts';
import type { LabProcess } from '../net/shell.ts';

interface Deployment extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly template: {
      readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
      readonly spec: {
        readonly containers: readonly {
          readonly name: string;
          readonly image: string;
          readonly ports?: readonly ContainerPort[];
        }[];
      };
    };
  };
}

interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
}

interface Replica {
  readonly key: string;
  readonly deployment: Deployment;
  readonly node: LanHost;
  /** One of each IP family. */
  readonly addresses: Readonly<Record<Family, string>>;
  readonly process: LabProcess;
}

type Family = 'IPv4' | 'IPv6';
const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
const familyOf = (address: string): Family => (address.includes(':') ? 'IPv6' : 'IPv4');

/** One look at everything, at most this often, in milliseconds. */
const PAUSE = 30;

export class StandIn {
  readonly #client: KubernetesClient;
  readonly #directory: string;
  #nodes: readonly LanHost[];
  readonly #reflectors: readonly Reflector[];
  readonly #deployments = new Map<string, Deployment>();
  readonly #services = new Map<string, Service>();
  readonly #replicas = new Map<string, Replica>();
  readonly #slices = new Map<string, string>();
  readonly #rules = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #nextAddress = 1;

  constructor(client: KubernetesClient, nodes: readonly LanHost[], directory: string) {
    this.#client = client;
    this.#directory = directory;
    this.#nodes = nodes;
    for (const [i, node] of nodes.entries()) {
      // Pod network: 10.244.N.0/24 lives on node N; the others reach it through that node.
      node.run(['ip', 'route', 'add', 'local', `10.244.${i}.0/24`, 'dev', 'lo']);
      node.run(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
      node.run(['ip', 'route', 'add', 'local', `fd00:10:244:${i}::/64`, 'dev', 'lo']);
      node.run(['sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding']);
      // IPv6 lets nobody listen at an address that only a route makes local, unlike IPv4.
      node.run(['sh', '-c', 'echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind']);
      for (const [j, other] of nodes.entries()) {
        if (j === i) continue;
        node.run(['ip', 'route', 'add', `10.244.${j}.0/24`, 'via', other.address]);
        node.run(['ip', 'route', 'add', `fd00:10:244:${j}::/64`, 'via', other.address6]);
      }
    }
    const follow = <T extends KubernetesObject>(resource: 'deployments' | 'services', objects: Map<string, T>) =>
      new Reflector({
        client,
        resource,
        onTrouble: () => {},
        onChange: (change) => {
          if (change.kind === 'replaced') {
            objects.clear();
            for (const object of change.objects) objects.set(objectKey(object), object as T);
          } else if (change.kind === 'applied') objects.set(objectKey(change.object), change.object as T);
          else objects.delete(objectKey(change.object));
          this.#schedule();
        },
      });
    this.#reflectors = [follow('deployments', this.#deployments), follow('services', this.#services)];
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    for (const reflector of this.#reflectors) reflector.stop();
    await Promise.all([...this.#replicas.values()].map(({ process }) => process.stop()));
  }

  /** The node is gone for good: nothing is placed there, and what ran there is no endpoint any more. */
  async loseNode(name: string): Promise<void> {
    this.#nodes = this.#nodes.filter((node) => node.name !== name);
    for (const [key, { node, process }] of this.#replicas) {
      if (node.name !== name) continue;
      process.kill();
      this.#replicas.delete(key);
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#busy) return this.#schedule();
      this.#busy = true;
      this.#reconcile()
        .catch(() => this.#schedule())
        .finally(() => {
          this.#busy = false;
        });
    }, PAUSE);
  }

  async #reconcile(): Promise<void> {
    for (const deployment of this.#deployments.values())
      if (!isOurs(deployment)) await this.#reconcileDeployment(deployment);
    for (const [key, replica] of this.#replicas) {
      const deployment = this.#deployments.get(objectKey(replica.deployment));
      const wanted = deployment !== undefined && Number(key.split('-').at(-1)) < (deployment.spec.replicas ?? 1);
      if (!wanted) await this.#endReplica(replica);
    }
    for (const service of this.#services.values())
      for (const family of FAMILIES)
        if (service.spec?.clusterIPs?.some((address) => familyOf(address) === family))
          await this.#writeSlice(service, family);
    for (const node of this.#nodes) this.#proxy(node);
  }

  async #reconcileDeployment(deployment: Deployment): Promise<void> {
    const { replicas = 1 } = deployment.spec;
    let started = false;
    for (let i = 0; i < replicas; i++) {
      const key = `${objectKey(deployment)}-${i}`;
      if (this.#replicas.has(key) || this.#nodes.length === 0) continue;
      await this.#startReplica(deployment, key, i);
      started = true;
    }
    if (!started) return;
    const status = {
      replicas,
      readyReplicas: replicas,
      updatedReplicas: replicas,
      availableReplicas: replicas,
      observedGeneration: deployment.metadata.generation,
    };
    const path = objectPath('deployments', objectKey(deployment), 'status');
    await this.#client.request({ method: 'PATCH', path, contentType: MERGE_PATCH, body: { status } });
  }

  async #startReplica(deployment: Deployment, key: string, index: number): Promise<void> {
    const load = (node: LanHost) => [...this.#replicas.values()].filter((replica) => replica.node === node).length;
    const node = [...this.#nodes].sort((a, b) => load(a) - load(b) || index)[0]!;
    const subnet = Number(node.address.split('.').at(-1)) - 11;
    const number = this.#nextAddress++;
    const addresses = {
      IPv4: `10.244.${subnet}.${number}`,
      IPv6: canonical(`fd00:10:244:${subnet}::${number.toString(16)}`),
    };
    const name = key.split('/')[1]!;
    const namespace = deployment.metadata.namespace!;
    const port = deployment.spec.template.spec.containers[0]?.ports?.[0]?.containerPort ?? 80;
    const script = new URL('./replica.ts', import.meta.url).pathname;
    const command = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      script,
      Object.values(addresses).join(),
      String(port),
      node.name,
      name,
    ];
    const replica = {
      key,
      deployment,
      node,
      addresses,
      process: node.start(name, command, join(this.#directory, `${name}.log`)),
    };
    this.#replicas.set(key, replica);
    const { apiVersion = 'apps/v1', kind = 'Deployment', metadata } = deployment;
    const owner = { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true };
    const labels = deployment.spec.template.metadata?.labels ?? {};
    const { containers } = deployment.spec.template.spec;
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels, ownerReferences: [owner] },
      spec: { nodeName: node.name, containers },
    };
    await this.#client.request({ method: 'POST', path: collectionPath('pods', namespace), body: pod }).catch(() => {});
    const containerStatuses = containers.map((container) => ({
      name: container.name,
      image: container.image,
      imageID: '',
      ready: true,
      restartCount: 0,
    }));
    const status = {
      phase: 'Running',
      podIP: addresses.IPv4,
      podIPs: Object.values(addresses).map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses,
    };
    await this.#client.request({
      method: 'PATCH',
      path: objectPath('pods', key, 'status'),
      contentType: MERGE_PATCH,
      body: { status },
    });
    await waitForPort(node, addresses.IPv4, port);
  }

  async #endReplica({ key, process }: Replica): Promise<void> {
    this.#replicas.delete(key);
    process.kill('SIGTERM');
    await this.#client.request({ method: 'DELETE', path: objectPath('pods', key) }).catch(() => {});
  }

  #replicasOf(service: Service): Replica[] {
    const { selector } = service.spec ?? {};
    if (selector === undefined) return [];
    return [...this.#replicas.values()].filter(
      ({ deployment }) =>
        deployment.metadata.namespace === service.metadata.namespace &&
        selectorMatches({ matchLabels: selector }, deployment.spec.template.metadata?.labels),
    );
  }

  async #writeSlice(service: Service, family: Family): Promise<void> {
    if (service.spec?.selector === undefined) return;
    const { name, namespace, uid } = service.metadata;
    const replicas = this.#replicasOf(service);
    const ports = (service.spec.ports ?? []).map((port) => ({
      name: port.name ?? '',
      protocol: port.protocol ?? 'TCP',
      port: targetPort(port, replicas[0]?.deployment),
    }));
    const slice: EndpointSlice & Record<string, unknown> = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${name}-lab-${family.toLowerCase()}`,
        namespace: namespace!,
        labels: { [SERVICE_NAME_LABEL]: name },
        ...{ ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid }] },
      },
      addressType: family,
      endpoints: replicas.map(({ addresses, node }) => ({
        addresses: [addresses[family]],
        nodeName: node.name,
        conditions: { ready: true },
      })),
      ports,
    };
    const text = JSON.stringify(slice);
    const key = `${objectKey(service)} ${family}`;
    if (this.#slices.get(key) === text) return;
    this.#slices.set(key, text);
    const path = `${collectionPath('endpointslices', namespace)}/${slice.metadata.name}`;
    const query = { fieldManager: 'lab', force: true };
    await this.#client.request({
      method: 'PATCH',
      path,
      query,
      contentType: APPLY_PATCH,
      body: slice,
    });
  }

  /** Every node takes any service address that reaches it to some endpoint, and hides the client (policy Cluster). */
  #proxy(node: LanHost): void {
    const text = FAMILIES.map((family) => this.#table(family)).join('');
    if (this.#rules.get(node.name) === text) return;
    const { status, stderr } = node.run(['nft', '-f', '-'], { input: text });
    if (status !== 0) throw new Error(`nft on ${node.name}: ${stderr}`);
    this.#rules.set(node.name, text);
  }

  #table(family: Family): string {
    const protocolFamily = family === 'IPv4' ? 'ip' : 'ip6';
    const rules: string[] = [];
    for (const service of this.#services.values()) {
      const replicas = this.#replicasOf(service);
      if (replicas.length === 0) continue;
      const addresses = [
        ...(service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : [])),
        ...(service.spec?.clusterIPs ?? []),
      ];
      for (const address of addresses.filter((candidate) => familyOf(candidate) === family)) {
        for (const port of service.spec?.ports ?? []) {
          const target = targetPort(port, replicas[0]!.deployment);
          const map = replicas.map((replica, i) => `${i} : ${replica.addresses[family]} . ${target}`).join(', ');
          const protocol = (port.protocol ?? 'TCP').toLowerCase();
          const match = `${protocolFamily} daddr ${address} ${protocol} dport ${port.port}`;
          rules.push(`${match} dnat to numgen random mod ${replicas.length} map { ${map} }`);
        }
      }
    }
    return `table ${protocolFamily} lab
delete table ${protocolFamily} lab
table ${protocolFamily} lab {
  chain services { ${rules.join('\n')}
  }
  chain prerouting { type nat hook prerouting priority dstnat
    jump services
  }
  chain postrouting { type nat hook postrouting priority srcnat
    ct status dnat masquerade
  }
}
`;
  }
}

function targetPort(port: ServicePort, deployment: Deployment | undefined): number {
  if (typeof port.targetPort === 'number') return port.targetPort;
  const ports = deployment?.spec.template.spec.containers.flatMap((container) => container.ports ?? []);
  return ports?.find(({ name }) => name === port.targetPort)?.containerPort ?? port.port;
}

async function waitForPort(node: LanHost, address: string, port: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { status } = await node.runAsync([
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '--max-time',
      '1',
      `http://${address}:${port}/`,
    ]);
    if (status === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the replica at ${address}:${port} on ${node.name} does not answer`);
}

/** As a real API server wants addresses of endpoints (RFC 5952). */
function canonical(address: string): string {
  return formatAddress(parseAddress(address)!);
}

/** MetalLB itself is no web server: its pods are started by ChartPods. */
function isOurs(deployment: Deployment): boolean {
  return deployment.spec.template.spec.containers.some(({ image }) => image.includes('/metallb'));
}
