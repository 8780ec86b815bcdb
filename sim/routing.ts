/**
 * BGP of the cluster: a router, what users want of it, what can go wrong there, and what the router is to hold.
 * @module
 */
import { BFD_DEFAULTS } from '../src/core/bfd/fsm.ts';
import { SPEAKER_DEFAULTS } from '../src/core/speaker/state.ts';
import { NAMESPACE } from './processes.ts';
import type { Router } from './statuses.ts';
import { LEAVE_TIME, type VirtualCluster, ZONES, type Zone } from './virtual-cluster.ts';
import { NODE_ASN, ROUTER, STALE_TIME, type VirtualRouter } from './virtual-router.ts';

/** Name of the BGPPeer. */
const PEER = 'tor';
/** Seconds; the shortest that is common, and one that runs out within the rest. */
const HOLD_TIMES = [9, 30] as const;
/** GRACEFUL_SHUTDOWN (RFC 8326). */
const GRACEFUL_SHUTDOWN = '65535:0';
/**
 * Milliseconds until the tables are right again: a side that has heard nothing of the end of a session notices at the hold time, gives a
 * connection that nobody speaks on 20 s, and pauses up to 32 s after failures in a row.
 */
const CONVERGENCE = 60_000;
/** What steps in between take: a request to the main thread and back, packets on their way. */
const STEPS = 200;

/** What does not change in a run. */
interface Plan {
  readonly gracefulRestart: boolean;
  /** Who connects: the speakers, the router, or both. */
  readonly dialing: 'speakers' | 'router' | 'both';
  readonly connectTime: string | undefined;
}

interface Advertised {
  readonly communities: readonly string[];
  /** Undefined: from every node. */
  readonly zone: Zone | undefined;
}

export class Routing implements Router {
  readonly #cluster: VirtualCluster;
  readonly #router: VirtualRouter;
  readonly #plan: Plan;
  readonly peer = PEER;
  readonly #pass: (milliseconds: number) => void;
  #hasBfd: boolean;
  /** Seconds. */
  #holdTime: number;
  #advertised: Advertised = { communities: [], zone: undefined };
  /** Milliseconds of each loss of a node that was tried, until the router held nothing of it. */
  readonly withdrawals: number[] = [];

  /** `pass` lets time pass. */
  constructor(cluster: VirtualCluster, pass: (milliseconds: number) => void) {
    const { random } = cluster;
    this.#cluster = cluster;
    this.#pass = pass;
    this.#plan = {
      gracefulRestart: random.chance(0.3),
      dialing: random.pick(['speakers', 'speakers', 'both', 'router'] as const)!,
      connectTime: random.pick([undefined, '3s']),
    };
    this.#hasBfd = random.chance(0.5);
    this.#holdTime = random.pick(HOLD_TIMES)!;
    this.#router = cluster.startRouter({
      dials: this.#plan.dialing !== 'speakers',
      gracefulRestart: this.#plan.gracefulRestart,
    });
    cluster.api.put('bfdprofiles', { metadata: { name: 'bfd', namespace: NAMESPACE }, ...{ spec: {} } });
    this.#putPeer();
    this.#putAdvertisement();
  }

  /** What users and faults do here. */
  get repertoire(): readonly (readonly [string, () => void])[] {
    const { random, clock } = this.#cluster;
    return [
      ['connections with the router are reset', () => this.#cluster.routerHost.resetAll()],
      ['the router is restarted', () => this.#restart(random.between(50, 5000))],
      ['the router stands still', () => this.#router.sleep(random.between(100, 3000))],
      ['a node and the router do not reach each other', () => this.#cluster.cutFromRouter(random.between(100, 20_000))],
      ['a node freezes for longer than the hold time', () => this.#freeze()],
      [
        'the BGPAdvertisement changes',
        () => {
          this.#advertised = {
            communities: random.pick([[], ['64500:1'], ['64500:1', '64500:2']])!,
            zone: random.pick([undefined, ...ZONES]),
          };
          this.#putAdvertisement();
        },
      ],
      [
        'the BGPPeer changes',
        () => {
          // Sessions live through the one, and begin again for the other.
          if (random.chance(0.5)) this.#hasBfd = !this.#hasBfd;
          else this.#holdTime = random.pick(HOLD_TIMES)!;
          this.#putPeer();
        },
      ],
      [
        'the BGPPeer is deleted, and comes back',
        () => {
          this.#cluster.api.remove('bgppeers', `${NAMESPACE}/${PEER}`);
          clock.after(random.between(10, 5000), () => this.#putPeer());
        },
      ],
    ];
  }

  /** At rest the router holds exactly what it should, of every node. */
  checkRest(addresses: ReadonlySet<string>): void {
    this.#compare(addresses, 'at rest');
  }

  /** All sessions are reset at once, on a healthy network. */
  checkReset(addresses: ReadonlySet<string>): void {
    this.#cluster.routerHost.resetAll();
    this.#pass(1);
    this.#converge(addresses, 'after a reset');
  }

  /** A node loses its power: nobody tells the router. */
  checkPowerLoss(addresses: ReadonlySet<string>): void {
    const node = this.#someSpeaker();
    if (node === undefined) return;
    this.#cluster.killSpeaker(node, true);
    this.#expectWithdrawal(node, `${node} lost its power`);
    this.#cluster.startSpeaker(node);
    this.#converge(addresses, `after ${node} came back`);
  }

  /** A node stands still for longer than the router waits. */
  checkFreeze(addresses: ReadonlySet<string>): void {
    const node = this.#someSpeaker();
    if (node === undefined) return;
    const took = this.#patience + STALE_TIME + 1000;
    this.#cluster.speakers.get(node)!.sleep(took);
    this.#expectWithdrawal(node, `${node} froze`);
    this.#pass(took);
    this.#converge(addresses, `after ${node} woke`);
  }

  /**
   * A speaker is asked to end, and comes back. The router is asked to prefer other nodes before it loses the routes; where it keeps routes over
   * a restart, it has them all the time.
   */
  checkStop(addresses: ReadonlySet<string>): void {
    const node = this.#someSpeaker();
    if (node === undefined) return;
    const cluster = this.#cluster;
    const table = this.#router.tableOf(node);
    const hadRoutes = table.size > 0;
    const isKept = this.#plan.gracefulRestart;
    let [wasMarked, wasLost] = [false, false];
    const watch = (milliseconds: number) => {
      for (let i = 0; i < milliseconds; i += 5) {
        this.#pass(5);
        wasMarked ||= [...table.values()].some(({ communities }) => communities.includes(GRACEFUL_SHUTDOWN));
        wasLost ||= table.size === 0;
      }
    };
    cluster.endSpeaker(node);
    watch(LEAVE_TIME);
    if (hadRoutes && !isKept && !wasMarked) cluster.violated(`${node} was asked to end and did not mark its routes`);
    if (hadRoutes && !isKept && !wasLost) cluster.violated(`${node} has ended, and the router holds its routes`);
    cluster.startSpeaker(node);
    watch(STALE_TIME / 10);
    if (hadRoutes && isKept && wasLost) cluster.violated(`${node} was restarted, and the router lost its routes`);
    this.#converge(addresses, `after ${node} was started again`);
  }

  /** A node is drained: the router is asked to prefer others, and then it loses what others tell it as well. */
  checkDrain(addresses: ReadonlySet<string>): void {
    const node = this.#someSpeaker();
    if (node === undefined) return;
    const cluster = this.#cluster;
    const table = this.#router.tableOf(node);
    const routes = table.size;
    cluster.drain(node, true);
    this.#pass(STEPS);
    const marked = [...table.values()].filter(({ communities }) => communities.includes(GRACEFUL_SHUTDOWN)).length;
    if (marked < routes) cluster.violated(`${node} was drained and marked ${marked} of ${routes} routes`);
    this.#pass(SPEAKER_DEFAULTS.drainWait);
    const others = [...cluster.speakers.keys()].filter((other) => other !== node);
    const left = others.some((other) => this.selects(other)) ? 0 : routes;
    if (table.size !== left)
      cluster.violated(`${node} was drained, and the router holds ${table.size} routes of it, not ${left}`);
    cluster.drain(node, false);
    this.#pass(STEPS);
    this.#converge(addresses, `after ${node} was no longer drained`);
  }

  /** The BGPPeer goes for good: the router is told so, whatever it keeps otherwise. */
  checkRemoval(addresses: ReadonlySet<string>): void {
    const { api, speakers } = this.#cluster;
    api.remove('bgppeers', `${NAMESPACE}/${PEER}`);
    this.#pass(STEPS);
    const holding = [...speakers.keys()].filter((node) => this.#router.tableOf(node).size > 0);
    if (holding.length > 0)
      this.#cluster.violated(`the BGPPeer is gone, and the router holds routes of ${holding.join()}`);
    this.#putPeer();
    this.#converge(addresses, 'after the BGPPeer came back');
  }

  /** Milliseconds of silence until the router gives a node up. */
  get #patience(): number {
    return this.#hasBfd ? BFD_DEFAULTS.receiveInterval * BFD_DEFAULTS.detectMultiplier : 1000 * this.#holdTime;
  }

  #expectWithdrawal(node: string, what: string): void {
    const { clock } = this.#cluster;
    const began = clock.now();
    const table = this.#router.tableOf(node);
    // What BFD takes for dead is dropped; what has only been silent for the hold time may be a restart.
    const isKept = this.#plan.gracefulRestart && !this.#hasBfd;
    const bound = this.#patience + (isKept ? STALE_TIME : 0) + STEPS;
    const hadRoutes = table.size > 0;
    while (table.size > 0 && clock.now() - began <= bound) this.#pass(20);
    if (hadRoutes) this.withdrawals.push(clock.now() - began);
    if (table.size > 0)
      this.#cluster.violated(
        `${what}, and the router holds ${[...table.keys()].join()} after ${clock.now() - began} ms`,
      );
  }

  #converge(addresses: ReadonlySet<string>, when: string): void {
    const { clock } = this.#cluster;
    const end = clock.now() + CONVERGENCE;
    while (this.#differences(addresses).length > 0 && clock.now() < end) this.#pass(100);
    this.#compare(addresses, when);
  }

  #compare(addresses: ReadonlySet<string>, when: string): void {
    for (const difference of this.#differences(addresses)) this.#cluster.violated(`${when} ${difference}`);
  }

  #differences(addresses: ReadonlySet<string>): string[] {
    const found: string[] = [];
    for (const [i, node] of this.#cluster.nodes.entries()) {
      const held = [...this.#router.tableOf(node)].map(
        ([prefix, { communities, nextHop, isStale }]) =>
          `${prefix} [${communities}] by ${nextHop}${isStale ? ', stale' : ''}`,
      );
      const should = this.#routesOf(node, `192.0.2.${i + 1}`, addresses);
      if (held.sort().join() !== should.sort().join())
        found.push(
          `the router holds of ${node}: ${held.join('; ') || 'nothing'}, and should: ${should.join('; ') || 'nothing'}`,
        );
    }
    return found;
  }

  /** Every Service from every node that the advertisement selects, if its speaker is there. */
  #routesOf(node: string, nextHop: string, addresses: ReadonlySet<string>): string[] {
    const { communities } = this.#advertised;
    const speaker = this.#cluster.speakers.get(node);
    if (speaker === undefined || speaker.isEnding || !this.selects(node)) return [];
    return [...addresses].map((address) => `${address}/32 [${communities.join(' ')}] by ${nextHop}`);
  }

  /** The advertisement selects the node. */
  selects(node: string): boolean {
    const { zone } = this.#advertised;
    return zone === undefined || zone === this.#cluster.zoneOf(node);
  }

  #someSpeaker(): string | undefined {
    const running = [...this.#cluster.speakers.values()].filter(({ isEnding }) => !isEnding);
    return running.length < 2 ? undefined : this.#cluster.random.pick(running)!.name;
  }

  #freeze(): void {
    const { random } = this.#cluster;
    const hold = 1000 * this.#holdTime;
    this.#cluster.withSpeaker((speaker) => speaker.sleep(hold + random.between(0, 5000)));
  }

  #restart(milliseconds: number): void {
    if (!this.#router.isRunning) return;
    this.#router.kill(this.#cluster.random.chance(0.3));
    this.#cluster.clock.after(milliseconds, () => this.#router.start());
  }

  #putPeer(): void {
    const { gracefulRestart, dialing, connectTime } = this.#plan;
    const annotations = dialing === 'router' ? { 'metallb.io/passive': 'true' } : {};
    const spec = {
      myASN: NODE_ASN,
      peerASN: ROUTER.asn,
      peerAddress: ROUTER.address,
      holdTime: `${this.#holdTime}s`,
      ...(gracefulRestart && { enableGracefulRestart: true }),
      ...(connectTime !== undefined && { connectTime }),
      ...(this.#hasBfd && { bfdProfile: 'bfd' }),
    };
    this.#cluster.api.put('bgppeers', { metadata: { name: PEER, namespace: NAMESPACE, annotations }, ...{ spec } });
  }

  #putAdvertisement(): void {
    const { communities, zone } = this.#advertised;
    const spec = {
      communities,
      ...(zone !== undefined && { nodeSelectors: [{ matchLabels: { zone } }] }),
    };
    this.#cluster.api.put('bgpadvertisements', { metadata: { name: 'all', namespace: NAMESPACE }, ...{ spec } });
  }
}
