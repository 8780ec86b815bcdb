/**
 * Who of several nodes gets the connections that somebody makes to an address.
 * @module
 */
import { type LanHost, probeWhile } from './lan.ts';
import type { ProbeResult } from './prober.ts';
import { must } from './shell.ts';

export interface Spread extends ProbeResult {
  /** For each node the connections that came its way. */
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
  const rule = `ip daddr ${address} tcp flags & (syn | ack) == syn counter`;
  const table = `table ip spread { chain seen { type filter hook prerouting priority raw; ${rule}; }; }`;
  for (const node of nodes) must(node.inside(['nft', table]));
  try {
    const result = await probeWhile(client, address, timing, during);
    const seen = nodes.map((node) =>
      Number(/packets (\d+)/.exec(must(node.inside(['nft', 'list', 'table', 'ip', 'spread'])))![1]),
    );
    return { ...result, seen };
  } finally {
    for (const node of nodes) node.run(['nft', 'delete', 'table', 'ip', 'spread']);
  }
}
