/**
 * Prometheus metrics under upstream's names (docs/behaviour/metrics.md).
 * @module
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { BFD_COUNTERS, type BfdCounter } from '../../core/bfd/messages.ts';
import { SESSION_COUNTERS, type SessionCounter } from '../../core/bgp/session/state.ts';
import type { PoolUsage } from '../../core/ipam/pool-state.ts';
import type { Layer2Counter } from '../../core/layer2/state.ts';
import type { PeerReport } from '../../core/liveness/view.ts';

/** Series of objects by one label: they end with their object, and news of it that comes late does not begin them again. */
class Living {
  readonly #label: string;
  readonly #metrics: readonly (Counter | Gauge)[];
  #values: ReadonlySet<string> = new Set();

  constructor(label: string, metrics: readonly (Counter | Gauge)[]) {
    this.#label = label;
    this.#metrics = metrics;
  }

  has(value: string): boolean {
    return this.#values.has(value);
  }

  /** All that there are now. */
  keep(values: ReadonlySet<string>): void {
    for (const value of this.#values)
      if (!values.has(value)) for (const metric of this.#metrics) metric.remove({ [this.#label]: value });
    this.#values = values;
  }
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `metallb_${name}`, help, labelNames, registers: [this.#registry] });
  readonly #counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `metallb_${name}`, help, labelNames, registers: [this.#registry] });

  readonly #requests = this.#counter('k8s_client_requests_total', 'Requests to the API server.', ['verb']);
  /** Upstream has three gauges for one number: all addresses, and those of each family. */
  readonly #byFamily = (name: string, help: string) => ({
    all: this.#gauge(`allocator_${name}`, `${help}.`, ['pool']),
    ipv4: this.#gauge(`allocator_ipv4_${name}`, `${help}, IPv4 only.`, ['pool']),
    ipv6: this.#gauge(`allocator_ipv6_${name}`, `${help}, IPv6 only.`, ['pool']),
  });

  readonly #loaded = this.#gauge('k8s_client_config_loaded_bool', '1 once a configuration has been accepted.');
  readonly #stale = this.#gauge(
    'k8s_client_config_stale_bool',
    '1 while some configuration object is invalid and set aside.',
  );
  readonly #updates = this.#counter('k8s_client_updates_total', 'Changes taken in from the API server.');
  readonly #updateErrors = this.#counter('k8s_client_update_errors_total', 'Lists, watches and writes that failed.');
  readonly #total = this.#byFamily('addresses_total', 'Addresses of the pool');
  readonly #inUse = this.#byFamily('addresses_in_use_total', 'Addresses of the pool that are in use');
  readonly #unserved = this.#gauge(
    'controller_services_without_address',
    'Services of type LoadBalancer that want an address and have none, by reason.',
    ['reason'],
  );
  readonly #leading = this.#gauge('controller_leading_bool', '1 while this controller leads, 0 while it stands by.');
  readonly #timeToAddress = new Histogram({
    name: 'metallb_controller_time_to_address_seconds',
    help: 'From the moment in which a Service was first seen without an address until its address was written.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600],
    registers: [this.#registry],
  });
  readonly #announced = this.#gauge('speaker_announced', '1 for every address that this node announces.', [
    'service',
    'protocol',
    'node',
    'ip',
  ]);
  readonly #layer2 = {
    requests_received: this.#counter('layer2_requests_received', 'ARP and NDP requests for our addresses.', ['ip']),
    responses_sent: this.#counter('layer2_responses_sent', 'Answers to them.', ['ip']),
    gratuitous_sent: this.#counter('layer2_gratuitous_sent', 'Gratuitous packets.', ['ip']),
    conflicts_seen: this.#counter('layer2_conflicts_seen', 'Claims of our addresses that no speaker confirms.', ['ip']),
    disputes_seen: this.#counter('layer2_disputes_seen', 'Addresses that another speaker announced too.', ['ip']),
  } satisfies Record<Layer2Counter, unknown>;

  readonly #phases = new Histogram({
    name: 'metallb_layer2_failover_seconds',
    help: 'Takeover of addresses from a node that died: detect (last heard until dead), elect, announce.',
    labelNames: ['phase'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 1, 2.5, 5, 10],
    registers: [this.#registry],
  });
  readonly #peers = {
    silence: this.#gauge('liveness_peer_silence_seconds', 'Since when a speaker that is watched was not heard.', [
      'peer',
    ]),
    roundTrip: this.#gauge('liveness_peer_round_trip_seconds', 'Round trip of the last ping that it answered.', [
      'peer',
    ]),
    suspected: this.#gauge('liveness_peer_suspected_bool', '1 while it is suspected to be dead.', ['peer']),
  };
  readonly #nodes = this.#gauge('liveness_nodes', 'Other speakers, by what this one takes them for.', ['state']);
  readonly #isolated = this.#gauge('liveness_isolated_bool', '1 while this speaker hears no other one.');
  readonly #refused = this.#counter(
    'liveness_datagrams_refused_total',
    'Datagrams on the port of the speakers that none of them can have sent, by reason.',
    ['reason'],
  );
  readonly #faults = this.#counter(
    'wire_faults_total',
    'Errors that the wire thread has survived, by what was at work. Each is a bug.',
    ['part'],
  );

  readonly #bgp = {
    up: this.#gauge('bgp_session_up', '1 while the session is established.', ['peer']),
    announced: this.#gauge('bgp_announced_prefixes_total', 'Prefixes that the peer has been sent.', ['peer']),
    pending: this.#gauge('bgp_pending_prefixes_total', 'Prefixes that the peer should hold.', ['peer']),
  };
  readonly #bfdUp = this.#gauge('bfd_session_up', '1 while BFD with the BGPPeer is up.', ['peer']);
  readonly #bfdCounters = Object.fromEntries(
    BFD_COUNTERS.map((name) => [name, this.#counter(`bfd_${name}`, `BFD with the BGPPeer: ${name}.`, ['peer'])]),
  ) as Record<BfdCounter, Counter>;
  readonly #bgpCounters = Object.fromEntries(
    SESSION_COUNTERS.map((name) => [name, this.#counter(`bgp_${name}`, `BGP messages: ${name}.`, ['peer'])]),
  ) as Record<SessionCounter, Counter>;

  readonly #layer2Addresses = new Living('ip', Object.values(this.#layer2));
  readonly #bfdPeers = new Living('peer', [this.#bfdUp, ...Object.values(this.#bfdCounters)]);
  /** The addresses of each protocol and Service that have a series. */
  readonly #announcedBefore = new Map<string, readonly string[]>();

  readonly #refreshers: (() => void)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** The text that Prometheus scrapes, and its content type. */
  async scrape(): Promise<{ readonly contentType: string; readonly body: string }> {
    for (const refresh of this.#refreshers) refresh();
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  /** Every metric of ours, for the documentation; Node's own are left out. */
  get catalogue(): readonly { readonly name: string; readonly help: string; readonly labels: readonly string[] }[] {
    const all = this.#registry.getMetricsAsArray() as unknown as {
      name: string;
      help: string;
      labelNames?: string[];
    }[];
    return all
      .filter(({ name }) => name.startsWith('metallb_'))
      .map(({ name, help, labelNames = [] }) => ({ name, help, labels: labelNames }));
  }

  configured(problems: number): void {
    this.#loaded.set(1);
    this.#stale.set(problems > 0 ? 1 : 0);
  }

  /** Called for each request sent to the API server. */
  requested(verb: string): void {
    this.#requests.inc({ verb });
  }

  updated(): void {
    this.#updates.inc();
  }

  failed(): void {
    this.#updateErrors.inc();
  }

  /** Called before every scrape, to set gauges that show a state. */
  beforeScrape(refresh: () => void): void {
    this.#refreshers.push(refresh);
  }

  /** Replaces the series of all pools. */
  pools(usage: ReadonlyMap<string, PoolUsage>): void {
    for (const gauge of [...Object.values(this.#total), ...Object.values(this.#inUse)]) gauge.reset();
    for (const [pool, { assignedIPv4, assignedIPv6, availableIPv4, availableIPv6 }] of usage) {
      const ipv4 = { inUse: assignedIPv4, total: assignedIPv4 + availableIPv4 };
      const ipv6 = { inUse: assignedIPv6, total: assignedIPv6 + availableIPv6 };
      const all = { inUse: ipv4.inUse + ipv6.inUse, total: ipv4.total + ipv6.total };
      for (const [family, counts] of Object.entries({ all, ipv4, ipv6 }) as ['all' | 'ipv4' | 'ipv6', typeof all][]) {
        this.#inUse[family].set({ pool }, counts.inUse);
        this.#total[family].set({ pool }, counts.total);
      }
    }
  }

  /** Replaces the numbers of Services that wait for an address. */
  unserved(reasons: Iterable<string>): void {
    this.#unserved.reset();
    for (const reason of reasons) this.#unserved.inc({ reason });
  }

  leading(leads: boolean): void {
    this.#leading.set(leads ? 1 : 0);
  }

  /** A Service got its address, this many milliseconds after it was first seen without one. */
  served(after: number): void {
    this.#timeToAddress.observe(after / 1000);
  }

  /** Replaces the series of one Service on this node. */
  announced(protocol: 'layer2' | 'bgp', service: string, node: string, addresses: readonly string[]): void {
    const key = `${protocol} ${service}`;
    for (const ip of this.#announcedBefore.get(key) ?? []) this.#announced.remove({ service, protocol, node, ip });
    for (const ip of addresses) this.#announced.set({ service, protocol, node, ip }, 1);
    if (addresses.length === 0) this.#announcedBefore.delete(key);
    else this.#announcedBefore.set(key, addresses);
  }

  /** Milliseconds of each phase of a takeover. */
  failedOver(phases: Readonly<Record<'detect' | 'elect' | 'announce', number>>): void {
    for (const [phase, milliseconds] of Object.entries(phases)) this.#phases.observe({ phase }, milliseconds / 1000);
  }

  /** Replaces the series of the speakers that this one watches, or is watched by. */
  peers(reports: readonly PeerReport[]): void {
    for (const gauge of Object.values(this.#peers)) gauge.reset();
    for (const { node: peer, silentFor, roundTrip, suspected } of reports) {
      if (silentFor !== undefined) this.#peers.silence.set({ peer }, silentFor / 1000);
      if (roundTrip !== undefined) this.#peers.roundTrip.set({ peer }, roundTrip / 1000);
      this.#peers.suspected.set({ peer }, suspected ? 1 : 0);
    }
  }

  /** Replaces the numbers of other speakers. */
  nodes(states: Iterable<string>): void {
    this.#nodes.reset();
    for (const state of states) this.#nodes.inc({ state });
  }

  isolated(isIsolated: boolean): void {
    this.#isolated.set(isIsolated ? 1 : 0);
  }

  datagramsRefused(reason: string, by: number): void {
    this.#refused.inc({ reason }, by);
  }

  wireFault(part: string, by: number): void {
    this.#faults.inc({ part }, by);
  }

  /** What is true of a session now; `peer` is its address and port. */
  bgpSession(peer: string, up: boolean, announced: number, pending: number): void {
    this.#bgp.up.set({ peer }, up ? 1 : 0);
    this.#bgp.announced.set({ peer }, announced);
    this.#bgp.pending.set({ peer }, pending);
  }

  bgpCounted(peer: string, counter: SessionCounter, by: number): void {
    this.#bgpCounters[counter].inc({ peer }, by);
  }

  /** The addresses of all routers that BFD watches; the series of others end. */
  bfdWatches(peers: ReadonlySet<string>): void {
    this.#bfdPeers.keep(peers);
  }

  /** `peer` is its address. */
  bfdSession(peer: string, up: boolean): void {
    if (this.#bfdPeers.has(peer)) this.#bfdUp.set({ peer }, up ? 1 : 0);
  }

  bfdCounted(peer: string, counter: BfdCounter, by: number): void {
    if (this.#bfdPeers.has(peer)) this.#bfdCounters[counter].inc({ peer }, by);
  }

  /** Removes the series of a session that has ended. */
  bgpForget(peer: string): void {
    for (const metric of [...Object.values(this.#bgp), ...Object.values(this.#bgpCounters)]) metric.remove({ peer });
  }

  /** All addresses that this node announces at layer 2; the series of others end. */
  layer2Announces(addresses: ReadonlySet<string>): void {
    this.#layer2Addresses.keep(addresses);
  }

  layer2(counter: Layer2Counter, ip: string, by: number): void {
    if (this.#layer2Addresses.has(ip)) this.#layer2[counter].inc({ ip }, by);
  }
}
