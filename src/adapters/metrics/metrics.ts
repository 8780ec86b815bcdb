/**
 * Prometheus metrics under upstream's names (behaviour reference §6.2).
 * @module
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { PoolUsage } from '../../core/ipam/pool-state.ts';
import type { Layer2Counter } from '../../core/layer2/fsm.ts';

export class Metrics {
  readonly #registry = new Registry();
  readonly #gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `metallb_${name}`, help, labelNames, registers: [this.#registry] });
  readonly #counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `metallb_${name}`, help, labelNames, registers: [this.#registry] });

  readonly #loaded = this.#gauge('k8s_client_config_loaded_bool', '1 once a configuration has been accepted.');
  readonly #stale = this.#gauge(
    'k8s_client_config_stale_bool',
    '1 while some configuration object is invalid and set aside.',
  );
  readonly #updates = this.#counter('k8s_client_updates_total', 'Changes taken in from the API server.');
  readonly #updateErrors = this.#counter('k8s_client_update_errors_total', 'Lists, watches and writes that failed.');
  readonly #total = this.#gauge('allocator_addresses_total', 'Addresses of the pool.', ['pool']);
  readonly #inUse = this.#gauge('allocator_addresses_in_use_total', 'Addresses of the pool that are in use.', ['pool']);
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
  } satisfies Record<Layer2Counter, unknown>;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** The text that Prometheus scrapes, and its content type. */
  async scrape(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  configured(problems: number): void {
    this.#loaded.set(1);
    this.#stale.set(problems > 0 ? 1 : 0);
  }

  updated(): void {
    this.#updates.inc();
  }

  failed(): void {
    this.#updateErrors.inc();
  }

  /** Replaces the series of all pools. */
  pools(usage: ReadonlyMap<string, PoolUsage>): void {
    this.#total.reset();
    this.#inUse.reset();
    for (const [pool, { assignedIPv4, assignedIPv6, availableIPv4, availableIPv6 }] of usage) {
      const inUse = assignedIPv4 + assignedIPv6;
      this.#inUse.set({ pool }, inUse);
      this.#total.set({ pool }, inUse + availableIPv4 + availableIPv6);
    }
  }

  /** Replaces the series of one Service on this node. */
  announced(service: string, node: string, before: readonly string[], now: readonly string[]): void {
    for (const ip of before) this.#announced.remove({ service, protocol: 'layer2', node, ip });
    for (const ip of now) this.#announced.set({ service, protocol: 'layer2', node, ip }, 1);
  }

  layer2(counter: Layer2Counter, ip: string, by: number): void {
    this.#layer2[counter].inc({ ip }, by);
  }
}
