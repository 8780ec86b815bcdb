/**
 * A cluster in virtual time: nodes on a LAN, an API server, two controllers, a speaker on every node; and everything that can go wrong.
 * @module
 */
import { createHash } from 'node:crypto';
import type { EndpointSlice, KubernetesObject, Service } from '../src/core/api/kubernetes.ts';
import { VirtualClock } from './clock.ts';
import { hostileMessage } from './hostile-member.ts';
import { ControllerProcess, type Environment, macOf, NAMESPACE, SPEAKER_LABELS, SpeakerProcess } from './processes.ts';
import { Random } from './random.ts';
import { VirtualApi } from './virtual-api.ts';
import { VirtualLan } from './virtual-lan.ts';
import { ROUTER, type RouterSettings, VirtualRouter } from './virtual-router.ts';
import { type VirtualHost, VirtualNetwork } from './virtual-tcp.ts';
import { claimBy } from './virtual-wire.ts';

/** Milliseconds that a speaker which is asked to end is let live: terminationGracePeriodSeconds of its Pod. */
const LEAVE_GRACE = 5000;

/** Milliseconds that it takes on a healthy network: it waits for successors for a second and a half, and for the API server. */
export const LEAVE_TIME = 2000;

/** A label of nodes. */
export const ZONES = ['a', 'b'] as const;
export type Zone = (typeof ZONES)[number];

export class VirtualCluster {
  readonly random: Random;
  readonly clock = new VirtualClock();
  readonly api: VirtualApi;
  readonly nodes: readonly string[];
  /** The first few violations. */
  readonly violations: string[] = [];
  /** By node. */
  readonly speakers = new Map<string, SpeakerProcess>();
  /** Two, except while one of them is being replaced. */
  readonly #controllers = new Set<ControllerProcess>();
  readonly #environment: Environment;
  /** By node. */
  readonly #hosts: ReadonlyMap<string, VirtualHost>;
  readonly routerHost: VirtualHost;
  readonly #drained = new Set<string>();
  /** The pool has it, and it is the first node's own. */
  readonly addressInPool = '198.51.100.5';
  #launched = 0;

  constructor(seed: number, nodes: number, loss: number) {
    this.random = new Random(seed);
    this.api = new VirtualApi(this.clock);
    this.nodes = Array.from({ length: nodes }, (_, i) => `node-${i + 1}`);
    this.#environment = {
      clock: this.clock,
      random: this.random,
      api: this.api,
      lan: new VirtualLan(this.clock, this.random, loss),
      onBreach: (text) => this.violated(text),
    };
    const network = new VirtualNetwork(this.#environment);
    this.#hosts = new Map(this.nodes.map((name, i) => [name, network.host(name, `192.0.2.${i + 1}`)]));
    this.routerHost = network.host(ROUTER.name, ROUTER.address);
    for (const [i, name] of this.nodes.entries()) {
      this.drain(name, false);
      const pod = {
        metadata: { name: `speaker-${name}`, namespace: NAMESPACE, labels: SPEAKER_LABELS },
        spec: { nodeName: name },
        status: { podIP: `192.0.2.${i + 1}` },
      };
      this.api.put('pods', pod);
    }
    this.startController();
    this.startController();
    for (const name of this.nodes) this.startSpeaker(name);
  }

  violated(text: string): void {
    if (this.violations.length < 10) this.violations.push(`${this.clock.now()} ms: ${text}`);
  }

  /** Nodes whose speaker answers for an address. */
  ownersOf(address: string): string[] {
    return [...this.speakers].filter(([, speaker]) => speaker.answers(address)).map(([name]) => name);
  }

  /** The node that should answer for an address, by docs/behaviour/layer2.md; undefined: there is none that could. `without`: were that one gone. */
  rightOwnerOf(address: string, without?: string): string | undefined {
    const services = (this.api.all('services') as Service[]).filter(({ status }) =>
      status?.loadBalancer?.ingress?.some(({ ip }) => ip === address),
    );
    const ranked = [...this.speakers.values()]
      .filter(({ isEnding, name }) => !isEnding && name !== without)
      .map(({ name, isHeldDown }) => {
        const served = services.filter((service) => this.canServe(name, service, address)).length;
        const rank = isHeldDown ? 2 : this.#drained.has(name) ? 1 : 0;
        const hash = createHash('sha256').update(`${name}#${address}`).digest('hex');
        return { name, served, order: `${services.length - served} ${rank} ${hash}` };
      })
      .filter(({ served }) => served > 0);
    return ranked.sort((a, b) => (a.order < b.order ? -1 : 1))[0]?.name;
  }

  /** By its traffic policy and endpoints, and unless the address is another node's own. */
  canServe(node: string, { metadata, spec }: Service, address: string): boolean {
    if (address === this.addressInPool && node !== this.nodes[0]) return false;
    if (spec?.externalTrafficPolicy !== 'Local') return true;
    const slice = this.api.get('endpointslices', `default/${metadata.name}-1`) as EndpointSlice | undefined;
    return slice?.endpoints?.some(({ nodeName }) => nodeName === node) === true;
  }

  startController(): void {
    const controller = new ControllerProcess(this.#environment, `controller-${++this.#launched}`, () => {
      this.#controllers.delete(controller);
      // The shortest pause is longer than a request on its way: a process takes that long to start.
      this.clock.after(this.random.between(50, 2000), () => this.startController());
    });
    this.#controllers.add(controller);
  }

  withController(act: (controller: ControllerProcess) => void): void {
    const controller = this.random.pick([...this.#controllers]);
    if (controller !== undefined) act(controller);
  }

  withLeader(act: (controller: ControllerProcess) => void): void {
    const leader = [...this.#controllers].find(({ leads }) => leads);
    if (leader !== undefined) act(leader);
  }

  /** Who holds the Lease, whether it lives or not. */
  get leaseholder(): string | undefined {
    const [lease] = this.api.all('leases') as (KubernetesObject & { readonly spec?: { holderIdentity?: string } })[];
    return lease?.spec?.holderIdentity;
  }

  /** The controller that leads and knows what Services have: it puts right what others write into their status. Undefined: there is none now. */
  get restorer(): string | undefined {
    const { leaseholder } = this;
    const leader = [...this.#controllers].find(({ identity }) => identity === leaseholder);
    return leader?.hasDecided === true ? leaseholder : undefined;
  }

  startSpeaker(name: string): void {
    const index = this.nodes.indexOf(name) + 1;
    const nodeAt = (address: string) => this.nodes[Number(address.split('.').at(-1)) - 1]!;
    this.speakers.set(name, new SpeakerProcess(this.#environment, this.#hosts.get(name)!, index, nodeAt));
  }

  withSpeaker(act: (speaker: SpeakerProcess) => void): void {
    const speaker = this.random.pick([...this.speakers.values()]);
    if (speaker !== undefined) act(speaker);
  }

  killSpeaker(name: string, isPowerGone = false): void {
    this.speakers.get(name)?.kill(isPowerGone);
    this.#remove(name);
  }

  #remove(name: string): void {
    this.speakers.delete(name);
    this.#environment.lan.unplug(name);
  }

  /** One that is left over is never the last one. */
  killSomeSpeaker(): void {
    if (this.speakers.size >= 2)
      this.killSpeaker(this.random.pick([...this.speakers.keys()])!, this.random.chance(0.5));
  }

  endSpeaker(name: string): void {
    const speaker = this.speakers.get(name)!;
    speaker.end(LEAVE_GRACE, () => {
      if (this.speakers.get(name) === speaker) this.#remove(name);
    });
  }

  endSomeSpeaker(): void {
    const running = [...this.speakers.values()].filter(({ isEnding }) => !isEnding);
    if (running.length >= 2) this.endSpeaker(this.random.pick(running)!.name);
  }

  reviveSomeSpeaker(): void {
    const name = this.random.pick(this.nodes.filter((candidate) => !this.speakers.has(candidate)));
    if (name !== undefined) this.startSpeaker(name);
  }

  drain(name: string, isDrained: boolean): void {
    const annotations = isDrained ? { 'metallb.io/drain': 'true' } : {};
    if (isDrained) this.#drained.add(name);
    else this.#drained.delete(name);
    const addresses = name === this.nodes[0] ? [{ type: 'InternalIP', address: this.addressInPool }] : [];
    const metadata = { name, annotations, labels: { zone: this.zoneOf(name) } };
    this.api.put('nodes', { metadata, ...{ status: { addresses } } });
  }

  /** Half of the nodes are in either. */
  zoneOf(name: string): Zone {
    return ZONES[this.nodes.indexOf(name) % ZONES.length]!;
  }

  /** One that every node has for a neighbor. */
  startRouter(settings: Omit<RouterSettings, 'neighbors'>): VirtualRouter {
    const neighbors = new Map([...this.#hosts].map(([name, { address }]) => [name, address]));
    return new VirtualRouter(this.#environment, this.routerHost, { neighbors, ...settings });
  }

  /** The node notices at both ends of it, as a carrier does. */
  pullCable(name: string, milliseconds: number): void {
    this.speakers.get(name)?.setLink(false);
    this.#environment.lan.cut(milliseconds, (from, to) => from === name || to === name);
    this.clock.after(milliseconds, () => this.speakers.get(name)?.setLink(true));
  }

  /** Somebody on the LAN claims the address with the MAC of each node, five times a second. */
  forgeClaims(address: string, milliseconds: number): void {
    const { lan } = this.#environment;
    const until = this.clock.now() + milliseconds;
    const claim = () => {
      for (const index of this.nodes.keys()) lan.broadcast('stranger', claimBy(macOf(index + 1), address));
      if (this.clock.now() < until) this.clock.after(200, claim);
    };
    claim();
  }

  cutOneWay(): void {
    const [a, b] = [this.random.pick(this.nodes), this.random.pick([...this.nodes, ROUTER.name])];
    const all = this.random.chance(0.3);
    this.#environment.lan.cut(this.random.between(100, 5000), (from, to) => from === a && (all || to === b));
  }

  cutFromRouter(milliseconds: number): void {
    const pair = [this.random.pick(this.nodes)!, ROUTER.name];
    this.#environment.lan.cut(milliseconds, (from, to) => pair.includes(from) && pair.includes(to));
  }

  part(): void {
    // The router is on one of the sides.
    const side = new Set([...this.nodes, ROUTER.name].filter(() => this.random.chance(0.5)));
    this.#environment.lan.cut(this.random.between(100, 8000), (from, to) => side.has(from) !== side.has(to));
  }

  /** A node that was broken into says to all others, for a while, whatever may do harm; its own speaker goes on beside it. */
  turnHostile(): void {
    const name = this.random.pick(this.nodes);
    if (name === undefined) return;
    const { lan } = this.#environment;
    const end = this.clock.now() + this.random.between(100, 5000);
    const say = () => {
      const to = this.random.pick(this.nodes)!;
      const message = hostileMessage(this.random, this.nodes, lan.overheard, to);
      if (message !== undefined) lan.inject(name, to, message);
      if (this.clock.now() < end) this.clock.after(this.random.between(1, 50), say);
    };
    say();
  }

  takeApiAway(): void {
    this.api.isUp = false;
    this.api.resetWatches();
    const longest = this.random.chance(0.1) ? 60_000 : 5000;
    this.clock.after(this.random.between(10, longest), () => {
      this.api.isUp = true;
    });
  }

  overloadApi(): void {
    this.api.delay = this.random.between(0, 2000);
    this.api.refusals = this.random.pick([0, 0.3])!;
    this.clock.after(this.random.between(100, 10_000), () => {
      this.api.delay = 0;
      this.api.refusals = 0;
    });
  }

  compactHistory(): void {
    this.api.compact();
    this.api.resetWatches();
  }

  /** No new fault starts from now on, and ongoing ones end soon. */
  heal(): void {
    this.clock.after(6000, () => {
      this.api.isUp = true;
    });
    for (const name of this.nodes) this.drain(name, false);
    // Those that are ending now are no longer there then.
    this.clock.after(LEAVE_GRACE + 1000, () => {
      while (this.speakers.size < Math.min(2, this.nodes.length)) this.reviveSomeSpeaker();
    });
  }
}
