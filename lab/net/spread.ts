/**
 * Who of several nodes gets the connections that somebody makes to an address.
 * @module
 */
import { type LanHost, probeWhile } from './lan.ts';
import { countPackets } from './packet-counter.ts';
import type { ProbeResult } from './prober.ts';

export interface Spread extends ProbeResult {
  /** Connections that reached each node. */
  readonly seen: readonly number[];
}

/** Opens IPv4 connections for a while, and counts at the nodes; `during` happens after the first second. */
export async function spreadWhile(
  nodes: readonly LanHost[],
  client: LanHost,
  address: string,
  timing: { readonly interval: number; readonly duration: number },
  during: () => Promise<void> | void = () => {},
): Promise<Spread> {
  const begun = `ip daddr ${address} tcp flags & (syn | ack) == syn`;
  const counters = nodes.map((node) => countPackets(node, 'prerouting', begun));
  try {
    const result = await probeWhile(client, address, timing, during);
    return { ...result, seen: counters.map((counter) => counter.packets()) };
  } finally {
    for (const counter of counters) counter.end();
  }
}
