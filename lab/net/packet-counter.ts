/**
 * Counts packets at a host, before any other rule sees them.
 * @module
 */
import type { LanHost } from './lan.ts';
import { must } from './shell.ts';

export interface PacketCounter {
  packets(): number;
  end(): void;
}

let counters = 0;

/** From now on counts what comes in (`prerouting`) or goes out (`output`), as far as it matches in nft's words. */
export function countPackets(host: LanHost, hook: 'prerouting' | 'output', match: string): PacketCounter {
  const table = `count${counters++}`;
  const chain = `chain seen { type filter hook ${hook} priority raw; ${match} counter; }`;
  must(host.inside(['nft', `table inet ${table} { ${chain}; }`]));
  return {
    packets: () => Number(/packets (\d+)/.exec(must(host.inside(['nft', 'list', 'table', 'inet', table])))![1]),
    end: () => void host.run(['nft', 'delete', 'table', 'inet', table]),
  };
}
