/**
 * Users with Services and pools: what they do, and what they may expect of addresses.
 * @module
 */
import { type KubernetesObject, SERVICE_NAME_LABEL, type Service } from '../src/core/api/kubernetes.ts';
import { Pools } from './pools.ts';
import { NAMESPACE } from './processes.ts';
import type { VirtualCluster } from './virtual-cluster.ts';

/** Longer than the grace of controller and speakers and than it takes another controller to lead, in milliseconds. */
const SETTLED = 30_000;
/** From a change until a controller knows of it whose watches are well, or knows that they are not, in milliseconds. */
const LAG = 5000;

/** What another than ours has written into a status. */
interface Intrusion {
  readonly addresses: string;
  /** The controller that knows what stood there before. Undefined: there was none. */
  readonly restorer: string | undefined;
}

export class Users {
  readonly #cluster: VirtualCluster;
  /** The address that each Service had last, and whether its owner has since asked for another. */
  readonly #held = new Map<
    string,
    { readonly addresses: string; readonly mayChange: boolean; readonly editedAt: number }
  >();
  /** What others have written into a status, until it is mended. */
  readonly #intruded = new Map<string, Intrusion>();
  /** What others have written into a status, and a controller that knew of nothing else has gone by, in this round of `checkStaying`. */
  readonly #adopted = new Map<string, string>();
  readonly pools: Pools;
  readonly #isDual: boolean;
  readonly #someAreLocal: boolean;
  #uid = 0;
  #checkedVersion = 0;

  /** `someAreLocal`: some Services have the traffic policy Local. */
  constructor(cluster: VirtualCluster, someAreLocal: boolean) {
    this.#cluster = cluster;
    this.#someAreLocal = someAreLocal;
    // Who owns an address, and which routes there are, is looked at for IPv4 alone.
    this.#isDual = cluster.nodes.length === 0;
    this.pools = new Pools(cluster, this.#isDual);
    cluster.api.put('l2advertisements', { metadata: { name: 'all', namespace: NAMESPACE }, ...{ spec: {} } });
  }

  createService(): void {
    const { api, random, clock } = this.#cluster;
    const name = `svc-${random.between(1, 12)}`;
    if (api.get('services', `default/${name}`) !== undefined) return;
    const stamp = new Array(8).fill('0').join('') + clock.now();
    const shares = random.chance(this.#someAreLocal ? 0.7 : 0.4);
    const annotations = shares ? { 'metallb.io/allow-shared-ip': `key-${random.between(1, 2)}` } : {};
    const port = shares ? random.between(80, 83) : 80;
    const metadata = {
      name,
      namespace: 'default',
      uid: `uid-${this.#uid++}`,
      creationTimestamp: stamp.slice(-12),
      annotations,
    };
    const isDual = this.#isDual && random.chance(0.4);
    const wish = !isDual && random.chance(0.2) ? { loadBalancerIP: `198.51.100.${random.between(0, 11)}` } : {};
    const ips = isDual
      ? { clusterIPs: ['10.96.0.1', 'fd00::1'], ipFamilyPolicy: 'RequireDualStack' }
      : { clusterIPs: ['10.96.0.1'] };
    const isLocal = this.#someAreLocal && random.chance(0.5);
    const policy = isLocal ? { externalTrafficPolicy: 'Local' as const } : {};
    const service: Service = {
      metadata,
      spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', ...ips, ports: [{ port }], ...wish, ...policy },
    };
    api.put('services', service);
    const slice = {
      metadata: { name: `${name}-1`, namespace: 'default', labels: { [SERVICE_NAME_LABEL]: name } },
      addressType: 'IPv4',
      endpoints: this.#endpoints(isLocal),
    };
    api.put('endpointslices', slice);
    this.#held.set(`default/${name}`, { addresses: '', mayChange: true, editedAt: clock.now() });
  }

  moveEndpoints(): void {
    this.#withService((key) => {
      const { api } = this.#cluster;
      const isLocal = (api.get('services', key) as Service).spec?.externalTrafficPolicy === 'Local';
      api.put('endpointslices', {
        ...api.get('endpointslices', `${key}-1`)!,
        ...{ endpoints: this.#endpoints(isLocal) },
      });
    });
  }

  /** Where it matters on which nodes they are, they are on some. */
  #endpoints(isLocal: boolean): object[] {
    const { nodes, random } = this.#cluster;
    const some = isLocal ? nodes.filter(() => random.chance(0.4)) : nodes;
    return some.map((nodeName) => ({ addresses: ['10.244.0.1'], nodeName, conditions: { ready: true } }));
  }

  deleteService(): void {
    this.#withService((key) => {
      this.#held.delete(key);
      this.#cluster.api.remove('services', key);
      this.#cluster.api.remove('endpointslices', `${key}-1`);
    });
  }

  askForAddress(): void {
    this.#withService((key) => {
      if (isDual(this.#cluster.api.get('services', key)!)) return;
      this.#edit(key, { loadBalancerIP: `198.51.100.${this.#cluster.random.between(0, 11)}` });
    });
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

  /** Another controller adds to a status, or says twice what it says. */
  addToStatus(): void {
    const { random } = this.#cluster;
    this.#withService((key, had) => {
      if (had.length > 0) this.#intrude(key, [...had, random.pick([had[0]!, `203.0.113.${random.between(0, 255)}`])!]);
    });
  }

  /**
   * On a healthy cluster: whatever administrators do to pools, other controllers to statuses, and whoever restarts ours, no Service loses an
   * address that is valid before and after.
   */
  checkStaying(pass: (milliseconds: number) => void): void {
    const { random } = this.#cluster;
    const restart = () => this.#cluster.withLeader((leader) => leader.kill());
    const [name, act] = random.pick<readonly [string, () => void]>([
      ['a pool is split, or joined again', () => this.pools.splitOrJoin(random.between(0, 3000))],
      ['addresses are renumbered', () => this.pools.renumber()],
      ['a status is overwritten', () => this.#overwriteStatus()],
      ['a status is added to, and the controller restarted', () => [this.addToStatus(), restart()]],
      ['the API server was away and addresses were renumbered', () => this.#outage()],
      ['the controller is restarted while pools change', () => [restart(), this.pools.splitOrJoin(1000)]],
    ])!;
    const before = new Map(this.wanting.map(({ metadata }) => [metadata.name, listOf(this.addressOf(metadata.name))]));
    const wereValid = new Map([...before].map(([key, had]) => [key, had.filter((each) => this.pools.poolOf(each))]));
    this.#adopted.clear();
    act();
    pass(SETTLED);
    for (const [service, knownBefore] of wereValid) {
      const has = listOf(this.addressOf(service));
      const adopted = this.#adopted.get(`default/${service}`);
      const had = adopted === undefined ? knownBefore : listOf(adopted);
      const valid = had.filter((each) => this.pools.poolOf(each) !== undefined);
      const isOfOnePool = new Set(valid.map((each) => this.pools.poolOf(each))).size < 2;
      const lost = lostOf(valid, has);
      if (isOfOnePool ? lost.length > 0 : lost.length > 1)
        this.#cluster.violated(`${service} had ${had.join()} and has ${has.join() || 'nothing'} after ${name}`);
    }
  }

  /** Services that want an address. */
  get wanting(): Service[] {
    return this.#services.filter(({ spec }) => spec?.type === 'LoadBalancer');
  }

  /** Names of the Services that have an address. */
  get served(): readonly string[] {
    return this.wanting.filter((service) => addressesOf(service) !== '').map(({ metadata }) => metadata.name);
  }

  service(name: string): Service {
    return this.#cluster.api.get('services', `default/${name}`) as Service;
  }

  /** The address of a Service. */
  addressOf(name: string): string {
    return addressesOf(this.#cluster.api.get('services', `default/${name}`)!);
  }

  get addresses(): ReadonlySet<string> {
    return new Set(this.wanting.flatMap((service) => listOf(addressesOf(service))));
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
      const intrusion = this.#intruded.get(key);
      if (intrusion?.addresses === now) continue;
      this.#intruded.delete(key);
      for (const address of listOf(now)) {
        const others = holders.get(address) ?? [];
        const clash = others.find((other) => !mayShare(service, other));
        if (clash !== undefined) this.#cluster.violated(`${address} is held by ${clash.metadata.name} and by ${name}`);
        holders.set(address, [...others, service]);
      }
      const before = this.#held.get(key);
      if (before === undefined || before.addresses === now) continue;
      const hasCause = (had: readonly string[]) =>
        lostOf(had, listOf(now)).every((address) => this.pools.mayLose(address, had));
      // Whoever begins to lead goes by what the status says: nothing else says what stood there before somebody overwrote it.
      const isUnknown = intrusion !== undefined && intrusion.restorer !== this.#cluster.leaseholder;
      const isAdopted = isUnknown && !hasCause(listOf(before.addresses)) && hasCause(listOf(intrusion.addresses));
      if (isAdopted) this.#adopted.set(key, intrusion.addresses);
      const had = listOf(isAdopted ? intrusion.addresses : before.addresses);
      for (const address of listOf(now))
        if (!had.includes(address) && before.editedAt - this.pools.lastCovered(address) > LAG)
          this.#cluster.violated(`${name} got ${address}, which had left the pools before ${name} was what it is`);
      if (!before.mayChange && !hasCause(had))
        this.#cluster.violated(`${name} changed from ${before.addresses} to ${now || 'nothing'} without a cause`);
      // A Service that was edited may change until it has an address again.
      this.#held.set(key, { ...before, addresses: now, mayChange: now === '' });
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
        const free = this.pools.addresses('ipv4').filter((candidate) => !addresses.has(candidate));
        const fits = free.filter((candidate) => !isDual(service) || this.#hasFree('ipv6', candidate));
        const couldHave = wish === undefined ? fits.length > 0 : free.includes(wish);
        if (couldHave) this.#cluster.violated(`${name} has no address although ${wish ?? fits[0]} is free`);
      } else if (isDual(service)) {
        const [first, second] = listOf(address);
        const missing = first!.includes(':') ? 'ipv4' : 'ipv6';
        if (second === undefined && this.#hasFree(missing, first!))
          this.#cluster.violated(`${name} has ${address} although its pool has a free one of ${missing}`);
      } else if (wish !== undefined && wish !== address)
        this.#cluster.violated(`${name} asked for ${wish} and has ${address}`);
    }
  }

  get #services(): Service[] {
    return this.#cluster.api.all('services') as Service[];
  }

  /** The pool of this address has one of the other family, too. */
  #hasFree(family: 'ipv4' | 'ipv6', beside: string): boolean {
    const { addresses } = this;
    const isFree = (each: string) => !addresses.has(each) && this.pools.poolOf(each) === this.pools.poolOf(beside);
    return this.pools.addresses(family).some(isFree);
  }

  /** Pools change long before a Service comes; when the server is back, watches come back one by one. */
  #outage(): void {
    const { api, clock, random } = this.#cluster;
    api.isUp = false;
    api.resetWatches();
    this.pools.renumber();
    clock.after(LAG + 500, () => this.createService());
    clock.after(LAG + random.between(1000, 4000), () => {
      api.isUp = true;
    });
  }

  #overwriteStatus(): void {
    const { random } = this.#cluster;
    this.#withService((key, had) => {
      const { addresses } = this;
      const free = this.pools.addresses('ipv4').find((each) => !addresses.has(each)) ?? '203.0.113.1';
      if (had.length > 0) this.#intrude(key, random.pick([[], [free], [free, ...had], [had[0]!, had[0]!]])!);
    });
  }

  #intrude(key: string, addresses: readonly string[]): void {
    const old = this.#cluster.api.get('services', key) as Service;
    this.#intruded.set(key, { addresses: addresses.join(), restorer: this.#cluster.restorer });
    const ingress = addresses.map((ip) => ({ ip }));
    const intruded: Service = { ...old, status: { ...old.status, loadBalancer: { ingress } } };
    this.#cluster.api.put('services', intruded);
  }

  #withService(act: (key: string, had: readonly string[]) => void): void {
    const service = this.#cluster.random.pick(this.#services);
    if (service === undefined) return;
    const key = `default/${service.metadata.name}`;
    act(key, this.#intruded.has(key) ? [] : listOf(addressesOf(service)));
  }

  #edit(key: string, spec: object): void {
    const old = this.#cluster.api.get('services', key) as Service;
    const addresses = this.#held.get(key)?.addresses ?? addressesOf(old);
    this.#held.set(key, { addresses, mayChange: true, editedAt: this.#cluster.clock.now() });
    const edited: Service = { ...old, spec: { ...old.spec, ...spec } };
    this.#cluster.api.put('services', edited);
  }
}

function isDual(service: KubernetesObject): boolean {
  return (service as Service).spec?.clusterIPs?.length === 2;
}

function listOf(addresses: string): string[] {
  return addresses.split(',').filter(Boolean);
}

/** What it had and has no more, unless it has another that it had of that family: nobody keeps two of one. */
function lostOf(had: readonly string[], has: readonly string[]): string[] {
  const families = has.filter((address) => had.includes(address)).map(isIpv6);
  return had.filter((address) => !families.includes(isIpv6(address)));
}

function isIpv6(address: string): boolean {
  return address.includes(':');
}

function mayShare(a: Service, b: Service): boolean {
  const key = (service: Service) => service.metadata.annotations?.['metallb.io/allow-shared-ip'];
  return key(a) !== undefined && key(a) === key(b) && a.spec?.ports?.[0]?.port !== b.spec?.ports?.[0]?.port;
}

function addressesOf(service: KubernetesObject): string {
  return ((service as Service).status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join();
}
