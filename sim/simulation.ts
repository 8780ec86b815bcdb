/**
 * One run of the whole system from a seed: users who create, change and delete, and everything that can go wrong.
 * What must always hold is checked after every happening, what must hold at rest when all faults are over.
 * @module
 */
import type { KubernetesObject, Service } from '../src/core/api/kubernetes.ts';
import { SERVICE_NAME_LABEL } from '../src/core/api/kubernetes.ts';
import { VirtualClock } from './clock.ts';
import { LIVENESS, SimController, SimSpeaker } from './processes.ts';
import { Random } from './random.ts';
import { VirtualApi } from './virtual-api.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes?: number;
  /** Happenings of the users and of fate. */
  readonly steps?: number;
  /** Share of liveness messages that get lost, 0 to 1. */
  readonly loss?: number;
}

export interface SimulationReport {
  readonly seed: number;
  /** Empty when all is well. */
  readonly violations: readonly string[];
  /** Milliseconds from the death of an owner until another node answered, for every planned probe. */
  readonly failovers: readonly number[];
  readonly happenings: readonly string[];
}

/** Time to come to rest after the last fault, in virtual milliseconds: the longest sleep, a Lease that runs out, the longest back-off. */
const REST = 90_000;
/** A failover may take the missed pings, one more interval, and what the steps in between take. */
const FAILOVER_BOUND = LIVENESS.interval * (LIVENESS.misses + 1) + 100;
/** How long a speaker that is asked to end waits for successors, as the process does. */
const LEAVE_GRACE = 1500;
const POOL_SIZE = 8;

export function simulate(options: SimulationOptions): SimulationReport {
  return new Simulation(options).run();
}

class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #clock = new VirtualClock();
  readonly #api = new VirtualApi();
  readonly #speakers = new Map<string, SimSpeaker>();
  readonly #names: readonly string[];
  readonly #steps: number;
  readonly #loss: number;
  readonly #violations: string[] = [];
  readonly #failovers: number[] = [];
  readonly #happenings: string[] = [];
  /** The address that each Service had last, and whether its owner has since asked for another. */
  readonly #held = new Map<string, { readonly addresses: string; readonly mayChange: boolean }>();
  /** Two, but for moments in which one of them is being replaced. */
  readonly #controllers = new Set<SimController>();
  /** What does not get through on the network now. */
  readonly #cuts = new Set<(from: string, to: string) => boolean>();
  #launched = 0;
  #poolSize = POOL_SIZE;
  #uid = 0;
  #checkedVersion = 0;
  constructor({ seed, nodes = 4, steps = 40, loss = 0.02 }: SimulationOptions) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#names = Array.from({ length: nodes }, (_, i) => `node-${i + 1}`);
    this.#steps = steps;
    this.#loss = loss;
  }

  run(): SimulationReport {
    this.#furnish();
    this.#startController();
    this.#startController();
    for (const name of this.#names) this.#startSpeaker(name);
    this.#pass(2000);
    for (let i = 0; i < this.#steps; i++) {
      this.#happen();
      this.#pass(this.#random.between(0, 600));
    }
    this.#heal();
    this.#pass(REST);
    this.#checkRest();
    [() => this.#checkFailover(), () => this.#checkMove(), () => this.#checkDrain()][this.#random.between(0, 2)]!();
    return { seed: this.#seed, violations: this.#violations, failovers: this.#failovers, happenings: this.#happenings };
  }

  get #environment() {
    return { api: this.#api, clock: this.#clock, random: this.#random };
  }

  #pass(milliseconds: number): void {
    this.#clock.runUntil(this.#clock.now + milliseconds, () => this.#checkAlways());
  }

  #furnish(): void {
    for (const [i, name] of this.#names.entries()) {
      this.#api.put('nodes', { metadata: { name } });
      const pod = {
        metadata: { name: `speaker-${name}`, namespace: 'metallb-system' },
        spec: { nodeName: name },
        status: { podIP: `192.0.2.${i + 1}` },
      };
      this.#api.put('pods', pod);
    }
    this.#putPool();
    this.#api.put('l2advertisements', { metadata: { name: 'all', namespace: 'metallb-system' }, ...{ spec: {} } });
  }

  #putPool(): void {
    const spec = { addresses: [`198.51.100.0-198.51.100.${this.#poolSize - 1}`] };
    this.#api.put('ipaddresspools', {
      metadata: { name: 'pool', namespace: 'metallb-system', creationTimestamp: '2026-01-01T00:00:00Z' },
      ...{ spec },
    });
  }

  #startSpeaker(name: string): void {
    const index = this.#names.indexOf(name) + 1;
    const send = (message: Parameters<SimSpeaker['hear']>[0], to: string) => {
      const target = this.#names[Number(to.split('.').at(-1)) - 1]!;
      if (this.#random.chance(this.#loss) || this.#isCut(name, target)) return;
      this.#clock.after(this.#random.between(0, 3), () => this.#speakers.get(target)?.hear(message));
    };
    const broadcast = (bytes: Uint8Array) =>
      this.#clock.after(this.#random.between(0, 2), () => {
        for (const [other, speaker] of this.#speakers)
          if (other !== name && !this.#isCut(name, other)) speaker.see(bytes);
      });
    this.#speakers.set(name, new SimSpeaker(this.#environment, name, index, send, broadcast));
  }

  /** One thing that users do or that goes wrong. */
  #happen(): void {
    const [name, act] = this.#random.pick(this.#repertoire)!;
    this.#happenings.push(`${this.#clock.now} ${name}`);
    act();
  }

  readonly #repertoire: readonly (readonly [string, () => void])[] = [
    ['a Service is created', () => this.#createService()],
    ['a Service is created', () => this.#createService()],
    ['a Service is created', () => this.#createService()],
    ['a Service is deleted', () => this.#withService((key) => this.#deleteService(key))],
    [
      'a Service asks for an address',
      () =>
        this.#withService((key) =>
          this.#editService(key, { loadBalancerIP: `198.51.100.${this.#random.between(0, 11)}` }),
        ),
    ],
    [
      'a Service becomes ClusterIP',
      () => this.#withService((key) => this.#editService(key, { type: 'ClusterIP', loadBalancerIP: undefined })),
    ],
    [
      'a Service becomes LoadBalancer',
      () => this.#withService((key) => this.#editService(key, { type: 'LoadBalancer' })),
    ],
    ['a label changes', () => this.#withService((key) => this.#touchService(key))],
    ['the pool grows', () => this.#growPool()],
    ['a controller is killed', () => this.#withController((controller) => controller.kill())],
    ['a controller is asked to end', () => this.#withController((controller) => controller.end())],
    [
      'a controller sleeps',
      () => this.#withController((controller) => controller.sleep(this.#random.between(50, 25_000))),
    ],
    [
      'the leader dies at one of its next writes',
      () => this.#withLeader((leader) => leader.dieAt(this.#random.between(1, 4), this.#random.chance(0.5))),
    ],
    ['a speaker is killed', () => this.#killSpeaker()],
    ['a speaker is killed', () => this.#killSpeaker()],
    ['a speaker is asked to end', () => this.#endSpeaker()],
    ['a node is drained, or no longer', () => this.#drain(this.#random.pick(this.#names), this.#random.chance(0.5))],
    ['a speaker starts again', () => this.#reviveSpeaker()],
    ['a speaker collects garbage', () => this.#withSpeaker((speaker) => speaker.sleep(300))],
    ['a speaker stands still', () => this.#withSpeaker((speaker) => speaker.sleep(2000))],
    ['a link flaps', () => this.#withSpeaker(({ name }) => this.#pullCable(name, this.#random.between(20, 3000)))],
    ['a path is cut one way', () => this.#cutOneWay()],
    ['the network is parted', () => this.#part()],
    ['the API server goes away', () => this.#outage()],
    ['watches are reset', () => this.#api.resetWatches()],
    ['the history is compacted', () => this.#compact()],
  ];

  #createService(): void {
    const name = `svc-${this.#random.between(1, 12)}`;
    if (this.#api.get('services', `default/${name}`) !== undefined) return;
    const stamp = new Array(8).fill('0').join('') + this.#clock.now;
    const shares = this.#random.chance(0.4);
    const annotations = shares ? { 'metallb.io/allow-shared-ip': `key-${this.#random.between(1, 2)}` } : {};
    const port = shares ? this.#random.between(80, 83) : 80;
    const metadata = {
      name,
      namespace: 'default',
      uid: `uid-${this.#uid++}`,
      creationTimestamp: stamp.slice(-12),
      annotations,
    };
    const wish = this.#random.chance(0.2) ? { loadBalancerIP: `198.51.100.${this.#random.between(0, 11)}` } : {};
    const service: Service = {
      metadata,
      spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port }], ...wish },
    };
    this.#api.put('services', service);
    const slice = {
      metadata: { name: `${name}-1`, namespace: 'default', labels: { [SERVICE_NAME_LABEL]: name } },
      addressType: 'IPv4',
      endpoints: this.#names.map((nodeName) => ({ addresses: ['10.244.0.1'], nodeName, conditions: { ready: true } })),
    };
    this.#api.put('endpointslices', slice);
    this.#held.set(`default/${name}`, { addresses: '', mayChange: true });
  }

  #withService(act: (key: string) => void): void {
    const service = this.#random.pick(this.#api.all('services'));
    if (service !== undefined) act(`default/${service.metadata.name}`);
  }

  #deleteService(key: string): void {
    this.#held.delete(key);
    this.#api.remove('services', key);
    this.#api.remove('endpointslices', `${key}-1`);
  }

  #editService(key: string, spec: object): void {
    const old = this.#api.get('services', key) as Service;
    this.#held.set(key, { addresses: addressesOf(old), mayChange: true });
    const edited: Service = { ...old, spec: { ...old.spec, ...spec } };
    this.#api.put('services', edited);
  }

  #touchService(key: string): void {
    const old = this.#api.get('services', key)!;
    this.#api.put('services', { ...old, metadata: { ...old.metadata, labels: { touched: String(this.#clock.now) } } });
  }

  #growPool(): void {
    this.#poolSize = Math.min(12, this.#poolSize + 1);
    this.#putPool();
  }

  #startController(): void {
    const controller = new SimController(this.#environment, `controller-${++this.#launched}`, () => {
      this.#controllers.delete(controller);
      // The shortest pause is longer than a request on its way: a process takes that long to start.
      this.#clock.after(this.#random.between(50, 2000), () => this.#startController());
    });
    this.#controllers.add(controller);
  }

  #withController(act: (controller: SimController) => void): void {
    const controller = this.#random.pick([...this.#controllers]);
    if (controller !== undefined) act(controller);
  }

  #withLeader(act: (controller: SimController) => void): void {
    const leader = [...this.#controllers].find(({ leads }) => leads);
    if (leader !== undefined) act(leader);
  }

  #killSpeaker(): void {
    if (this.#speakers.size < 2) return;
    const name = this.#random.pick([...this.#speakers.keys()])!;
    this.#speakers.get(name)!.kill();
    this.#speakers.delete(name);
  }

  #drain(name: string | undefined, isDrained: boolean): void {
    if (name === undefined) return;
    const annotations = isDrained ? { 'metallb.io/drain': 'true' } : {};
    this.#api.put('nodes', { metadata: { name, annotations } });
  }

  #endSpeaker(): void {
    const running = [...this.#speakers.values()].filter(({ ending }) => !ending);
    if (running.length < 2) return;
    this.#end(this.#random.pick(running)!);
  }

  #end(speaker: SimSpeaker): void {
    speaker.end();
    this.#clock.after(LEAVE_GRACE, () => {
      speaker.kill();
      if (this.#speakers.get(speaker.name) === speaker) this.#speakers.delete(speaker.name);
    });
  }

  #withSpeaker(act: (speaker: SimSpeaker) => void): void {
    const speaker = this.#random.pick([...this.#speakers.values()]);
    if (speaker !== undefined) act(speaker);
  }

  /** The node notices at both ends of it, as a carrier does. */
  #pullCable(name: string, milliseconds: number): void {
    this.#speakers.get(name)?.setLink(false);
    this.#fault(milliseconds, (from, to) => from === name || to === name);
    this.#clock.after(milliseconds, () => this.#speakers.get(name)?.setLink(true));
  }

  #cutOneWay(): void {
    const [a, b] = [this.#random.pick(this.#names), this.#random.pick(this.#names)];
    const all = this.#random.chance(0.3);
    this.#fault(this.#random.between(100, 5000), (from, to) => from === a && (all || to === b));
  }

  #part(): void {
    const side = new Set(this.#names.filter(() => this.#random.chance(0.5)));
    this.#fault(this.#random.between(100, 8000), (from, to) => side.has(from) !== side.has(to));
  }

  #fault(milliseconds: number, cuts: (from: string, to: string) => boolean): void {
    this.#cuts.add(cuts);
    this.#clock.after(milliseconds, () => this.#cuts.delete(cuts));
  }

  #isCut(from: string, to: string): boolean {
    for (const cuts of this.#cuts) if (cuts(from, to)) return true;
    return false;
  }

  #reviveSpeaker(): void {
    const name = this.#random.pick(this.#names.filter((candidate) => !this.#speakers.has(candidate)));
    if (name !== undefined) this.#startSpeaker(name);
  }

  #outage(): void {
    this.#api.isUp = false;
    this.#api.resetWatches();
    const longest = this.#random.chance(0.1) ? 60_000 : 5000;
    this.#clock.after(this.#random.between(10, longest), () => {
      this.#api.isUp = true;
    });
  }

  #compact(): void {
    this.#api.compact();
    this.#api.resetWatches();
  }

  #heal(): void {
    this.#clock.after(6000, () => {
      this.#api.isUp = true;
    });
    for (const name of this.#names) this.#drain(name, false);
    while (this.#speakers.size < Math.min(2, this.#names.length)) this.#reviveSpeaker();
  }

  #violated(text: string): void {
    if (this.#violations.length < 10) this.#violations.push(`${this.#clock.now} ms: ${text}`);
  }

  /** Invariants that never rest. */
  #checkAlways(): void {
    if (this.#api.version === this.#checkedVersion) return;
    this.#checkedVersion = this.#api.version;
    const holders = new Map<string, Service[]>();
    for (const service of this.#api.all('services') as Service[]) {
      const { name } = service.metadata;
      const key = `default/${name}`;
      const now = addressesOf(service);
      for (const address of now.split(',').filter(Boolean)) {
        const others = holders.get(address) ?? [];
        const clash = others.find((other) => !mayShare(service, other));
        if (clash !== undefined) this.#violated(`${address} is held by ${clash.metadata.name} and by ${name}`);
        holders.set(address, [...others, service]);
      }
      const before = this.#held.get(key);
      if (before === undefined || before.addresses === now) continue;
      if (before.addresses !== '' && !before.mayChange)
        this.#violated(`${name} changed from ${before.addresses} to ${now || 'nothing'} without a cause`);
      // A Service that was edited may change until it has an address again.
      this.#held.set(key, { addresses: now, mayChange: now === '' });
    }
  }

  /** Everything that has to be true once nothing goes wrong any more. */
  #checkRest(): void {
    const services = (this.#api.all('services') as Service[]).filter(({ spec }) => spec?.type === 'LoadBalancer');
    const inUse = new Set(services.map(addressesOf).filter(Boolean));
    for (const service of services) {
      const address = addressesOf(service);
      const { name } = service.metadata;
      const wish = service.spec?.loadBalancerIP;
      if (address === '') {
        const free = Array.from({ length: this.#poolSize }, (_, i) => `198.51.100.${i}`).filter(
          (candidate) => !inUse.has(candidate),
        );
        const couldHave = wish === undefined ? free.length > 0 : free.includes(wish);
        if (couldHave) this.#violated(`${name} has no address although ${wish ?? free[0]} is free`);
        continue;
      }
      if (wish !== undefined && wish !== address) this.#violated(`${name} asked for ${wish} and has ${address}`);
      if (this.#names.length === 0) continue;
      const owners = this.#ownersOf(address);
      if (owners.length !== 1) this.#violated(`${address} of ${name} is answered by [${owners.join(', ')}]`);
    }
    for (const speaker of this.#speakers.values()) {
      for (const address of speaker.announced) {
        if (!inUse.has(address)) this.#violated(`${speaker.name} announces ${address}, which no Service has`);
      }
    }
    for (const service of this.#api.all('services') as Service[]) {
      if (service.spec?.type !== 'LoadBalancer' && addressesOf(service) !== '')
        this.#violated(`${service.metadata.name} is no LoadBalancer and has ${addressesOf(service)}`);
    }
  }

  /** Kills the owner of an address on a healthy network and waits for the next one. */
  #checkFailover(): void {
    const { address, owner } = this.#moveable() ?? {};
    if (address === undefined || owner === undefined) return;
    this.#speakers.get(owner)!.kill();
    this.#speakers.delete(owner);
    const died = this.#clock.now;
    while (this.#ownersOf(address).length === 0 && this.#clock.now - died < 10_000) this.#pass(5);
    const took = this.#clock.now - died;
    this.#failovers.push(took);
    if (took > FAILOVER_BOUND) this.#violated(`failover of ${address} took ${took} ms`);
  }

  /** An address that somebody has, and its owner; undefined when there is no other node to move it to. */
  #moveable(): { readonly address: string; readonly owner: string } | undefined {
    const services = (this.#api.all('services') as Service[]).filter(({ spec }) => spec?.type === 'LoadBalancer');
    const address = services.map(addressesOf).find(Boolean);
    if (address === undefined || this.#speakers.size < 2) return undefined;
    const [owner] = this.#ownersOf(address);
    return owner === undefined ? undefined : { address, owner };
  }

  /** Lets time pass in which somebody has to answer at every moment, and says who does at the end. */
  #watch(address: string, milliseconds: number, what: string): string {
    for (let i = 0; i < milliseconds; i++) {
      this.#pass(1);
      if (this.#ownersOf(address).length > 0) continue;
      this.#violated(`nobody answered for ${address} ${i} ms after ${what}`);
      return '';
    }
    return this.#ownersOf(address).join();
  }

  /** An owner that loss made look unsteady is passed over for as long as that is remembered: then somebody has the address, no more. */
  #checkReturn(address: string, owner: string, what: string): void {
    const final = this.#watch(address, 3000, what);
    if (final !== owner && this.#loss === 0) this.#violated(`${address} came back to [${final}] and not to ${owner}`);
  }

  /** A speaker is asked to end, and comes back. */
  #checkMove(): void {
    const { address, owner } = this.#moveable() ?? {};
    if (address === undefined || owner === undefined) return;
    this.#end(this.#speakers.get(owner)!);
    const successor = this.#watch(address, LEAVE_GRACE + 500, 'its owner was asked to end');
    if (successor.includes(owner) || successor.includes(','))
      this.#violated(`after ${owner} was asked to end ${address} is answered by [${successor}]`);
    this.#startSpeaker(owner);
    this.#checkReturn(address, owner, 'its owner came back');
  }

  /** A node is drained, and no longer. */
  #checkDrain(): void {
    const { address, owner } = this.#moveable() ?? {};
    if (address === undefined || owner === undefined) return;
    this.#drain(owner, true);
    const successor = this.#watch(address, 3000, 'its owner was drained');
    if (successor.includes(owner) || successor.includes(','))
      this.#violated(`after ${owner} was drained ${address} is answered by [${successor}]`);
    this.#drain(owner, false);
    this.#checkReturn(address, owner, 'its owner was no longer drained');
  }

  #ownersOf(address: string): string[] {
    return [...this.#speakers.values()].filter((speaker) => speaker.answers(address)).map(({ name }) => name);
  }
}

function mayShare(a: Service, b: Service): boolean {
  const key = (service: Service) => service.metadata.annotations?.['metallb.io/allow-shared-ip'];
  return key(a) !== undefined && key(a) === key(b) && a.spec?.ports?.[0]?.port !== b.spec?.ports?.[0]?.port;
}

function addressesOf(service: KubernetesObject): string {
  return ((service as Service).status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join();
}
