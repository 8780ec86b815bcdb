/**
 * Users with Services and pools: what they do, and what they may expect of addresses.
 * @module
 */
import { type KubernetesObject, SERVICE_NAME_LABEL, type Service } from '../src/core/api/kubernetes.ts';
import { NAMESPACE } from './processes.ts';
import type { VirtualCluster } from './virtual-cluster.ts';

const POOL_SIZE = 8;
const LARGEST_POOL = 12;

export class Users {
  readonly #cluster: VirtualCluster;
  /** The address that each Service had last, and whether its owner has since asked for another. */
  readonly #held = new Map<string, { readonly addresses: string; readonly mayChange: boolean }>();
  #poolSize = POOL_SIZE;
  #uid = 0;
  #checkedVersion = 0;

  constructor(cluster: VirtualCluster) {
    this.#cluster = cluster;
    this.#putPool();
    cluster.api.put('l2advertisements', { metadata: { name: 'all', namespace: NAMESPACE }, ...{ spec: {} } });
  }

  createService(): void {
    const { api, random, clock, nodes } = this.#cluster;
    const name = `svc-${random.between(1, 12)}`;
    if (api.get('services', `default/${name}`) !== undefined) return;
    const stamp = new Array(8).fill('0').join('') + clock.now();
    const shares = random.chance(0.4);
    const annotations = shares ? { 'metallb.io/allow-shared-ip': `key-${random.between(1, 2)}` } : {};
    const port = shares ? random.between(80, 83) : 80;
    const metadata = {
      name,
      namespace: 'default',
      uid: `uid-${this.#uid++}`,
      creationTimestamp: stamp.slice(-12),
      annotations,
    };
    const wish = random.chance(0.2) ? { loadBalancerIP: `198.51.100.${random.between(0, 11)}` } : {};
    const service: Service = {
      metadata,
      spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port }], ...wish },
    };
    api.put('services', service);
    const slice = {
      metadata: { name: `${name}-1`, namespace: 'default', labels: { [SERVICE_NAME_LABEL]: name } },
      addressType: 'IPv4',
      endpoints: nodes.map((nodeName) => ({ addresses: ['10.244.0.1'], nodeName, conditions: { ready: true } })),
    };
    api.put('endpointslices', slice);
    this.#held.set(`default/${name}`, { addresses: '', mayChange: true });
  }

  deleteService(): void {
    this.#withService((key) => {
      this.#held.delete(key);
      this.#cluster.api.remove('services', key);
      this.#cluster.api.remove('endpointslices', `${key}-1`);
    });
  }

  askForAddress(): void {
    this.#withService((key) =>
      this.#edit(key, { loadBalancerIP: `198.51.100.${this.#cluster.random.between(0, 11)}` }),
    );
  }

  becomeClusterIp(): void {
    this.#withService((key) => this.#edit(key, { type: 'ClusterIP', loadBalancerIP: undefined }));
  }

  becomeLoadBalancer(): void {
    this.#withService((key) => this.#edit(key, { type: 'LoadBalancer' }));
  }

  changeLabel(): void {
    const { api, clock } = this.#cluster;
    this.#withService((key) => {
      const old = api.get('services', key)!;
      api.put('services', { ...old, metadata: { ...old.metadata, labels: { touched: String(clock.now()) } } });
    });
  }

  growPool(): void {
    this.#poolSize = Math.min(LARGEST_POOL, this.#poolSize + 1);
    this.#putPool();
  }

  /** Services that want an address. */
  get wanting(): Service[] {
    return this.#services.filter(({ spec }) => spec?.type === 'LoadBalancer');
  }

  /** Names of the Services that have an address. */
  get served(): readonly string[] {
    return this.wanting.filter((service) => addressesOf(service) !== '').map(({ metadata }) => metadata.name);
  }

  /** The address of a Service. */
  addressOf(name: string): string {
    return addressesOf(this.#cluster.api.get('services', `default/${name}`)!);
  }

  get addresses(): ReadonlySet<string> {
    return new Set(this.wanting.map(addressesOf).filter(Boolean));
  }

  /** What holds at every moment: no address in use is given to another Service, and none changes without a cause. */
  checkAlways(): void {
    const { api } = this.#cluster;
    const version = api.versionOf('services');
    if (version === this.#checkedVersion) return;
    this.#checkedVersion = version;
    const holders = new Map<string, Service[]>();
    for (const service of this.#services) {
      const { name } = service.metadata;
      const key = `default/${name}`;
      const now = addressesOf(service);
      for (const address of now.split(',').filter(Boolean)) {
        const others = holders.get(address) ?? [];
        const clash = others.find((other) => !mayShare(service, other));
        if (clash !== undefined) this.#cluster.violated(`${address} is held by ${clash.metadata.name} and by ${name}`);
        holders.set(address, [...others, service]);
      }
      const before = this.#held.get(key);
      if (before === undefined || before.addresses === now) continue;
      if (before.addresses !== '' && !before.mayChange)
        this.#cluster.violated(`${name} changed from ${before.addresses} to ${now || 'nothing'} without a cause`);
      // A Service that was edited may change until it has an address again.
      this.#held.set(key, { addresses: now, mayChange: now === '' });
    }
  }

  /** What holds once all faults are over: every Service that can have an address has one, and the one it asked for. */
  checkRest(): void {
    const { addresses } = this;
    for (const service of this.#services) {
      const address = addressesOf(service);
      const { name } = service.metadata;
      const { type, loadBalancerIP: wish } = service.spec ?? {};
      if (type !== 'LoadBalancer') {
        if (address !== '') this.#cluster.violated(`${name} is no LoadBalancer and has ${address}`);
      } else if (address === '') {
        const free = Array.from({ length: this.#poolSize }, (_, i) => `198.51.100.${i}`).filter(
          (candidate) => !addresses.has(candidate),
        );
        const couldHave = wish === undefined ? free.length > 0 : free.includes(wish);
        if (couldHave) this.#cluster.violated(`${name} has no address although ${wish ?? free[0]} is free`);
      } else if (wish !== undefined && wish !== address)
        this.#cluster.violated(`${name} asked for ${wish} and has ${address}`);
    }
  }

  get #services(): Service[] {
    return this.#cluster.api.all('services') as Service[];
  }

  #withService(act: (key: string) => void): void {
    const service = this.#cluster.random.pick(this.#services);
    if (service !== undefined) act(`default/${service.metadata.name}`);
  }

  #edit(key: string, spec: object): void {
    const old = this.#cluster.api.get('services', key) as Service;
    this.#held.set(key, { addresses: addressesOf(old), mayChange: true });
    const edited: Service = { ...old, spec: { ...old.spec, ...spec } };
    this.#cluster.api.put('services', edited);
  }

  #putPool(): void {
    const spec = { addresses: [`198.51.100.0-198.51.100.${this.#poolSize - 1}`] };
    this.#cluster.api.put('ipaddresspools', {
      metadata: { name: 'pool', namespace: NAMESPACE, creationTimestamp: '2026-01-01T00:00:00Z' },
      ...{ spec },
    });
  }
}

function mayShare(a: Service, b: Service): boolean {
  const key = (service: Service) => service.metadata.annotations?.['metallb.io/allow-shared-ip'];
  return key(a) !== undefined && key(a) === key(b) && a.spec?.ports?.[0]?.port !== b.spec?.ports?.[0]?.port;
}

function addressesOf(service: KubernetesObject): string {
  return ((service as Service).status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join();
}
